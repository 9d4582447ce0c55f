-- Until when a worker has a delivery for itself, by the clock of the database: those of two machines may be far apart.
ALTER TABLE tabellion.webhook_delivery ADD COLUMN held_until timestamptz;
