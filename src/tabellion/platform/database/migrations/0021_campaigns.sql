-- E-mail campaigns (contract, section 19): what they are before anything is sent.

CREATE TABLE tabellion.campaign (
    id           bigint GENERATED ALWAYS AS IDENTITY (START 1001) PRIMARY KEY,
    licence_id   integer NOT NULL REFERENCES tabellion.licence ON DELETE CASCADE,
    -- The sender; the table may be another entity's.
    entity_id    integer NOT NULL REFERENCES tabellion.entity ON DELETE CASCADE,
    table_id     integer REFERENCES tabellion.profile_table,
    name         text NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('MASS', 'CONTINUOUS', 'TRANSACTIONAL')),
    state        text NOT NULL DEFAULT 'IN_DEFINITION',
    version      integer NOT NULL DEFAULT 1,
    -- The document of the creation, and what was said since.
    settings     jsonb NOT NULL,
    content      jsonb NOT NULL DEFAULT '{}',
    target       jsonb,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    scheduled_at timestamptz,
    started_at   timestamptz,
    ended_at     timestamptz
);
CREATE UNIQUE INDEX campaign_name_key ON tabellion.campaign (entity_id, lower(name));
CREATE INDEX campaign_licence ON tabellion.campaign (licence_id, entity_id, id);
CREATE INDEX campaign_table ON tabellion.campaign (table_id);

-- Images of contents; the token is the whole of their protection, as mails are read without credentials.
CREATE TABLE tabellion.campaign_image (
    token       text PRIMARY KEY,
    campaign_id bigint NOT NULL REFERENCES tabellion.campaign ON DELETE CASCADE,
    language    text NOT NULL,
    media_type  text NOT NULL,
    content     bytea NOT NULL
);
CREATE INDEX campaign_image_campaign ON tabellion.campaign_image (campaign_id, language);
