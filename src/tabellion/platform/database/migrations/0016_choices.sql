-- A profile's present choices carry where they come from; `consent` keeps what they replaced. So a new profile is one row, and
-- a bulk load writes no other. Who made a choice is in the audit trail.
-- statement_timeout: 4h
DO $$
DECLARE found record;
BEGIN
    FOR found IN
        SELECT table_schema AS schema FROM information_schema.tables
        WHERE table_schema ~ '^l[0-9]+$' AND table_name = 'consent'
    LOOP
        EXECUTE format('ALTER TABLE %I.consent ADD COLUMN details jsonb', found.schema);
        EXECUTE format(
            'UPDATE %I.consent SET details = jsonb_strip_nulls(jsonb_build_object(''way'', way, ''collectedAt'', '
            'to_char(collected_at AT TIME ZONE ''UTC'', ''YYYY-MM-DD"T"HH24:MI:SS.US"Z"''))) '
            'WHERE way IS NOT NULL OR collected_at IS NOT NULL', found.schema);
        EXECUTE format(
            'ALTER TABLE %I.consent DROP COLUMN way, DROP COLUMN collected_at, DROP COLUMN user_id', found.schema);
    END LOOP;
    FOR found IN
        SELECT table_schema AS schema, table_name AS relation, left(column_name, -7) AS name
        FROM information_schema.columns
        WHERE table_schema ~ '^l[0-9]+$' AND table_name ~ '^p[0-9]+$' AND column_name ~ '^s[0-9]+_source$'
    LOOP
        EXECUTE format('ALTER TABLE %I.%I ADD COLUMN %I jsonb', found.schema, found.relation, found.name || '_details');
        EXECUTE format(
            'WITH present AS ('
            'DELETE FROM %1$I.consent c USING %1$I.%2$I t '
            'WHERE c.table_id = %3$s AND c.profile_id = t.id AND c.subscription = %4$s AND c.moment = t.%6$I '
            'AND c.subscribed = t.%5$I RETURNING c.*) '
            'UPDATE %1$I.%2$I t SET %7$I = present.details '
            'FROM present WHERE t.id = present.profile_id AND present.details IS NOT NULL',
            found.schema, found.relation, substr(found.relation, 2), substr(found.name, 2), found.name,
            found.name || '_at', found.name || '_details');
    END LOOP;
END
$$;
