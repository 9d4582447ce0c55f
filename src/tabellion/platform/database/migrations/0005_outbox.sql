-- The outbox: news of a licence, written in the transaction of the change and taken out by whoever passes it on.

-- What somebody listens to. Writers keep it in memory, by the licence's catalogue version.
CREATE TABLE tabellion.outbox_interest (
    licence_id   integer NOT NULL REFERENCES tabellion.licence ON DELETE CASCADE,
    subject_kind text NOT NULL,
    subject_id   text NOT NULL,
    event_type   text NOT NULL,
    PRIMARY KEY (licence_id, subject_kind, subject_id, event_type)
);

CREATE TABLE tabellion.outbox_event (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    licence_id   integer NOT NULL REFERENCES tabellion.licence ON DELETE CASCADE,
    subject_kind text NOT NULL,
    subject_id   text NOT NULL,
    event_type   text NOT NULL,
    fields       text[],
    data         jsonb NOT NULL,
    rows         integer CHECK (rows > 0),
    occurred_at  timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
COMMENT ON COLUMN tabellion.outbox_event.fields IS 'what the event involves, in the words of its writer (columns, names)';
COMMENT ON COLUMN tabellion.outbox_event.rows IS
    'null: one event; else a block of a bulk call, whose data is an array of this many {"fields", "data"}';
