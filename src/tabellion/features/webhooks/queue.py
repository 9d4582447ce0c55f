"""The SQL of deliveries: what is to be sent, who sends it, how it went."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from tabellion.features.webhooks.model import GATHER_FOR, Claimed, Failure, Item, Outcome, Subscription
from tabellion.features.webhooks.store import COLUMNS, WIDTH, subscription
from tabellion.kit.traces import MEMBER, Traces
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalars

_FREE = "(d.held_until IS NULL OR d.held_until <= statement_timestamp())"
# The subscriptions that wait for something, one step through the index each; the oldest deliveries of each, as many as its
# target may still get at once; and of all those the ones whose turn it is. A subscription's first comes before the second of
# any other, and among those the licence that has the fewest. From the second on there is less room, so that many slow
# targets leave some for others. `busy` is what this process is sending at the moment. What another one is sending is left to
# it until its lease has ended by the clock of the database: those of two machines may be further apart than it is long.
_CLAIM = f"""
WITH RECURSIVE waiting (id) AS (
    SELECT min(subscription_id) FROM tabellion.webhook_delivery WHERE state = 'PENDING'
    UNION ALL
    SELECT (SELECT min(d.subscription_id) FROM tabellion.webhook_delivery d
            WHERE d.state = 'PENDING' AND d.subscription_id > w.id)
    FROM waiting w WHERE w.id IS NOT NULL),
busy AS (
    SELECT b.id, b.sending, s.licence_id FROM unnest(%(busy_ids)s::int[], %(busy)s::int[]) b (id, sending)
    JOIN tabellion.webhook_subscription s ON s.id = b.id),
due AS (
    SELECT d.id, d.due_at, s.licence_id, coalesce(b.sending, 0) + d.place AS nth FROM waiting w
    JOIN tabellion.webhook_subscription s ON s.id = w.id
    LEFT JOIN busy b ON b.id = w.id
    CROSS JOIN LATERAL (
        SELECT o.id, o.due_at, row_number() OVER (ORDER BY o.due_at) AS place FROM (
            SELECT d.id, d.due_at FROM tabellion.webhook_delivery d
            WHERE d.subscription_id = w.id AND d.state = 'PENDING' AND d.due_at <= %(now)s::timestamptz
              AND {_FREE} ORDER BY d.due_at
            LIMIT greatest(CASE WHEN s.failing_since IS NULL THEN %(at_once)s::int ELSE 1 END - coalesce(b.sending, 0), 0)
        ) o) d
    WHERE w.id <> ALL (%(but)s::int[])),
shared AS (
    SELECT d.id, d.due_at, d.nth, coalesce(l.sending, 0)
        + row_number() OVER (PARTITION BY d.licence_id ORDER BY d.nth, d.due_at) AS of_licence
    FROM due d LEFT JOIN (SELECT licence_id, sum(sending) AS sending FROM busy GROUP BY 1) l USING (licence_id)),
turns AS (SELECT id, nth, row_number() OVER (ORDER BY nth, of_licence, due_at) AS turn FROM shared),
chosen AS MATERIALIZED (
    SELECT d.id FROM turns t JOIN tabellion.webhook_delivery d ON d.id = t.id
    WHERE t.turn <= CASE t.nth WHEN 1 THEN %(room)s::int ELSE %(more)s::int END
      AND d.state = 'PENDING' AND d.due_at <= %(now)s::timestamptz AND {_FREE} FOR UPDATE OF d SKIP LOCKED)
UPDATE tabellion.webhook_delivery d
SET claim = d.claim + 1, attempts = d.attempts + 1, last_attempt_at = %(now)s::timestamptz,
    due_at = %(now)s::timestamptz + %(lease)s::interval, held_until = clock_timestamp() + %(lease)s::interval
FROM chosen, tabellion.webhook_subscription s, tabellion.entity e
WHERE d.id = chosen.id AND s.id = d.subscription_id AND e.id = s.entity_id
RETURNING {COLUMNS}, d.id::text, d.claim, d.attempts, d.planned_at, d.events::text, e.name, d.last_error
"""  # noqa: S608 - our own words
# Whoever changes several deliveries locks them by id, so that two who change the same ones do not wait for each other.
_OURS = """
WITH held AS (
    SELECT d.id FROM tabellion.webhook_delivery d
    JOIN unnest(%(ids)s::uuid[], %(claims)s::int[]) o (id, claim) USING (id, claim) ORDER BY d.id FOR UPDATE OF d)
"""
_DELIVERED = f"{_OURS} DELETE FROM tabellion.webhook_delivery d USING held WHERE d.id = held.id"  # noqa: S608 - our own words
_TAKEN_APART = f"{_DELIVERED} RETURNING d.subscription_id, d.events::text"
_FAILED = f"""{_OURS}
UPDATE tabellion.webhook_delivery d SET due_at = coalesce(o.due_at, d.due_at), held_until = NULL,
    last_status = o.status, last_error = o.error, state = CASE WHEN o.due_at IS NULL THEN 'DEAD' ELSE d.state END
