-- Webhook subscriptions, what is to be delivered to them, and custom actions.

CREATE TABLE tabellion.webhook_subscription (
    id              integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    licence_id      integer NOT NULL REFERENCES tabellion.licence ON DELETE CASCADE,
    entity_id       integer NOT NULL REFERENCES tabellion.entity ON DELETE CASCADE,
    version         integer NOT NULL DEFAULT 1,
    subject_kind    text NOT NULL,
    subject_id      text NOT NULL,
    event_type      text NOT NULL,
    on_fields       text[],
    target_url      text NOT NULL,
    push_type       text NOT NULL CHECK (push_type IN ('ONE_BY_ONE', 'BULK')),
    max_block_size  integer NOT NULL CHECK (max_block_size BETWEEN 1 AND 1000),
    headers         jsonb NOT NULL,
    is_active       boolean NOT NULL,
    inactive_since  timestamptz,
    inactive_reason text,
    failing_since   timestamptz,
    secret          bytea NOT NULL,
    previous_secret bytea,
    previous_until  timestamptz,
    created_at      timestamptz NOT NULL
);
COMMENT ON COLUMN tabellion.webhook_subscription.failing_since IS 'first of nothing but failures; null after a success';
COMMENT ON COLUMN tabellion.webhook_subscription.previous_secret IS 'signs beside the present one until previous_until';
CREATE INDEX webhook_subscription_licence ON tabellion.webhook_subscription (licence_id, subject_kind, subject_id);

-- One message: an event, or a block of them. What was delivered is deleted.
CREATE TABLE tabellion.webhook_delivery (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    subscription_id integer NOT NULL REFERENCES tabellion.webhook_subscription ON DELETE CASCADE,
    state           text NOT NULL CHECK (state IN ('GATHERING', 'PENDING', 'DEAD')),
    events          json NOT NULL,
    event_ids       bigint[] NOT NULL,
    occurred_at     timestamptz NOT NULL,
    planned_at      timestamptz NOT NULL,
    due_at          timestamptz NOT NULL,
    attempts        integer NOT NULL DEFAULT 0,
    claim           integer NOT NULL DEFAULT 0,
    last_attempt_at timestamptz,
    last_status     integer,
    last_error      text
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
COMMENT ON COLUMN tabellion.webhook_delivery.state IS
    'GATHERING: waits for others of its block; PENDING: is sent at due_at; DEAD: is not sent any more, unless replayed';
COMMENT ON COLUMN tabellion.webhook_delivery.planned_at IS 'when the first attempt was due: the later ones are counted from it';
COMMENT ON COLUMN tabellion.webhook_delivery.claim IS 'grows whenever a worker takes it; only the last one may write its result';
CREATE INDEX webhook_delivery_due ON tabellion.webhook_delivery (subscription_id, due_at) WHERE state = 'PENDING';
CREATE INDEX webhook_delivery_gathering ON tabellion.webhook_delivery (subscription_id, due_at) WHERE state = 'GATHERING';
CREATE INDEX webhook_delivery_day ON tabellion.webhook_delivery (subscription_id, occurred_at);

CREATE TABLE tabellion.custom_action (
    id           integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    licence_id   integer NOT NULL REFERENCES tabellion.licence ON DELETE CASCADE,
    entity_id    integer NOT NULL REFERENCES tabellion.entity ON DELETE CASCADE,
    name         text NOT NULL,
    display_name text NOT NULL,
    description  text,
    target_url   text,
    is_active    boolean NOT NULL,
    parameters   jsonb NOT NULL,
    created_at   timestamptz NOT NULL
);
CREATE UNIQUE INDEX custom_action_name_key ON tabellion.custom_action (entity_id, lower(name));
