-- Bulk jobs that were being worked on when something died: how often in a row, without having come further.
-- A job that is left in an orderly way, done or not, has no row.
CREATE TABLE tabellion.bulk_start (
    lock     integer NOT NULL,  -- of the kind of jobs
    number   bigint NOT NULL,
    starts   integer NOT NULL,
    progress bigint NOT NULL,   -- at the first of these starts
    PRIMARY KEY (lock, number)
);
