-- What is personal in old mails goes by night, if the operator says so: up to where it is done, of each licence.
CREATE TABLE tabellion.mail_retention (
    licence_id   integer PRIMARY KEY REFERENCES tabellion.licence ON DELETE CASCADE,
    recipient_id bigint NOT NULL DEFAULT 0,
    event_id     bigint NOT NULL DEFAULT 0,
    -- Campaigns with mails before `recipient_id` that were not over yet.
    late         bigint[] NOT NULL DEFAULT '{}'
);
