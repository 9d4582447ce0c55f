-- ETLs (contract, section 16): stored definitions, and executions of one or more files, each loaded by an import of its own.

CREATE TABLE tabellion.etl (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    licence_id integer NOT NULL REFERENCES tabellion.licence ON DELETE CASCADE,
    entity_id  integer NOT NULL REFERENCES tabellion.entity ON DELETE CASCADE,
    name       text NOT NULL,
    is_active  boolean NOT NULL,
    -- The document as it is answered, without id, name and isActive.
    definition jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX etl_name_key ON tabellion.etl (entity_id, lower(name));
CREATE INDEX etl_licence ON tabellion.etl (licence_id);

CREATE TABLE tabellion.etl_execution (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    licence_id integer NOT NULL REFERENCES tabellion.licence ON DELETE CASCADE,
    entity_id  integer NOT NULL REFERENCES tabellion.entity ON DELETE CASCADE,
    -- Null for a one-shot; the execution outlives its ETL.
    etl_id     integer,
    user_id    integer,
    definition jsonb NOT NULL,
    -- What was sent: its place in the folder, and its name, which is for people and for patterns.
    uploads    jsonb NOT NULL,
    folder     text NOT NULL,
    status     text NOT NULL DEFAULT 'QUEUED',
    attempt    integer NOT NULL DEFAULT 0,
    errors     jsonb NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    ended_at   timestamptz
);
CREATE INDEX etl_execution_licence ON tabellion.etl_execution (licence_id, entity_id, id);
CREATE INDEX etl_execution_ended ON tabellion.etl_execution (ended_at);

-- An import that is part of an execution; such imports are not seen by the calls of v4.
ALTER TABLE tabellion.import_job ADD COLUMN execution_id bigint REFERENCES tabellion.etl_execution ON DELETE CASCADE;
ALTER TABLE tabellion.import_job ADD COLUMN file_name text;
-- Its place among the files of the definition.
ALTER TABLE tabellion.import_job ADD COLUMN file_number integer;
CREATE INDEX import_job_execution ON tabellion.import_job (execution_id) WHERE execution_id IS NOT NULL;
