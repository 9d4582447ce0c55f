-- The tables, by their ids on the wire, in which the person was: exports of these may show them without their address.
ALTER TABLE tabellion.erasure ADD COLUMN tables text[] NOT NULL DEFAULT '{}';
