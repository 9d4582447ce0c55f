-- Why somebody overrode a check, in their own words; with what was overridden.
ALTER TABLE tabellion.audit ADD COLUMN note text;
COMMENT ON TABLE tabellion.audit IS 'append-only: who did what to which object; ids only, no values but reasons';
COMMENT ON COLUMN tabellion.audit.note IS 'what was overridden and the reason that was given; mostly null';
