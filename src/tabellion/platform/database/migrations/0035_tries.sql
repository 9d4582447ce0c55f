-- How often it was tried to hand a mail over. `attempt` numbers its claims, and many of those come to nothing (a pause, a relay that
-- takes no more connections): it has to grow with each, since whoever writes with an old number is to change nothing.

CREATE FUNCTION tabellion.make_tries_column(licence integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I.recipient ADD COLUMN tries smallint NOT NULL DEFAULT 0', 'l' || licence);
END
$$;

DO $$
DECLARE licence record;
BEGIN
    FOR licence IN SELECT id FROM tabellion.licence LOOP
        PERFORM tabellion.make_tries_column(licence.id);
        -- Of the others nobody asks any more, or they have not been tried.
        EXECUTE format('UPDATE %I.recipient SET tries = attempt WHERE state = %L', 'l' || licence.id, 'DEFERRED');
    END LOOP;
END
$$;
