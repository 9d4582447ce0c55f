-- statement_timeout: 30min
-- (an index over all mails of each licence; only those that are tried again are in it)
--
-- Reports say why mails are pending (docs/adr/0061-why-mails-are-pending.md).

-- What keeps workers from sending, as they see it themselves, for as long as it lasts. Gone with its worker.
CREATE TABLE tabellion.mail_trouble (
    worker_id  integer NOT NULL REFERENCES tabellion.mail_worker ON DELETE CASCADE,
    -- One of the two: a relay that cannot be used, or a sending that is interrupted.
    relay_id   integer REFERENCES tabellion.relay ON DELETE CASCADE,
    sending_id bigint REFERENCES tabellion.sending ON DELETE CASCADE,
    wrong      text NOT NULL,
    CHECK (num_nonnulls(relay_id, sending_id) = 1)
);

CREATE FUNCTION tabellion.make_retry_index(licence integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE schema text := 'l' || licence;
BEGIN
    -- Retries are told from what limits have put off without reading all of that.
    EXECUTE format(
        'CREATE INDEX recipient_retry ON %I.recipient (sending_id, due_at) '
        'WHERE state = ''DEFERRED'' AND worker IS NOT NULL', schema);
END
$$;

DO $$
DECLARE licence record;
BEGIN
    FOR licence IN SELECT id FROM tabellion.licence LOOP
        PERFORM tabellion.make_retry_index(licence.id);
    END LOOP;
END
$$;
