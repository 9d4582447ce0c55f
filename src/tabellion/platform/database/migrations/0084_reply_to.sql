-- Where answers to the mails of an entity go, unless the campaign says; empty: to the address that they are from.
ALTER TABLE tabellion.sender ADD COLUMN reply_to text NOT NULL DEFAULT '';
