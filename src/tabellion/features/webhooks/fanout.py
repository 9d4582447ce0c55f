"""From the outbox to deliveries: one for each subscription that an event concerns, in the transaction that takes it out."""

from collections import defaultdict
from datetime import datetime

import msgspec

from tabellion.features.tables import ProfileTable, tables_of_licence
from tabellion.features.webhooks import queue, rendering, store
from tabellion.features.webhooks.model import Item, Subscription
from tabellion.features.webhooks.rendering import News
from tabellion.features.webhooks.store import Database
from tabellion.platform import outbox
from tabellion.platform.outbox import Event

PROFILE_TABLE = "PROFILE_TABLE"
# Enough to keep many targets busy, little enough to be through with in a fraction of a second.
_EVENTS_AT_ONCE = 1000
Tables = dict[str, ProfileTable]


async def fan_out(db: Database, now: datetime) -> int:
    """Turn a batch of events into deliveries; how many events. A crash leaves the events where they were."""
    row = await (await db.execute("SELECT EXISTS (SELECT FROM tabellion.outbox_event)", prepare=True)).fetchone()
    if row is None or not row[0]:
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
        for event in events:
            listening = by_subject.get((event.licence_id, event.subject_kind, event.subject_id, event.event_type), ())
            news = _news(event, tables) if listening else None
            for s in listening:
                if news is not None and _is_told(s, event) and rendering.concerns(news, s):
                    known[s.id] = s
                    content = msgspec.Raw(msgspec.json.encode(rendering.payload(news, s)))
                    items[s.id].append(Item(event.id, event.event_type, event.occurred_at, content))
        await queue.insert(db, [new for id_, found in items.items() for new in _deliveries(known[id_], found, now)])
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
    return {id_: {str(t.id): t for t in await tables_of_licence(db, id_, version)} for id_, version in versions}


def _news(event: Event, tables: dict[int, Tables]) -> News | None:
    """The event in the receiver's words; None when its table is gone."""
    if event.subject_kind != PROFILE_TABLE:
        return rendering.plain(event)
    table = tables.get(event.licence_id, {}).get(event.subject_id)
    return None if table is None else rendering.named(event, table)
