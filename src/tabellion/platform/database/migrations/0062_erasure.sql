-- People who are erased (docs/adr/0063-erasing-a-person.md).

-- What was asked, without the address: what was found and is gone, as counts.
CREATE TABLE tabellion.erasure (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    licence_id integer NOT NULL REFERENCES tabellion.licence ON DELETE CASCADE,
    asked_at   timestamptz NOT NULL,
    -- Null: files are still being searched, or a mail was on its way.
    ended_at   timestamptz,
    suppressed boolean NOT NULL,
    counts     jsonb NOT NULL
);
CREATE INDEX erasure_licence ON tabellion.erasure (licence_id, id);

CREATE FUNCTION tabellion.make_erasure_tables(licence integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- Addresses of erased people who want no mails: the HMAC of the address as `suppression` has it, under a key of the licence's
    -- that the database does not hold.
    EXECUTE format(
        'CREATE TABLE %I.suppression_hash ('
        'hash bytea PRIMARY KEY, reason text NOT NULL, since timestamptz NOT NULL, unsubscribed timestamptz)', 'l' || licence);
END
$$;

DO $$
DECLARE licence record;
BEGIN
    FOR licence IN SELECT id FROM tabellion.licence LOOP
        PERFORM tabellion.make_erasure_tables(licence.id);
    END LOOP;
END
$$;
