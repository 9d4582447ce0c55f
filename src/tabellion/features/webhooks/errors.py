"""Refusals of the webhook calls."""

from tabellion.kit.problem import Problem


class WebhookUnknown(Problem):
    """The entity has no such webhook subscription; the list call shows them."""

    status = 404
    code = "webhook.unknown"


class EventUnknown(Problem):
    """The subscription has no dead event of this number. Events are kept for 30 days; those delivered are not kept."""

    status = 404
    code = "event.unknown"


class WebhookUnreadable(Problem):
    """The secret and the headers were sealed with another key than the server's: send both anew, or neither."""

    status = 409
    code = "webhook.unreadable"


class WebhookInactive(Problem):
    """The subscription is switched off. Switch it on first (`isActive`)."""

    status = 409
    code = "webhook.inactive"
