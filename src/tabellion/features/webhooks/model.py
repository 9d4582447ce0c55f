"""Subscriptions and deliveries: records and rules."""

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

import msgspec

Kind = Literal["PROFILE_TABLE", "CUSTOM_TABLE", "ETL", "EXPORT", "CUSTOM_ACTION", "EMAIL_CAMPAIGN"]
PushType = Literal["ONE_BY_ONE", "BULK"]

EVENT_TYPES: dict[str, tuple[str, ...]] = {
    "PROFILE_TABLE": ("CREATE", "UPDATE", "DELETE", "UPDATED_SUBSCRIPTION", "UPDATED_SEGMENT"),
    "CUSTOM_TABLE": ("CREATE", "UPDATE", "DELETE"),
    "ETL": ("STARTED", "FINISHED"),
    "EXPORT": ("STARTED", "FINISHED"),
    "CUSTOM_ACTION": ("TRIGGER",),
    "EMAIL_CAMPAIGN": ("SENT", "OPEN", "CLICK", "UNSUBSCRIBE", "SOFT_BOUNCE", "HARD_BOUNCE", "COMPLAINT"),
}
TABLES = frozenset({"PROFILE_TABLE", "CUSTOM_TABLE"})
DEFAULT_BLOCK_SIZE = 100
MAX_BLOCK_SIZE = 1000
MAX_HEADERS = 50
SECRET_OVERLAP = timedelta(hours=24)
# Blocks wait this long for more; what is left of the 5 s that are promised is for the sending.
GATHER_FOR = timedelta(seconds=4)
DEAD_KEPT = timedelta(days=30)
SWITCHED_OFF_AFTER = timedelta(days=5)
# How long what cannot be signed is left alone before it is tried again.
HELD_FOR = timedelta(minutes=1)
# When each attempt is made, after the event.
ATTEMPTS = tuple(timedelta(seconds=s) for s in (0, 5, 300, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 16 * 3600, 24 * 3600))
_JITTER = 0.2
_SOON = timedelta(seconds=5)
# Ours to say, not the subscription's: lower case.
_OWN_HEADERS = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """Who is told of one type of event of one subject."""

    id: int
    licence_id: int
    entity_id: int
    version: int
    subject_kind: str
    subject_id: str
    event_type: str
    on_fields: tuple[str, ...] | None
    target_url: str
    push_type: str
    max_block_size: int
    is_active: bool
    inactive_since: datetime | None
    inactive_reason: str | None
    failing_since: datetime | None
    previous_until: datetime | None
    # These are stored sealed.
    headers: Mapping[str, str]
    secret: bytes
    previous_secret: bytes | None
    # The three as they are stored, where they were sealed with another key: kept until there are new ones.
    unreadable: bytes = b""

    def secrets(self, now: datetime) -> list[bytes]:
        """Those that sign at a moment, the present one first."""
        previous = self.previous_secret
        if previous is None or self.previous_until is None or self.previous_until <= now:
            return [self.secret]
        return [self.secret, previous]


class Item(msgspec.Struct, frozen=True):
    """One event of a delivery. `payload` is the object of a table event, or the `data` of a trigger."""

    id: int
    type: str
    at: datetime
    payload: msgspec.Raw


class Claimed(msgspec.Struct, frozen=True):
    """A delivery that this process is about to attempt; `claim` proves it. `entity` is the name in its links.

    `last_error` is what an earlier attempt was told, if any was.
    """

    id: str
    claim: int
    attempts: int
    planned_at: datetime
    items: tuple[Item, ...]
    subscription: Subscription
    entity: str
    last_error: str | None

    @property
    def was_gathered(self) -> bool:
        """Whether this is a block for a subscription that wants events one by one by now."""
        return len(self.items) > 1 and self.subscription.push_type != "BULK"


class Outcome(msgspec.Struct, frozen=True):
    """How an attempt ended. `due_at` None: delivered or, with an `error`, dead. `gone`: the target wants no more."""

    claimed: Claimed
    status: int | None = None
    error: str | None = None
    due_at: datetime | None = None
    gone: bool = False

    @property
    def delivered(self) -> bool:
        """Whether the target took it."""
        return self.error is None


class Failure(msgspec.Struct, frozen=True):
    """A delivery that has failed at least once."""

    items: tuple[Item, ...]
    state: str
    attempts: int
    last_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None
    due_at: datetime


def is_own_header(name: str) -> bool:
    """Whether a header of a subscription is ignored."""
    lower = name.lower()
    return lower in _OWN_HEADERS or lower.startswith(("webhook-", "proxy-"))


def next_attempt(
    planned_at: datetime, attempts: int, now: datetime, chance: random.Random, retry_after: timedelta | None = None
) -> datetime | None:
    """When to try again after so many attempts; None: never.

    Each attempt is moved by up to 20 % of the gap before it; the last is never later than 24 h after the first.
    `retry_after` is the target's own wish.
    """
    last = planned_at + ATTEMPTS[-1]
    if attempts >= len(ATTEMPTS) or now >= last:
        return None
    gap = ATTEMPTS[attempts] - ATTEMPTS[attempts - 1]
    at = planned_at + ATTEMPTS[attempts] + gap * chance.uniform(-_JITTER, _JITTER)
    if at <= now:
        at = now + _SOON
    if retry_after is not None:
        at = max(at, now + retry_after)
    return min(at, last)
