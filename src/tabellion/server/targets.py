"""Where the operator lets webhooks go."""

from tabellion.platform.egress import Policy
from tabellion.settings import Settings


def webhook_policy(settings: Settings) -> Policy:
    """What the settings allow."""
    return Policy(allow_http=settings.webhooks_allow_http, allow_private=settings.webhooks_allow_private)
