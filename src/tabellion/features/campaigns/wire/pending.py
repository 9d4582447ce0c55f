"""The documents of why mails are pending, the same in both versions of the report."""

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tabellion.features.delivery import Delay as Held
from tabellion.features.delivery import Pending, pending
from tabellion.features.tables import moment_or_null


class Wait(msgspec.Struct, frozen=True):
    """Mails that are pending and what they wait for; together they are `pending`."""

    reason: pending.Reason
    mails: int
    until: Annotated[str | None, Meta(description="when the first of them goes on, where that is known")]
    details: Annotated[list[str], Meta(description="what relays and receivers said, or their limits; up to 3")]


class Delay(msgspec.Struct, frozen=True):
    """What holds or slows all mails of the campaign, and what to do."""

    cause: pending.Cause
    message: str
    until: Annotated[str | None, Meta(description="when it ends, where that is known")]


EXAMPLE: dict[str, Any] = {
    "pending": 430,
    "waits": [
        {"reason": "ready", "mails": 400, "until": None, "details": []},
        {
            "reason": "retry",
            "mails": 30,
            "until": "2027-03-02T09:31:00.000Z",
            "details": ["450 4.2.1 mailbox busy, try again later"],
        },
    ],
    "delays": [
        {
            "cause": "campaignPace",
            "message": "The campaign sends at most 30 mails a minute; those that are ready take 14 minutes or more",
            "until": None,
        },
    ],
}


def waits_out(found: Pending) -> list[Wait]:
    """What the pending ones wait for."""
    return [Wait(each.reason, each.mails, moment_or_null(each.until), list(each.details)) for each in found.waits]


def delays_out(found: Iterable[Held]) -> list[Delay]:
    """What delays all of them."""
    return [Delay(each.cause, each.message, moment_or_null(each.until)) for each in found]
