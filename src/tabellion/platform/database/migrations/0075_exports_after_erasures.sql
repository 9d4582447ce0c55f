-- Exports that were accepted up to then may show whom an import had brought back after the erasure. Null: nobody came back;
-- infinity: they have just been deleted, and exports still begin that do not know it.
ALTER TABLE tabellion.erasure ADD COLUMN shown_until timestamptz;
