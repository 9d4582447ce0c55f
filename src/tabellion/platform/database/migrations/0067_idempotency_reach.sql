-- A kept answer is given to a caller who may still use what it could use then.
ALTER TABLE tabellion.idempotency ADD COLUMN entities integer[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN tabellion.idempotency.entities IS 'those that the user could use at the time';
