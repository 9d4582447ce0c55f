-- A campaign that is deleted takes its sendings along, tests too, for which there was no index: each campaign of a licence that was
-- erased read all sendings of all licences.
CREATE INDEX sending_of_campaign ON tabellion.sending (campaign_id);
