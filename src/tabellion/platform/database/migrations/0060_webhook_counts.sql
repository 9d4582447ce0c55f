-- How attempts to deliver webhooks ended, of all licences together, since this was made: for /metrics. One row.
CREATE TABLE tabellion.webhook_count (
    only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    delivered bigint NOT NULL DEFAULT 0,
    failed    bigint NOT NULL DEFAULT 0,
    given_up  bigint NOT NULL DEFAULT 0
);
INSERT INTO tabellion.webhook_count DEFAULT VALUES;
COMMENT ON COLUMN tabellion.webhook_count.failed IS 'attempts that failed, also the last one of a delivery that is given up';
