-- Secrets and headers of webhooks are sealed. What is here can only be sealed by a process that has the key: `unsealed` holds it until a
-- worker has started.
ALTER TABLE tabellion.webhook_subscription ADD COLUMN sealed bytea, ADD COLUMN unsealed jsonb;
UPDATE tabellion.webhook_subscription SET unsealed = jsonb_build_object(
    'headers', headers, 'secret', encode(secret, 'base64'), 'previous_secret', encode(previous_secret, 'base64'));
ALTER TABLE tabellion.webhook_subscription DROP COLUMN headers, DROP COLUMN secret, DROP COLUMN previous_secret,
    ADD CHECK (num_nonnulls(sealed, unsealed) = 1);
COMMENT ON COLUMN tabellion.webhook_subscription.sealed IS
    'headers, secret, and the previous secret, which signs beside the present one until previous_until';
COMMENT ON COLUMN tabellion.webhook_subscription.unsealed IS 'the same, of an earlier release; null once it is sealed';
