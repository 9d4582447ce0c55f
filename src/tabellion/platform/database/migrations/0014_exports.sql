-- Exports (contract, section 18): stored definitions, and executions that write one file each.

CREATE TABLE tabellion.export (
    id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    licence_id  integer NOT NULL REFERENCES tabellion.licence ON DELETE CASCADE,
    entity_id   integer NOT NULL REFERENCES tabellion.entity ON DELETE CASCADE,
    name        text NOT NULL,
    is_active   boolean NOT NULL,
    -- The document as it is answered, without id, name and isActive.
    definition  jsonb NOT NULL,
    -- When the schedule starts the next execution; null: never.
    next_run_at timestamptz,
    -- Rows changed since are what an incremental execution takes; null: all.
    changed_since timestamptz,
    created_at  timestamptz NOT NULL
);
CREATE UNIQUE INDEX export_name_key ON tabellion.export (entity_id, lower(name));
CREATE INDEX export_licence ON tabellion.export (licence_id);
CREATE INDEX export_due ON tabellion.export (next_run_at) WHERE is_active AND next_run_at IS NOT NULL;

CREATE TABLE tabellion.export_execution (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    licence_id    integer NOT NULL REFERENCES tabellion.licence ON DELETE CASCADE,
    entity_id     integer NOT NULL REFERENCES tabellion.entity ON DELETE CASCADE,
    -- Null for a one-shot; the execution outlives its export.
    export_id     integer,
    definition    jsonb NOT NULL,
    changed_since timestamptz,
    folder        text NOT NULL,
    status        text NOT NULL DEFAULT 'QUEUED',
    attempt       integer NOT NULL DEFAULT 0,
    rows_exported bigint NOT NULL DEFAULT 0,
    -- What the planner expects; only for the percentage.
    rows_expected bigint NOT NULL DEFAULT 0,
    bytes         bigint,
    sha256        text,
    errors        jsonb NOT NULL DEFAULT '[]',
    created_at    timestamptz NOT NULL,
    started_at    timestamptz,
    ended_at      timestamptz
);
CREATE INDEX export_execution_licence ON tabellion.export_execution (licence_id, entity_id, id);
CREATE INDEX export_execution_ended ON tabellion.export_execution (ended_at);
