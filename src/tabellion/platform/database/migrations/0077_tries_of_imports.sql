-- When an import that was tried again was at work before, and since when it has been the last time; null: since `started_at`.
ALTER TABLE tabellion.import_job ADD COLUMN tries tstzmultirange NOT NULL DEFAULT '{}';
ALTER TABLE tabellion.import_job ADD COLUMN taken_up_at timestamptz;
