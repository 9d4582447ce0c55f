-- Custom tables: the same catalogue as that of profile tables. The id on the wire, a UUID, is part of the definition.

CREATE TABLE tabellion.custom_table (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    licence_id integer NOT NULL REFERENCES tabellion.licence ON DELETE CASCADE,
    entity_id  integer NOT NULL REFERENCES tabellion.entity ON DELETE CASCADE,
    name       text NOT NULL,
    version    integer NOT NULL DEFAULT 1,
    definition jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX custom_table_name_key ON tabellion.custom_table (entity_id, lower(name));
CREATE INDEX custom_table_licence ON tabellion.custom_table (licence_id);

-- Imports: into tables of both kinds, and on after a crash from a place in the file, not from its beginning. `bytes_read` is
-- that place, `bytes_line` the line there; rows from it up to `line` are applied already.
ALTER TABLE tabellion.import_job ADD COLUMN table_kind text NOT NULL DEFAULT 'PROFILE_TABLE'
    CHECK (table_kind IN ('PROFILE_TABLE', 'CUSTOM_TABLE'));
ALTER TABLE tabellion.import_job ALTER COLUMN table_kind DROP DEFAULT;
ALTER TABLE tabellion.import_job ADD COLUMN bytes_line bigint NOT NULL DEFAULT 0;
-- What was read before was counted roughly: such a job goes on from the file's beginning.
UPDATE tabellion.import_job SET bytes_read = 0 WHERE ended_at IS NULL;
