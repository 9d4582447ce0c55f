-- Why an erasure has ended without having searched everything; the person has to be erased again.
ALTER TABLE tabellion.erasure ADD COLUMN failure text;
