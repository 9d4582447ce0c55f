-- Keys (sealed) of selectors that a sender had and uses no more. A record that was published stays good: whoever names the selector
-- again signs with the key that it is of.
CREATE TABLE tabellion.sender_key (
    entity_id integer NOT NULL REFERENCES tabellion.entity ON DELETE CASCADE,
    domain    text NOT NULL,
    selector  text NOT NULL,
    key       text NOT NULL,
    PRIMARY KEY (entity_id, domain, selector)
);

-- Licences that have had a relay: their mails are meant to leave, and wait for another one when the last is taken away.
CREATE TABLE tabellion.relayed (
    licence_id integer PRIMARY KEY REFERENCES tabellion.licence ON DELETE CASCADE
);
INSERT INTO tabellion.relayed (licence_id) SELECT DISTINCT licence_id FROM tabellion.relay;