FROM held JOIN unnest(%(ids)s::uuid[], %(dues)s::timestamptz[], %(statuses)s::int[], %(errors)s::text[])
    o (id, due_at, status, error) USING (id)
WHERE d.id = held.id AND d.state = 'PENDING'
"""  # noqa: S608 - our own words
_RENEWED = f"""{_OURS}
UPDATE tabellion.webhook_delivery d SET due_at = %(now)s::timestamptz + %(lease)s::interval,
    held_until = clock_timestamp() + %(lease)s::interval
FROM held WHERE d.id = held.id AND d.state = 'PENDING'
"""  # noqa: S608 - our own words
_HELD = f"""{_OURS}
UPDATE tabellion.webhook_delivery d SET attempts = d.attempts - 1, due_at = %(due_at)s, held_until = NULL,
    last_status = NULL, last_error = %(error)s
FROM held WHERE d.id = held.id AND d.state = 'PENDING'
"""  # noqa: S608 - our own words
_KILLED = """
UPDATE tabellion.webhook_delivery SET state = 'DEAD', last_error = concat_ws(
    '; then ', CASE WHEN attempts > 0 THEN split_part(last_error, '; then ', 1) END, %s::text)
WHERE id IN (
    SELECT id FROM tabellion.webhook_delivery WHERE subscription_id = %s AND state <> 'DEAD' ORDER BY id FOR UPDATE)
"""
_COPY = (
    "COPY tabellion.webhook_delivery "
    "(subscription_id, state, events, event_ids, occurred_at, planned_at, due_at, last_error) FROM STDIN"
)
_FULL = """
SELECT d.subscription_id, s.max_block_size FROM tabellion.webhook_delivery d
JOIN tabellion.webhook_subscription s ON s.id = d.subscription_id
WHERE d.state = 'GATHERING' GROUP BY 1, 2
HAVING min(d.due_at) <= %s OR sum(cardinality(d.event_ids)) >= s.max_block_size
"""
_GATHERING = """
SELECT id, events::text FROM tabellion.webhook_delivery WHERE subscription_id = %s AND state = 'GATHERING'
ORDER BY due_at, event_ids FOR UPDATE SKIP LOCKED
"""
_KEPT = "UPDATE tabellion.webhook_delivery SET events = %s::json, event_ids = %s WHERE id = %s"
# Of up to 1000 events each, in blocks.
_READ_AT_ONCE = 50
_items = msgspec.json.Decoder(tuple[Item, ...]).decode


class New(msgspec.Struct, frozen=True):
    """A delivery to be entered; `error` is why a dead one is dead."""

    subscription_id: int
    state: str
    items: Sequence[Item]
    planned_at: datetime
    due_at: datetime
    error: str | None = None


async def insert(db: Database, deliveries: Sequence[New]) -> None:
    """Enter deliveries."""
    async with db.cursor() as cursor, cursor.copy(_COPY) as copy:
        for new in deliveries:
            events = msgspec.json.encode(new.items).decode()
            ids = [item.id for item in new.items]
            moments = (min(item.at for item in new.items), new.planned_at, new.due_at)
            await copy.write_row((new.subscription_id, new.state, events, ids, *moments, new.error))


async def claim(
    db: Database,
    now: datetime,
    *,
    lease: timedelta,
    busy: dict[int, int],
    at_once: int,
    most: int,
    but: Collection[int] = (),
) -> list[Claimed]:
    """Take what is due, `but` of some subscriptions; nobody else gets it before the lease has ended.

    A failing target gets one at a time. Then `most` are under way, half of them at most as the second or later one of their
    subscription.
    """
    running = sum(busy.values())
    more = most // 2 - running
    parameters = {
        "now": now,
        "lease": lease,
        "busy_ids": list(busy),
        "busy": list(busy.values()),
        "but": list(but),
        "at_once": at_once if more > 0 else 1,
        "room": most - running,
        "more": more,
    }
    # Planned anew each time: the table is empty at one moment, and holds a hundred thousand rows at the next.
    rows = await (await db.execute(_CLAIM, parameters, prepare=False)).fetchall()
    return [
        Claimed(id_, number, attempts, planned_at, _items(events), subscription(row), entity, last_error)
        for row in rows
        for id_, number, attempts, planned_at, events, entity, last_error in [row[WIDTH:]]
    ]


async def renew(db: Database, claimed: Sequence[Claimed], now: datetime, lease: timedelta) -> None:
    """Go on holding what is being sent; what another process has claimed since is left alone."""
    if claimed:
        await db.execute(_RENEWED, _held(claimed) | {"now": now, "lease": lease})


async def finish(db: Database, outcomes: Sequence[Outcome]) -> None:
    """Write down how attempts ended; what another process has claimed since is left alone."""
    good = [o for o in outcomes if o.delivered]
    bad = [o for o in outcomes if not o.delivered]
    if good:
        await db.execute(_DELIVERED, _held([o.claimed for o in good]))
    if bad:
        results = {
            "dues": [o.due_at for o in bad], "statuses": [o.status for o in bad], "errors": [o.error for o in bad],
        }  # fmt: skip
        await db.execute(_FAILED, _held([o.claimed for o in bad]) | results)


async def hold(db: Database, claimed: Sequence[Claimed], due_at: datetime, error: str) -> None:
    """Put off what was not attempted."""
    await db.execute(_HELD, _held(claimed) | {"due_at": due_at, "error": error})


async def take_apart(db: Database, claimed: Sequence[Claimed], now: datetime) -> None:
    """Make a delivery of each event of blocks that are not to be sent as such any more, and begin anew with these.

    In the caller's transaction. The subscriptions come first, as where they are switched off with what waits for them. The
    events are those that are there by now: somebody may have been erased since these were claimed.
    """
    ids = sorted({each.subscription.id for each in claimed})
    await db.execute("SELECT FROM tabellion.webhook_subscription WHERE id = ANY (%s) ORDER BY id FOR KEY SHARE", (ids,))
    rows = await (await db.execute(_TAKEN_APART, _held(claimed))).fetchall()
    await insert(db, [New(id_, "PENDING", [item], now, now) for id_, events in rows for item in _items(events)])


def _held(claimed: Sequence[Claimed]) -> dict[str, list[Any]]:
    return {"ids": [c.id for c in claimed], "claims": [c.claim for c in claimed]}


async def count(db: Database, outcomes: Sequence[Outcome]) -> None:
    """Count attempts by how they ended. Last in a transaction: it is one row for all processes."""
    bad = [o for o in outcomes if not o.delivered]
    query = "UPDATE tabellion.webhook_count SET delivered = delivered + %s, failed = failed + %s, given_up = given_up + %s"
    await db.execute(query, (len(outcomes) - len(bad), len(bad), sum(o.due_at is None for o in bad)))


class Standing(NamedTuple):
    """How many attempts ended how since the start of counting, and what waits since when."""

    delivered: int
    failed: int
    given_up: int
    waiting: int
    oldest_at: datetime | None
    failing: int


async def standing(db: Database) -> Standing:
    """How deliveries stand, of all licences."""
    query = """
