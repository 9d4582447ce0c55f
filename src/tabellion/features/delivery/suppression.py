"""An address that gets nothing more, and what one reason does to another. Pure.

An unsubscription keeps away what people can unsubscribe from; every other reason keeps away transactional mails, too. So it
never takes the place of another reason, and none makes it forgotten: it is kept beside.
"""

from datetime import datetime
from typing import NamedTuple

UNSUBSCRIBE = "UNSUBSCRIBE"
# Why an address gets nothing more.
REASONS = ("HARD_BOUNCE", "SOFT_BOUNCE", "COMPLAINT", UNSUBSCRIBE, "MANUAL")


class Suppression(NamedTuple):
    """An address in its normal form, and why it gets nothing more.

    `unsubscribed`: since when its owner wants no mails, where that is not the reason itself.
    """

    address: str
    reason: str
    since: datetime
    detail: str | None = None
    unsubscribed: datetime | None = None


def joined(before: Suppression, after: Suppression) -> Suppression:
    """What is known of an address after something more was said; as `suppression_store.put` does it in the database."""
    unsubscribed = [moment for moment in (before.unsubscribed, after.unsubscribed) if moment is not None]
    if (before.reason == UNSUBSCRIBE) == (after.reason == UNSUBSCRIBE):
        return after._replace(
            since=min(before.since, after.since), detail=after.detail or before.detail,
            unsubscribed=min(unsubscribed, default=None),
        )  # fmt: skip
    own, other = (before, after) if before.reason == UNSUBSCRIBE else (after, before)
    return other._replace(unsubscribed=min(*unsubscribed, own.since) if unsubscribed else own.since)
