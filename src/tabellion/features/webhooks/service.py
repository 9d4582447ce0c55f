"""The use cases of webhook subscriptions, and what becomes of attempts to deliver."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime, time, timedelta

from msgspec.structs import replace

from tabellion.features.licences import bump_catalogue, entity_of
from tabellion.features.webhooks import queue, signing, store
from tabellion.features.webhooks.errors import EventUnknown, WebhookInactive, WebhookUnknown
from tabellion.features.webhooks.model import (
    DEAD_KEPT,
    HELD_FOR,
    SECRET_OVERLAP,
    SWITCHED_OFF_AFTER,
    Claimed,
    Failure,
    Outcome,
    Subscription,
)
from tabellion.kit.digits import INTEGER, number_of
from tabellion.kit.problem import invalid
from tabellion.platform import audit, egress, outbox
from tabellion.platform.database.connection import Database
from tabellion.platform.http.call import Incoming
from tabellion.platform.http.etag import require_match

_log = logging.getLogger(__name__)
MAX_FAILURES = 1000
_LOOK_UP_WITHIN_S = 2.0
BY_CALL = "switched off by a call"
GONE = "the target answered 410 (gone)"
FAILED = "the target has failed for 5 days"
UNREADABLE = "its secret could not be read for 5 days"
HELD = (
    "secret and headers were sealed with another key than this server's: its operator has to restore that key; or send "
    "'rotateSecret' and 'headers' anew"
)


async def page(call: Incoming, *, number: int, size: int) -> list[Subscription]:
    """A page of the subscriptions of the entity of the path, by id; pages count from 0."""
    entity = entity_of(call)
    return await store.page(call.db, call.caller.licence_id, entity.id, offset=number * size, limit=size)


async def get(call: Incoming, *, lock: bool = False) -> Subscription:
    """The subscription of the path. Raises `WebhookUnknown`."""
    entity = entity_of(call)
    text = call.path["w"]
    found = None
    if (number := number_of(text, INTEGER)) is not None:
        found = await store.find(call.db, call.caller.licence_id, entity.id, number, lock=lock)
    if found is None:
        raise WebhookUnknown(f"the entity '{call.path['e']}' has no webhook subscription '{text}'")
    return found


def etag(subscription: Subscription) -> str:
    """The strong tag of a subscription's state."""
    return f"{subscription.id:x}-{subscription.version:x}"


async def create(call: Incoming, new: Subscription) -> Subscription:
    """Make a subscription, with a secret of its own. Raises `Invalid` (webhook.target)."""
    entity = entity_of(call)
    await check_target(new.target_url)
    new = replace(new, licence_id=call.caller.licence_id, entity_id=entity.id, secret=signing.new_secret())
    if not new.is_active:
        new = replace(new, inactive_since=call.now, inactive_reason=BY_CALL)
    async with call.db.transaction():
        await bump_catalogue(call.db, new.licence_id)
        new = replace(new, id=await store.insert(call.db, new, call.now))
        await _declare(call.db, new.licence_id)
        await audit.record(call.db, call, f"webhook/{new.id}")
    return new


async def change(
    call: Incoming, alter: Callable[[Subscription], Awaitable[Subscription]], *, rotate: bool
) -> tuple[Subscription, bool]:
    """Change the subscription of the path; whether it has a new secret.

    Raises `WebhookUnknown`, `WebhookUnreadable`, `EtagMismatch`, `Invalid`.
    """
    before = await get(call)
    wanted = await alter(before)
    if wanted.target_url != before.target_url:
        await check_target(wanted.target_url)
    async with call.db.transaction():
        await bump_catalogue(call.db, before.licence_id)
        before = await get(call, lock=True)
        require_match(call.headers.get("if-match"), etag(before))
        after = _switched(before, await alter(before), call.now)
        if rotate:
            previous = None if before.unreadable else before.secret
            until = call.now + SECRET_OVERLAP
            after = replace(after, secret=signing.new_secret(), previous_secret=previous, previous_until=until)
        if after != before:
            after = replace(after, version=before.version + 1)
            await store.update(call.db, after)
            if before.is_active and not after.is_active:
                await queue.kill(call.db, after.id, BY_CALL)
            await _declare(call.db, after.licence_id)
            await audit.record(call.db, call, f"webhook/{after.id}")
    return after, rotate


async def delete(call: Incoming) -> None:
    """Delete the subscription of the path; what waits for it is dropped. Raises `WebhookUnknown`, `EtagMismatch`."""
    async with call.db.transaction():
        await bump_catalogue(call.db, call.caller.licence_id)
        found = await get(call, lock=True)
        require_match(call.headers.get("if-match"), etag(found))
        await store.delete(call.db, found.id)
        await _declare(call.db, found.licence_id)
        await audit.record(call.db, call, f"webhook/{found.id}")