SELECT c.delivered, c.failed, c.given_up, d.waiting, d.oldest_at,
    (SELECT count(*) FROM tabellion.webhook_subscription WHERE is_active AND failing_since IS NOT NULL)
FROM tabellion.webhook_count c, (
    -- Apart, as the indexes are: dead ones, a month of them, are read by none.
    SELECT count(*) AS waiting, min(occurred_at) AS oldest_at FROM (
        SELECT occurred_at FROM tabellion.webhook_delivery WHERE state = 'PENDING'
        UNION ALL SELECT occurred_at FROM tabellion.webhook_delivery WHERE state = 'GATHERING'
    ) w
) d
"""
    row = await (await db.execute(query)).fetchone()
    return Standing(0, 0, 0, 0, None, 0) if row is None else Standing(*row)


async def full_blocks(db: Database, now: datetime) -> list[tuple[int, int]]:
    """The subscriptions whose block is full or has waited long enough, with the size of a block."""
    return [(row[0], row[1]) for row in await (await db.execute(_FULL, (now,), prepare=False)).fetchall()]


async def close_blocks(db: Database, subscription_id: int, size: int, now: datetime) -> None:
    """Make what was gathered for a subscription into blocks; one that is not full goes on waiting for its time.

    In the caller's transaction. The subscription comes first, as where it is switched off with what waits for it.
    """
    await db.execute("SELECT FROM tabellion.webhook_subscription WHERE id = %s FOR KEY SHARE", (subscription_id,))
    rows = await (await db.execute(_GATHERING, (subscription_id,))).fetchall()
    items = [item for _, events in rows for item in _items(events)]
    await db.execute("DELETE FROM tabellion.webhook_delivery WHERE id = ANY (%s)", ([id_ for id_, _ in rows],))
    await insert(db, blocks(subscription_id, items, size, now))


def blocks(subscription_id: int, items: Sequence[Item], size: int, now: datetime) -> list[New]:
    """Events in blocks: full ones, and those that have waited long enough, are sent now."""
    made: list[New] = []
    for i in range(0, len(items), size):
        block = items[i : i + size]
        due_at = block[0].at + GATHER_FOR
        waits = len(block) < size and due_at > now
        made.append(New(subscription_id, "GATHERING" if waits else "PENDING", block, now, due_at if waits else now))
    return made


async def kill(db: Database, subscription_id: int, reason: str) -> None:
    """What waits for a subscription is not sent any more, unless replayed."""
    await db.execute(_KILLED, (reason, subscription_id))


async def failures(db: Database, subscription_id: int, begin: datetime, end: datetime, limit: int) -> list[Failure]:
    """The deliveries of a span that have failed, oldest first."""
    cursor = await db.execute(
        "SELECT events::text, state, attempts, last_attempt_at, last_status, last_error, due_at "
        "FROM tabellion.webhook_delivery WHERE subscription_id = %s AND occurred_at >= %s AND occurred_at < %s "
        "AND last_error IS NOT NULL ORDER BY occurred_at, event_ids LIMIT %s",
        (subscription_id, begin, end, limit),
    )
    return [Failure(_items(row[0]), *row[1:]) for row in await cursor.fetchall()]


async def replay(
    db: Database,
    subscription: Subscription,
    now: datetime,
    *,
    event_id: int | None,
    begin: datetime | None,
    end: datetime | None,
) -> int:
    """Begin anew with dead deliveries: those that hold an event, or of a span; how many events."""
    counts = await scalars(
        db,
        "UPDATE tabellion.webhook_delivery SET state = 'PENDING', attempts = 0, planned_at = %(now)s, due_at = %(now)s, "
        "held_until = NULL "
        "WHERE id IN (SELECT id FROM tabellion.webhook_delivery "
        "WHERE subscription_id = %(id)s AND state = 'DEAD' AND (event_ids @> ARRAY[%(event)s::bigint] "
        "OR (occurred_at >= %(begin)s::timestamptz AND occurred_at < %(end)s::timestamptz)) ORDER BY id FOR UPDATE) "
        "RETURNING cardinality(event_ids)",
        {"now": now, "id": subscription.id, "event": event_id, "begin": begin, "end": end},
    )
    return sum(counts)


async def forget(db: Database, licence_id: int, traces: Traces, until: datetime | None, last: int = 0) -> int:
    """Take the events of a person out of what waits, gathers or is dead; how many.

    Up to a moment (None: all), or to the id `last`. In the caller's transaction.
    """
    # A target that has failed for days has left many dead ones, and a person may have had many mails.
    query = """
