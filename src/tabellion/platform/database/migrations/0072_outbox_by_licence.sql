-- News are taken out by turns of the licences, of each in order.
ALTER TABLE tabellion.outbox_event DROP CONSTRAINT outbox_event_pkey, ADD PRIMARY KEY (licence_id, id);
