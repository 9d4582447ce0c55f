-- Imports of files. See docs/adr/0010-imports.md.

CREATE SEQUENCE tabellion.bulk_job_id AS bigint START 1000001;

CREATE TABLE tabellion.import_job (
    id               bigint PRIMARY KEY DEFAULT nextval('tabellion.bulk_job_id'),
    licence_id       integer NOT NULL REFERENCES tabellion.licence ON DELETE CASCADE,
    entity_id        integer NOT NULL REFERENCES tabellion.entity ON DELETE CASCADE,
    -- A profile table; the job outlives it.
    table_id         integer NOT NULL,
    user_id          integer,
    "order"          jsonb NOT NULL,
    -- The job's folder in the spool.
    folder           text NOT NULL,
    status           text NOT NULL DEFAULT 'QUEUED'
        CHECK (status IN ('QUEUED', 'VALIDATING', 'RUNNING', 'DONE', 'DONE_WITH_ERRORS', 'FAILED', 'CANCELLED')),
    -- Grows when a worker takes the job; what an earlier one still writes is refused.
    attempt          integer NOT NULL DEFAULT 0,
    -- Everything up to this line of the file is applied, in the transaction that says so.
    line             bigint NOT NULL DEFAULT 0,
    bytes_read       bigint NOT NULL DEFAULT 0,
    bytes            bigint NOT NULL DEFAULT 0,
    rows_created     bigint NOT NULL DEFAULT 0,
    rows_updated     bigint NOT NULL DEFAULT 0,
    rows_unchanged   bigint NOT NULL DEFAULT 0,
    rows_in_error    bigint NOT NULL DEFAULT 0,
    errors           jsonb NOT NULL DEFAULT '[]',
    created_at       timestamptz NOT NULL,
    started_at       timestamptz,
    ended_at         timestamptz
);
CREATE INDEX import_job_licence ON tabellion.import_job (licence_id, id);

-- Rows of the error file (E) and of the result file (R), block by block, until the job has ended: CSV in UTF-8, zlib.
CREATE TABLE tabellion.import_part (
    job_id  bigint NOT NULL REFERENCES tabellion.import_job ON DELETE CASCADE,
    kind    "char" NOT NULL CHECK (kind IN ('E', 'R')),
    line    bigint NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (job_id, kind, line)
);
ALTER TABLE tabellion.import_part ALTER content SET STORAGE EXTERNAL;