SELECT d.id, d.events::text FROM tabellion.webhook_delivery d
JOIN tabellion.webhook_subscription s ON s.id = d.subscription_id
CROSS JOIN LATERAL (SELECT lower(d.events::text) AS said OFFSET 0) e
WHERE s.licence_id = %(licence)s
AND (%(until)s::timestamptz IS NULL OR d.occurred_at <= %(until)s OR %(last)s >= ANY (d.event_ids)) AND (
    e.said LIKE ANY (%(likes)s::text[])
    OR EXISTS (SELECT FROM regexp_matches(e.said, %(member)s, 'g') m (found) WHERE m.found[1] = ANY (%(members)s::text[])))
ORDER BY d.id FOR UPDATE OF d
"""
    values = {
        "licence": licence_id, "until": until, "last": last, "likes": traces.likes, "member": MEMBER,
        "members": traces.members,
    }  # fmt: skip
    gone, are_theirs = 0, traces.news_finder()
    # All of them are read. For the first ones alone it would be quicker to walk through those of all licences by their ids.
    await db.execute("SET LOCAL cursor_tuple_fraction = 1")
    async with db.cursor("forgotten") as cursor:
        await cursor.execute(query, values)
        while rows := await cursor.fetchmany(_READ_AT_ONCE):
            emptied: list[Any] = []
            for id_, events in rows:
                items = _items(events)
                kept = [
                    item for item in items
                    if (until is not None and item.at > until and item.id > last)
                    or not are_theirs(bytes(item.payload).decode())
                ]  # fmt: skip
                gone += len(items) - len(kept)
                if not kept:
                    emptied.append(id_)
                elif len(kept) < len(items):
                    await db.execute(_KEPT, (msgspec.json.encode(kept).decode(), [item.id for item in kept], id_))
            await db.execute("DELETE FROM tabellion.webhook_delivery WHERE id = ANY (%s)", (emptied,))
    return gone


async def purge(db: Database, before: datetime) -> int:
    """Delete what died before a moment; how many."""
    query = (
        "DELETE FROM tabellion.webhook_delivery WHERE id IN (SELECT id FROM tabellion.webhook_delivery "
        "WHERE state = 'DEAD' AND coalesce(last_attempt_at, occurred_at) < %s ORDER BY id FOR UPDATE)"
    )
    return max((await db.execute(query, (before,))).rowcount, 0)
