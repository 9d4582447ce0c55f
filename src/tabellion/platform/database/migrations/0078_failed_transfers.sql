-- How often a file server has failed an execution: attempts also end with their worker, or to give way.
ALTER TABLE tabellion.etl_execution ADD COLUMN failed_transfers integer NOT NULL DEFAULT 0;
ALTER TABLE tabellion.export_execution ADD COLUMN failed_transfers integer NOT NULL DEFAULT 0;
