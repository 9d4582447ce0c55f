-- What came of mails, raw: with what is needed to judge again who was behind it, and for reports.

CREATE FUNCTION tabellion.make_reader_columns(licence integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE schema text := 'l' || licence;
BEGIN
    -- agent: the program that asked, as it names itself. method: GET, HEAD, or TRAP for the link that people do not see.
    -- link: which of the mail's links, from 0. device: desktop, mobile, tablet, unknown.
    EXECUTE format(
        'ALTER TABLE %I.mail_event ADD COLUMN agent text, ADD COLUMN method text, ADD COLUMN link integer, '
        'ADD COLUMN device text', schema);
END
$$;

DO $$
DECLARE licence record;
BEGIN
    FOR licence IN SELECT id FROM tabellion.licence LOOP
        PERFORM tabellion.make_reader_columns(licence.id);
    END LOOP;
END
$$;
