-- Backups: when the last one was made, and whether this database was made of one and still waits to be woken.

-- One row at most. While there is one, job workers begin nothing: no mail, webhook or file leaves.
CREATE TABLE tabellion.server_hold (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    -- The moment that the backup shows.
    backup_at  timestamptz NOT NULL,
    restored_at timestamptz NOT NULL
);

-- One row at most: the last backup that ended well.
CREATE TABLE tabellion.server_backup (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    backup_at timestamptz NOT NULL,
    bytes     bigint NOT NULL
);
