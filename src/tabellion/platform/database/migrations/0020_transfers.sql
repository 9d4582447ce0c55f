-- File transfers (contract, section 17): servers, folders on them, and what ETLs have read from them.

CREATE TABLE tabellion.transfer_server (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    licence_id integer NOT NULL REFERENCES tabellion.licence ON DELETE CASCADE,
    entity_id  integer NOT NULL REFERENCES tabellion.entity ON DELETE CASCADE,
    name       text NOT NULL,
    -- The document as it is answered, without id, name and secrets.
    definition jsonb NOT NULL,
    -- Password and private key, sealed with the server's key.
    secrets    text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX transfer_server_name_key ON tabellion.transfer_server (entity_id, lower(name));
CREATE INDEX transfer_server_licence ON tabellion.transfer_server (licence_id);

CREATE TABLE tabellion.transfer_location (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    licence_id integer NOT NULL REFERENCES tabellion.licence ON DELETE CASCADE,
    entity_id  integer NOT NULL REFERENCES tabellion.entity ON DELETE CASCADE,
    server_id  integer NOT NULL REFERENCES tabellion.transfer_server,
    name       text NOT NULL,
    path       text NOT NULL,
    after_read text NOT NULL,
    move_to    text,
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX transfer_location_name_key ON tabellion.transfer_location (entity_id, lower(name));
CREATE INDEX transfer_location_licence ON tabellion.transfer_location (licence_id);
CREATE INDEX transfer_location_server ON tabellion.transfer_location (server_id);

-- What of an ETL's document the database has to know: who uses the location, and when it is looked at next.
ALTER TABLE tabellion.etl ADD COLUMN location_id integer REFERENCES tabellion.transfer_location;
ALTER TABLE tabellion.etl ADD COLUMN next_run_at timestamptz;
ALTER TABLE tabellion.etl ADD COLUMN looked_at timestamptz;
ALTER TABLE tabellion.etl ADD COLUMN look_error text;
-- Where an execution fetches its files; null: they were sent.
ALTER TABLE tabellion.etl_execution ADD COLUMN location_id integer;
CREATE INDEX etl_location ON tabellion.etl (location_id) WHERE location_id IS NOT NULL;
CREATE INDEX etl_due ON tabellion.etl (next_run_at) WHERE is_active AND next_run_at IS NOT NULL;
ALTER TABLE tabellion.export ADD COLUMN location_id integer REFERENCES tabellion.transfer_location;
CREATE INDEX export_location ON tabellion.export (location_id) WHERE location_id IS NOT NULL;

-- A file of a location that an ETL has taken; it is taken again when size or stamp have changed.
CREATE TABLE tabellion.etl_source_file (
    etl_id       integer NOT NULL REFERENCES tabellion.etl ON DELETE CASCADE,
    name         text NOT NULL,
    size         bigint NOT NULL,
    stamp        text NOT NULL,
    execution_id bigint NOT NULL,
    PRIMARY KEY (etl_id, name)
);
CREATE INDEX etl_source_file_execution ON tabellion.etl_source_file (execution_id);
