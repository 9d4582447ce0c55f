-- A value that records refer to cannot be cleared while they do: the foreign key would clear theirs (ON UPDATE CASCADE), which is
-- nothing that a restriction can tell from a change. Only a trigger sees the records that others have committed meanwhile.
-- Arguments: the table of the records, its column, the column referred to, the name of the foreign key.
CREATE FUNCTION tabellion.keep_referred() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    held boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %I.%I r WHERE r.%I = ($1).%I)', TG_TABLE_SCHEMA, TG_ARGV[0], TG_ARGV[1], TG_ARGV[2])
        INTO held USING OLD;
    IF held THEN
        RAISE EXCEPTION 'records refer to the value that would be cleared'
            USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_ARGV[3];
    END IF;
    RETURN NULL;
END
$$;

-- One for each foreign key that there is. Triggers fire by their names: this one before those of the foreign keys (RI_...).
DO $$
DECLARE
    each record;
BEGIN
    FOR each IN
        SELECT n.nspname AS schema, o.relname AS target, oa.attname AS referred, r.relname AS records, ra.attname AS own, c.conname AS name
        FROM pg_constraint c
        JOIN pg_namespace n ON n.oid = c.connamespace AND n.nspname ~ '^l[0-9]+$'
        JOIN pg_class o ON o.oid = c.confrelid
        JOIN pg_attribute oa ON oa.attrelid = c.confrelid AND oa.attnum = c.confkey[1] AND oa.attname <> 'id'
        JOIN pg_class r ON r.oid = c.conrelid
        JOIN pg_attribute ra ON ra.attrelid = c.conrelid AND ra.attnum = c.conkey[1]
        WHERE c.contype = 'f' AND c.confdeltype <> 'n' AND c.conname ~ '^fc[0-9]+_a[0-9]+$'
    LOOP
        EXECUTE format(
            'CREATE TRIGGER %I AFTER UPDATE OF %I ON %I.%I FOR EACH ROW WHEN (OLD.%I IS NOT NULL AND NEW.%I IS NULL) '
            'EXECUTE FUNCTION tabellion.keep_referred(%L, %L, %L, %L)',
            '0' || substr(each.name, 2), each.referred, each.schema, each.target, each.referred, each.referred,
            each.records, each.own, each.referred, each.name);
    END LOOP;
END
$$;
