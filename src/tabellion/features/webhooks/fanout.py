"""From the outbox to deliveries: one for each subscription that an event concerns, in the transaction that takes it out."""

import logging
from collections import defaultdict
from datetime import datetime

import msgspec

from tabellion.features.customdata import custom_tables_of_licence
from tabellion.features.tables import Table, tables_of_licence
from tabellion.features.webhooks import queue, rendering, store
from tabellion.features.webhooks.model import TABLES, Item, Subscription
from tabellion.features.webhooks.rendering import News
from tabellion.platform import outbox
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar
from tabellion.platform.outbox import Event

_log = logging.getLogger(__name__)
_UNSPEAKABLE = "the event could not be put into words: an error of the server"
# Enough to keep many targets busy, little enough to be through with in a fraction of a second.
_EVENTS_AT_ONCE = 1000
# By the kind of the subject and its id.
Tables = dict[tuple[str, str], Table]


async def fan_out(db: Database, now: datetime) -> int:
    """Turn a batch of events into deliveries; how many events. A crash leaves the events where they were."""
    if not await scalar(db, "SELECT EXISTS (SELECT FROM tabellion.outbox_event)", prepare=True):
        return 0
    async with db.transaction():
        events = await outbox.take(db, _EVENTS_AT_ONCE)
        licence_ids = {event.licence_id for event in events}
        tables = await _tables(db, licence_ids)
        by_subject: dict[tuple[int, str, str, str], list[Subscription]] = defaultdict(list)
        for s in await store.of_licences(db, licence_ids):
            by_subject[s.licence_id, s.subject_kind, s.subject_id, s.event_type].append(s)
        items: dict[int, list[Item]] = defaultdict(list)
        known: dict[int, Subscription] = {}
        new: list[queue.New] = []
        for event in events:
            listening = by_subject.get((event.licence_id, event.subject_kind, event.subject_id, event.event_type), ())
            told = [s for s in listening if _is_told(s, event)]
            news, fault = _news(event, tables) if told else (None, None)
            for s in told:
                if news is None or not rendering.concerns(news, s):
                    continue
                known[s.id] = s
                content = msgspec.Raw(msgspec.json.encode(rendering.payload(news, s)))
                item = Item(event.id, event.event_type, event.occurred_at, content)
                if fault is None:
                    items[s.id].append(item)
                else:
                    new.append(queue.New(s.id, "DEAD", [item], now, now, fault))
        new += [one for id_, found in items.items() for one in _deliveries(known[id_], found, now)]
        await queue.insert(db, new)
    return len(events)


def _deliveries(subscription: Subscription, items: list[Item], now: datetime) -> list[queue.New]:
    if not subscription.is_active:
        reason = subscription.inactive_reason or "the subscription was switched off"
        return [queue.New(subscription.id, "DEAD", [item], now, now, reason) for item in items]
    if subscription.push_type != "BULK":
        return [queue.New(subscription.id, "PENDING", [item], now, now) for item in items]
    return queue.blocks(subscription.id, items, subscription.max_block_size, now)


def _is_told(subscription: Subscription, event: Event) -> bool:
    """An inactive subscription is told (as dead) of what happened before it was switched off."""
    since = subscription.inactive_since
    return subscription.is_active or (since is not None and event.occurred_at <= since)


async def _tables(db: Database, licence_ids: set[int]) -> dict[int, Tables]:
    cursor = await db.execute(
        "SELECT id, catalogue_version FROM tabellion.licence WHERE id = ANY (%s)", (list(licence_ids),)
    )
    versions = await cursor.fetchall()
    found: dict[int, Tables] = {}
    for id_, version in versions:
        of_profiles = await tables_of_licence(db, id_, version)
        of_records = await custom_tables_of_licence(db, id_, version)
        found[id_] = {(t.kind.subject, t.public_id): t for t in (*of_profiles, *of_records)}
    return found


def _news(event: Event, tables: dict[int, Tables]) -> tuple[News | None, str | None]:
    """The event in the receiver's words, None when its table is gone; and what is wrong with it.

    An event that cannot be put into words is dead: it must not stand in the way of all that come after it.
    """
    try:
        if event.subject_kind not in TABLES:
            return rendering.plain(event), None
        table = tables.get(event.licence_id, {}).get((event.subject_kind, event.subject_id))
        return (None if table is None else rendering.named(event, table)), None
    except Exception:  # noqa: BLE001 - as said
        _log.exception("event %d cannot be put into words", event.id)
        return News(event, None, {}), _UNSPEAKABLE
