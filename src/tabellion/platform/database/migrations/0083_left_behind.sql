-- What deletions left behind. Choices that profiles had made before, where a deletion had waited for a change of the profile:
-- also after the person was erased. And tests whose campaign was deleted and whose worker died after that: they took a place
-- in the limits of their domain for good.
-- statement_timeout: 60min
DO $$
DECLARE found record;
BEGIN
    FOR found IN
        SELECT c.table_schema AS schema, t.table_name AS relation
        FROM information_schema.tables c JOIN information_schema.tables t ON t.table_schema = c.table_schema
        WHERE c.table_schema ~ '^l[0-9]+$' AND c.table_name = 'consent' AND t.table_name ~ '^p[0-9]+$'
    LOOP
        EXECUTE format(
            'DELETE FROM %1$I.consent c WHERE c.table_id = %3$s AND NOT EXISTS ('
            'SELECT FROM %1$I.%2$I t WHERE t.id = c.profile_id)', found.schema, found.relation, substr(found.relation, 2));
    END LOOP;
    FOR found IN
        SELECT table_schema AS schema FROM information_schema.tables
        WHERE table_schema ~ '^l[0-9]+$' AND table_name = 'recipient'
    LOOP
        EXECUTE format(
            'UPDATE %I.recipient r SET state = CASE WHEN r.state = ''CLAIMED'' THEN ''PLANNED'' ELSE ''UNCERTAIN'' END '
            'WHERE r.state IN (''CLAIMED'', ''SENDING'') AND NOT EXISTS ('
            'SELECT FROM tabellion.sending s WHERE s.id = r.sending_id) AND NOT EXISTS ('
            'SELECT FROM tabellion.mail_worker w WHERE w.id = r.worker)', found.schema);
    END LOOP;
END
$$;
