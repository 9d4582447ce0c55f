-- statement_timeout: 60min
-- (an index over the profiles of each table in which several may have one address)
--
-- Profiles are looked up by their address when its owner unsubscribes, and by filters and searches. Where it is unique there is an
-- index already. Name and expression are those of the code (tables/store.py). ANALYZE, since the planner knows nothing of what an
-- index computes; an empty table had better stay one that nobody has looked at.
DO $$
DECLARE
    each record;
    filled boolean;
BEGIN
    FOR each IN
        SELECT 'l' || t.licence_id AS schema, 'p' || t.id AS name, 'a' || (a ->> 'number') AS address,
            format('i%s_a%s', t.id, a ->> 'number') AS index
        FROM tabellion.profile_table t CROSS JOIN LATERAL jsonb_array_elements(t.definition -> 'attributes') a
        WHERE a ->> 'type' = 'EMAIL_ADDRESS' AND coalesce(a ->> 'unique', 'false') = 'false'
        ORDER BY t.id
    LOOP
        EXECUTE format('DROP INDEX IF EXISTS %I.%I', each.schema, each.index);
        EXECUTE format('CREATE INDEX %I ON %I.%I (lower(%I))', each.index, each.schema, each.name, each.address);
        EXECUTE format('SELECT EXISTS (SELECT FROM %I.%I)', each.schema, each.name) INTO filled;
        IF filled THEN
            EXECUTE format('ANALYZE %I.%I', each.schema, each.name);
        END IF;
    END LOOP;
END
$$;
