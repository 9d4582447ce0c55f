-- The shared catalogue. User-defined tables live in one schema per licence (l<id>), never here.

CREATE TABLE tabellion.licence (
    id                  integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name                text NOT NULL CONSTRAINT licence_name_not_blank CHECK (name <> ''),
    time_zone           text NOT NULL DEFAULT 'UTC',
    -- Grows with every change of the licence's users, entities, limits and tables; the gate hands it to the callers,
    -- so that what a process keeps in memory is known to be stale in the same round trip.
    catalogue_version   bigint NOT NULL DEFAULT 1,
    preset              text NOT NULL DEFAULT 'classic' CHECK (preset IN ('classic', 'current', 'unlimited', 'custom')),
    max_users           integer CHECK (max_users >= 0),
    calls_per_minute    integer CHECK (calls_per_minute > 0),
    window_seconds      integer NOT NULL DEFAULT 60 CHECK (window_seconds BETWEEN 1 AND 3600),
    on_excess           text NOT NULL DEFAULT 'SLOW_DOWN' CHECK (on_excess IN ('SLOW_DOWN', 'REJECT')),
    max_wait_seconds    integer NOT NULL DEFAULT 25 CHECK (max_wait_seconds BETWEEN 0 AND 60),
    max_concurrent      integer CHECK (max_concurrent > 0),
    bulk_per_day        integer CHECK (bulk_per_day >= 0),
    bulk_scope          text NOT NULL DEFAULT 'LICENCE' CHECK (bulk_scope IN ('LICENCE', 'TABLE')),
    max_bulk_file_bytes bigint NOT NULL DEFAULT 104857600 CHECK (max_bulk_file_bytes > 0),
    created_at          timestamptz NOT NULL
);
COMMENT ON COLUMN tabellion.licence.calls_per_minute IS 'calls per window_seconds; null: no limit';
CREATE UNIQUE INDEX licence_name_key ON tabellion.licence (lower(name));

CREATE TABLE tabellion.entity (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    licence_id integer NOT NULL REFERENCES tabellion.licence ON DELETE CASCADE,
    name       text NOT NULL,
    comment    text,
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX entity_name_key ON tabellion.entity (licence_id, lower(name));

CREATE TABLE tabellion.api_user (
    id                 integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    licence_id         integer NOT NULL REFERENCES tabellion.licence ON DELETE CASCADE,
    login              text NOT NULL,
    application        text,
    email              text,
    rights             jsonb NOT NULL,
    entity_ids         integer[],
    default_entity_id  integer REFERENCES tabellion.entity ON DELETE SET NULL,
    api_key_hash       bytea NOT NULL CONSTRAINT api_user_api_key_hash_key UNIQUE,
    password_hash      text NOT NULL,
    -- Grows when the credentials are rotated; a password found good earlier is good for this version only.
    credential_version integer NOT NULL DEFAULT 1,
    created_at         timestamptz NOT NULL
);
COMMENT ON COLUMN tabellion.api_user.entity_ids IS 'null: every entity of the licence';
CREATE UNIQUE INDEX api_user_login_key ON tabellion.api_user (licence_id, lower(login));

CREATE TABLE tabellion.access_token (
    hash       bytea PRIMARY KEY,
    user_id    integer NOT NULL REFERENCES tabellion.api_user ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);
CREATE INDEX access_token_user ON tabellion.access_token (user_id);
CREATE INDEX access_token_expiry ON tabellion.access_token (expires_at);

-- Failed authentications, by user ('user:licence/login') and by address ('address:192.0.2.1').
CREATE TABLE tabellion.auth_failure (
    subject  text PRIMARY KEY,
    failures integer NOT NULL,
    since    timestamptz NOT NULL
);

-- One row per process that admits calls. A process whose heartbeat is older than its lease is dead: its slots are free.
CREATE SEQUENCE tabellion.usage_process_id AS integer CYCLE;
CREATE TABLE tabellion.usage_process (
    id          integer PRIMARY KEY,
    alive_until timestamptz NOT NULL
);

CREATE TABLE tabellion.usage_slot (
    licence_id integer NOT NULL REFERENCES tabellion.licence ON DELETE CASCADE,
    process_id integer NOT NULL REFERENCES tabellion.usage_process ON DELETE CASCADE,
    in_flight  integer NOT NULL CHECK (in_flight >= 0),
    PRIMARY KEY (licence_id, process_id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

CREATE TABLE tabellion.usage_state (
    licence_id   integer PRIMARY KEY REFERENCES tabellion.licence ON DELETE CASCADE,
    -- GCRA's theoretical arrival time (slow-down mode), in seconds since 1970: the gate calculates in seconds.
    arrival      double precision NOT NULL DEFAULT 0,
    day          date NOT NULL,
    calls        bigint NOT NULL DEFAULT 0,
    slowed_down  bigint NOT NULL DEFAULT 0,
    refused      bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- The exact sliding-window log (reject mode): one row per admitted call still inside the window.
CREATE TABLE tabellion.usage_call (
    licence_id integer NOT NULL REFERENCES tabellion.licence ON DELETE CASCADE,
    at         timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX usage_call_window ON tabellion.usage_call (licence_id, at);

-- Accepted bulk calls per day of the licence's time zone; table_id '' counts the whole licence.
CREATE TABLE tabellion.usage_bulk (
    licence_id integer NOT NULL REFERENCES tabellion.licence ON DELETE CASCADE,
    day        date NOT NULL,
    table_id   text NOT NULL,
    accepted   integer NOT NULL,
    PRIMARY KEY (licence_id, day, table_id)
);

CREATE TABLE tabellion.profile_table (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    licence_id integer NOT NULL REFERENCES tabellion.licence ON DELETE CASCADE,
    entity_id  integer NOT NULL REFERENCES tabellion.entity ON DELETE CASCADE,
    name       text NOT NULL,
    version    integer NOT NULL DEFAULT 1,
    definition jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX profile_table_name_key ON tabellion.profile_table (entity_id, lower(name));
CREATE INDEX profile_table_licence ON tabellion.profile_table (licence_id);

CREATE TABLE tabellion.idempotency (
    licence_id  integer NOT NULL REFERENCES tabellion.licence ON DELETE CASCADE,
    user_id     integer NOT NULL,
    route       text NOT NULL,
    key         text NOT NULL,
    fingerprint bytea NOT NULL,
    status      smallint NOT NULL,
    headers     jsonb NOT NULL,
    body        bytea NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (licence_id, user_id, route, key)
);
CREATE INDEX idempotency_age ON tabellion.idempotency (created_at);

CREATE TABLE tabellion.audit (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL,
    licence_id integer NOT NULL,
    user_id    integer,
    actor      text NOT NULL,
    route      text NOT NULL,
    object     text NOT NULL,
    request_id text NOT NULL
);
COMMENT ON TABLE tabellion.audit IS 'append-only: who did what to which object; ids only, no values';
COMMENT ON COLUMN tabellion.audit.actor IS 'login of the API user, or "cli"';
CREATE INDEX audit_licence ON tabellion.audit (licence_id, at);
