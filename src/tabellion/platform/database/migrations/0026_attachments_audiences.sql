-- Files that go with triggered mails, and saved audiences with their lists of keys.

-- Whom campaigns are for, under a name of its own.
CREATE TABLE tabellion.audience (
    id         bigint GENERATED ALWAYS AS IDENTITY (START 1001) PRIMARY KEY,
    licence_id integer NOT NULL REFERENCES tabellion.licence ON DELETE CASCADE,
    entity_id  integer NOT NULL REFERENCES tabellion.entity ON DELETE CASCADE,
    table_id   integer NOT NULL REFERENCES tabellion.profile_table,
    name       text NOT NULL,
    -- A target, without its keys.
    definition jsonb NOT NULL,
    -- What the keys are values of; null: ids, or there are none.
    attribute  text,
    -- How many keys there are; null: the audience is no list.
    keys       integer,
    version    integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX audience_name_key ON tabellion.audience (entity_id, lower(name));
CREATE INDEX audience_licence ON tabellion.audience (licence_id, entity_id, id);
CREATE INDEX audience_table ON tabellion.audience (table_id);

-- Which campaigns name an audience in their targets.
CREATE TABLE tabellion.campaign_audience (
    campaign_id bigint NOT NULL REFERENCES tabellion.campaign ON DELETE CASCADE,
    audience_id bigint NOT NULL REFERENCES tabellion.audience ON DELETE CASCADE,
    PRIMARY KEY (campaign_id, audience_id)
);
CREATE INDEX campaign_audience_audience ON tabellion.campaign_audience (audience_id);

CREATE FUNCTION tabellion.make_content_tables(licence integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE schema text := 'l' || licence;
BEGIN
    -- Files of a mail that has not left yet; deleted when its fate is known.
    EXECUTE format(
        'CREATE TABLE %I.mail_attachment ('
        'recipient_id bigint NOT NULL, position smallint NOT NULL, name text NOT NULL, media_type text NOT NULL, '
        'content bytea NOT NULL, PRIMARY KEY (recipient_id, position))', schema);
    -- Documents and pictures are compressed already.
    EXECUTE format('ALTER TABLE %I.mail_attachment ALTER COLUMN content SET STORAGE EXTERNAL', schema);
    -- Keys of audiences that are lists.
    EXECUTE format(
        'CREATE TABLE %I.audience_key (audience_id bigint NOT NULL, key text NOT NULL, PRIMARY KEY (audience_id, key))',
        schema);
END
$$;

DO $$
DECLARE licence record;
BEGIN
    FOR licence IN SELECT id FROM tabellion.licence LOOP
        PERFORM tabellion.make_content_tables(licence.id);
    END LOOP;
END
$$;