async def failures(call: Incoming, day: date) -> list[Failure]:
    """What happened on a day of the licence's time zone and could not be delivered, or not yet. Raises `WebhookUnknown`."""
    found = await get(call)
    begin, end = _span(call, day)
    return await queue.failures(call.db, found.id, begin, end, MAX_FAILURES)


async def replay(call: Incoming, *, event_id: int | None, day: date | None) -> int:
    """Deliver dead events anew: one, or those of a day; how many.

    Raises `WebhookUnknown`, `WebhookInactive`, `EventUnknown` (one event was asked for and is not among the dead ones).
    """
    async with call.db.transaction():
        found = await get(call, lock=True)
        if not found.is_active:
            raise WebhookInactive(f"the subscription {found.id} is switched off: {found.inactive_reason}")
        begin, end = (None, None) if day is None else _span(call, day)
        count = await queue.replay(call.db, found, call.now, event_id=event_id, begin=begin, end=end)
        if event_id is not None and count == 0:
            raise EventUnknown(f"the subscription {found.id} has no dead event {event_id}")
        await audit.record(call.db, call, f"webhook/{found.id}")
    return count


async def check_target(url: str) -> None:
    """Look where a target leads. Raises `Invalid` (webhook.target).

    A name that has no address now may have one at delivery, where it is looked at again.
    """
    try:
        target = egress.parse_target(url, egress.policy())
        async with asyncio.timeout(_LOOK_UP_WITHIN_S):
            await egress.resolve(target, egress.policy())
    except egress.TargetRefused as error:
        raise invalid("targetUrl", "webhook.target", f"the target {error}") from None
    except (OSError, UnicodeError):
        return


async def conclude(db: Database, outcomes: Sequence[Outcome], now: datetime) -> None:
    """Write down how attempts ended, and switch off the subscriptions whose targets want no more or fail for too long."""
    good = sorted({o.claimed.subscription.id for o in outcomes if o.delivered})
    bad = sorted({o.claimed.subscription.id for o in outcomes if not o.delivered})
    async with db.transaction():
        # Subscriptions come before their deliveries, as where they are switched off: or the two would wait for each other.
        if bad:
            await store.note_failure(db, bad, now)
        if good:
            await store.note_success(db, good)
        await queue.finish(db, outcomes)
        tired = await store.failing_too_long(db, bad, now - SWITCHED_OFF_AFTER) if bad else []
        await queue.count(db, outcomes)
    for subscription in {o.claimed.subscription.id: o.claimed.subscription for o in outcomes if o.gone}.values():
        await switch_off(db, subscription.licence_id, subscription.entity_id, subscription.id, GONE, now)
    for licence_id, entity_id, subscription_id in tired:
        await switch_off(db, licence_id, entity_id, subscription_id, FAILED, now)


async def hold(db: Database, claimed: Sequence[Claimed], now: datetime) -> None:
    """Put off deliveries that cannot be signed, none of them attempted; after days of nothing else, switch off."""
    ids = sorted({each.subscription.id for each in claimed})
    async with db.transaction():
        await store.note_failure(db, ids, now)
        await queue.hold(db, claimed, now + HELD_FOR, HELD)
        tired = await store.failing_too_long(db, ids, now - SWITCHED_OFF_AFTER)
    for licence_id, entity_id, subscription_id in tired:
        await switch_off(db, licence_id, entity_id, subscription_id, UNREADABLE, now)


async def switch_off(
    db: Database, licence_id: int, entity_id: int, subscription_id: int, reason: str, now: datetime
) -> None:
    """End deliveries to a subscription; what waits for it is dead, and can be replayed once it is switched on again."""
    async with db.transaction():
        await bump_catalogue(db, licence_id)
        before = await store.find(db, licence_id, entity_id, subscription_id, lock=True)
        if before is None or not before.is_active:
            return
        off = replace(before, version=before.version + 1, is_active=False, inactive_since=now, inactive_reason=reason)
        await store.update(db, off)
        await queue.kill(db, subscription_id, reason)
        await _declare(db, licence_id)
    _log.warning("webhook subscription %d of licence %d is switched off: %s", subscription_id, licence_id, reason)


async def purge_dead(db: Database, now: datetime) -> int:
    """Delete dead deliveries after 30 days; how many."""
    return await queue.purge(db, now - DEAD_KEPT)


def _switched(before: Subscription, after: Subscription, now: datetime) -> Subscription:
    if after.is_active == before.is_active:
        return after
    if after.is_active:
        return replace(after, inactive_since=None, inactive_reason=None, failing_since=None)
    return replace(after, inactive_since=now, inactive_reason=BY_CALL)


async def _declare(db: Database, licence_id: int) -> None:
    await outbox.declare(db, licence_id, await store.active_interests(db, licence_id))


def _span(call: Incoming, day: date) -> tuple[datetime, datetime]:
    zone = call.caller.time_zone
    try:
        return datetime.combine(day, time(), zone), datetime.combine(day + timedelta(days=1), time(), zone)
    except OverflowError:
        raise invalid("day", "parameter.invalid", "the day is out of range") from None
