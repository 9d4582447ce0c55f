-- statement_timeout: 30min
-- (an index over all mails of each licence)
--
-- A mass campaign sends at most one mail to an address: claims look whether an address is taken. The hash keeps the index small;
-- the expression is that of the code (delivery/sole_mails.py). It takes the place of the index by campaign alone.

CREATE FUNCTION tabellion.make_address_index(licence integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE schema text := 'l' || licence;
BEGIN
    EXECUTE format('DROP INDEX %I.recipient_campaign', schema);
    EXECUTE format(
        'CREATE INDEX recipient_campaign ON %I.recipient (campaign_id, hashtext('
        'CASE WHEN octet_length(address) = length(address) THEN lower(address) ELSE tabellion.folded(address) END))', schema);
END
$$;

DO $$
DECLARE licence record;
BEGIN
    FOR licence IN SELECT id FROM tabellion.licence LOOP
        PERFORM tabellion.make_address_index(licence.id);
    END LOOP;
END
$$;
