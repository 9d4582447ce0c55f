-- statement_timeout: 30min
-- (an index over all mails of each licence; only those in doubt are in it)
--
-- Reports of large campaigns answer at once: what a report adds up is kept as sums, and what was changed since they were made is noted
-- in the transaction of the change (docs/adr/0059-report-sums.md).

-- Campaigns to be counted from their mails. Not `usable`: there are no sums that could be used meanwhile.
CREATE TABLE tabellion.report_recount (
    campaign_id bigint PRIMARY KEY REFERENCES tabellion.campaign ON DELETE CASCADE,
    licence_id  integer NOT NULL REFERENCES tabellion.licence ON DELETE CASCADE,
    usable      boolean NOT NULL
);
INSERT INTO tabellion.report_recount (campaign_id, licence_id, usable)
SELECT campaign_id, licence_id, false FROM tabellion.sending WHERE NOT test;

CREATE FUNCTION tabellion.make_report_tables(licence integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE schema text := 'l' || licence;
BEGIN
    -- What was changed since the sums were made; rows are deleted when they are in them.
    -- state, reason, number: recipients that were entered (TARGETED, and by VARIANT), or get nothing (EXCLUDED, FAILED).
    -- sent: recipients whose mails were accepted or refused.
    -- recipient_id, event_id, was: an event that came (`was` null), or that was changed: what it was before.
    EXECUTE format(
        'CREATE TABLE %I.report_change ('
        'id bigint GENERATED ALWAYS AS IDENTITY, campaign_id bigint NOT NULL, state text, reason text, number bigint, '
        'sent bigint[], recipient_id bigint, event_id bigint, was jsonb)', schema);
    EXECUTE format('CREATE INDEX report_change_campaign ON %I.report_change (campaign_id)', schema);
    -- Recipients and what came of their mails by what a report tells apart: `part` says what `key` is.
    EXECUTE format(
        'CREATE TABLE %I.report_sum ('
        'campaign_id bigint NOT NULL, part text NOT NULL, key text[] COLLATE "C" NOT NULL, label text, '
        'mails bigint NOT NULL, soft bigint NOT NULL, hard bigint NOT NULL, opens bigint NOT NULL, unique_opens bigint NOT NULL, '
        'clicks bigint NOT NULL, unique_clicks bigint NOT NULL, unsubscribes bigint NOT NULL, complaints bigint NOT NULL, '
        'PRIMARY KEY (campaign_id, part, key))', schema);
    -- What is in doubt may still be cleared up, and is counted each time.
    EXECUTE format(
        'CREATE INDEX recipient_uncertain ON %I.recipient (campaign_id) WHERE state = ''UNCERTAIN''', schema);
END
$$;

DO $$
DECLARE licence record;
BEGIN
    FOR licence IN SELECT id FROM tabellion.licence LOOP
        PERFORM tabellion.make_report_tables(licence.id);
    END LOOP;
END
$$;
