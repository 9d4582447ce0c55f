-- A relay may refuse the mails of one sending (docs/adr/0070-refused-in-a-row.md): then workers tell of both.
ALTER TABLE tabellion.mail_trouble DROP CONSTRAINT mail_trouble_check;
ALTER TABLE tabellion.mail_trouble ADD CONSTRAINT mail_trouble_check CHECK (num_nonnulls(relay_id, sending_id) >= 1);
COMMENT ON TABLE tabellion.mail_trouble IS
    'relays that cannot be used (relay_id), sendings that are interrupted (sending_id), relays that refuse the mails of a sending (both)';
