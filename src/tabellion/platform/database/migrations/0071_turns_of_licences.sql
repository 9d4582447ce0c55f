-- When a licence last had a turn of the workers (docs/adr/0067-imports-give-way.md). Of those with nothing at work, the one whose turn
-- is longest ago comes next. Forgotten after a day.
CREATE TABLE tabellion.job_turn (
    queue_name text PRIMARY KEY,
    at         timestamptz NOT NULL
);
