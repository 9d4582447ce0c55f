-- Mails that come back, and complaints: where they come back to, what is known of them, and what follows.

-- The domain of the return paths of an entity's mails; empty: the server's, if it has one.
ALTER TABLE tabellion.sender ADD COLUMN bounce_domain text NOT NULL DEFAULT '';
-- When the sending was held because of complaints. It happens once: whoever lets it go on after that means it.
ALTER TABLE tabellion.sending ADD COLUMN complaints_at timestamptz;

CREATE FUNCTION tabellion.make_bounce_tables(licence integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE schema text := 'l' || licence;
BEGIN
    -- A mail bounces once and is complained about once, however often that is reported.
    EXECUTE format(
        'CREATE UNIQUE INDEX mail_event_bounce ON %I.mail_event (recipient_id) WHERE type IN (''SOFT_BOUNCE'', ''HARD_BOUNCE'')',
        schema);
    EXECUTE format(
        'CREATE UNIQUE INDEX mail_event_complaint ON %I.mail_event (recipient_id) WHERE type = ''COMPLAINT''', schema);
    -- Soft bounces of addresses, in lower case, that are not suppressed for them yet. `mark` tells one from another.
    EXECUTE format(
        'CREATE TABLE %I.soft_bounce ('
        'address text NOT NULL, mark text NOT NULL, moment timestamptz NOT NULL, PRIMARY KEY (address, mark))', schema);
END
$$;

DO $$
DECLARE licence record;
BEGIN
    FOR licence IN SELECT id FROM tabellion.licence LOOP
        PERFORM tabellion.make_bounce_tables(licence.id);
    END LOOP;
END
$$;
