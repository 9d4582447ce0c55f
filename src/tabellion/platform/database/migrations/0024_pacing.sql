-- statement_timeout: 30min
-- (an index over all mails of each licence)
--
-- How fast, when and how often mails leave: limits of licences, settings of campaigns, A/B tests.

-- One document per licence; no row: no limits.
CREATE TABLE tabellion.delivery_limits (
    licence_id integer PRIMARY KEY REFERENCES tabellion.licence ON DELETE CASCADE,
    version    integer NOT NULL DEFAULT 1,
    document   jsonb NOT NULL,
    updated_at timestamptz NOT NULL
);

-- One document per campaign; no row: at once, at any hour.
CREATE TABLE tabellion.campaign_delivery (
    campaign_id bigint PRIMARY KEY REFERENCES tabellion.campaign ON DELETE CASCADE,
    document    jsonb NOT NULL,
    updated_at  timestamptz NOT NULL
);

-- Several contents for a part of an audience; `winner` is the number of the one that the others get.
CREATE TABLE tabellion.campaign_ab_test (
    campaign_id bigint PRIMARY KEY REFERENCES tabellion.campaign ON DELETE CASCADE,
    document    jsonb NOT NULL,
    decide_at   timestamptz,
    winner      smallint,
    decided_at  timestamptz,
    updated_at  timestamptz NOT NULL
);

CREATE FUNCTION tabellion.make_pacing_tables(licence integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE schema text := 'l' || licence;
BEGIN
    -- Which content of an A/B test; none: the campaign's own.
    EXECUTE format('ALTER TABLE %I.recipient ADD COLUMN variant smallint', schema);
    -- What a profile got lately is counted; `ended_at` is null as long as a mail is on its way.
    EXECUTE format('DROP INDEX %I.recipient_profile', schema);
    EXECUTE format('CREATE INDEX recipient_profile ON %I.recipient (table_id, profile_id, ended_at)', schema);
    -- When what has been let go so far will have been paid for (GCRA), by `campaign:`, `sender:` or `domain:` and what it is;
    -- `queue:` is where the mails to a domain stand that a sending has put off.
    EXECUTE format('CREATE TABLE %I.mail_rate (key text PRIMARY KEY, free_at timestamptz NOT NULL)', schema);
    -- Domains that said "later"; `pause_s` is how long the next such pause is at least.
    EXECUTE format(
        'CREATE TABLE %I.domain_hold (domain text PRIMARY KEY, until_at timestamptz NOT NULL, pause_s integer NOT NULL, '
        'reply text)', schema);
END
$$;

DO $$
DECLARE licence record;
BEGIN
    FOR licence IN SELECT id FROM tabellion.licence LOOP
        PERFORM tabellion.make_pacing_tables(licence.id);
    END LOOP;
END
$$;
