-- statement_timeout: 30min
-- The time-out: making the index reads the trail, which may have a hundred million rows; 5 million took 0.25 s.

-- What an API user authenticated with: 'key', 'token' or 'password'. Null: nobody did, or it was not kept yet.
ALTER TABLE tabellion.audit ADD COLUMN credential text;
COMMENT ON COLUMN tabellion.audit.credential IS 'what the API user authenticated with: key, token or password';

-- The trail is written with every change, and read when somebody asks. The index by licence was a sixth of its room and a quarter of the
-- log that a row writes, for what is asked rarely; rows are in nearly the order of time, so that an index of the moments by
-- blocks of pages is some kilobytes and finds both the end of the trail and what is too old (docs/adr/0036-audit-trail.md).
DROP INDEX tabellion.audit_licence;
CREATE INDEX audit_at ON tabellion.audit USING brin (at) WITH (pages_per_range = 128, autosummarize = on);
