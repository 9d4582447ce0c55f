-- Changed limits and sending hours reach the mails that were put off under the old ones.

-- Claims under an older version than this claim nothing; no row: 0.
ALTER TABLE tabellion.campaign_delivery ADD COLUMN version integer NOT NULL DEFAULT 1;

-- Sendings whose mails are to be looked at again, for what they were put off for was changed; senders carry it out.
CREATE TABLE tabellion.mail_recall (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sending_id bigint NOT NULL REFERENCES tabellion.sending ON DELETE CASCADE,
    asked_at   timestamptz NOT NULL
);
CREATE INDEX mail_recall_sending ON tabellion.mail_recall (sending_id);
