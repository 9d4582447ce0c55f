-- An unsubscription beside another reason. Transactional mails ignore it, so that the two are kept apart; and an address that works
-- again is still not to be written to when its owner wants no mails.

CREATE FUNCTION tabellion.make_suppression_columns(licence integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- Since when the owner wants no mails; null where that is the reason itself, or not so.
    EXECUTE format('ALTER TABLE %I.suppression ADD COLUMN unsubscribed timestamptz', 'l' || licence);
END
$$;

DO $$
DECLARE licence record;
BEGIN
    FOR licence IN SELECT id FROM tabellion.licence LOOP
        PERFORM tabellion.make_suppression_columns(licence.id);
    END LOOP;
END
$$;
