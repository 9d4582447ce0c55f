"""Where the operator lets callers send the server to, what their secrets are sealed with, and how it calls itself there."""

from tabellion.features import transfers
from tabellion.platform import egress, mail, secrets
from tabellion.platform.egress import Policy
from tabellion.settings import Settings


def webhook_policy(settings: Settings) -> Policy:
    """What the settings allow webhooks."""
    return Policy(allow_http=settings.webhooks_allow_http, allow_private=settings.webhooks_allow_private)


def allow_targets(settings: Settings, *, key_at_once: bool = True) -> None:
    """Say in this process what the settings allow; once, at its start.

    Unless `key_at_once`, a key of secrets that is not there is made when something is sealed: verbs may seal nothing.
    """
    egress.allow(webhook_policy(settings))
    transfers.allow(
        Policy(allow_http=settings.transfers_allow_http, allow_private=settings.transfers_allow_private),
        settings.transfers_folder,
    )
    secrets.use_key(settings.secret_key, settings.data_dir, settings.former_secret_keys, at_once=key_at_once)
    mail.use_name(settings.mail_name)
