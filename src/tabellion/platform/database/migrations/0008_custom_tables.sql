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
