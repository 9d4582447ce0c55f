"""The outbox: news of a change, stored in the transaction of the change, for whoever listens.

Writers ask `interests` (in memory, kept true by the licence's catalogue version) and write an event only where somebody
listens. Those who listen `declare` it; the dispatcher takes the events out. Who writes and who listens is not known here: a
subject is a kind and an id (`PROFILE_TABLE`, `31`), an event type is a word (`CREATE`).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from psycopg.types.json import Jsonb

from tabellion.kit.traces import Traces
from tabellion.platform.database.connection import Database
from tabellion.platform.database.versioned import VersionedCache
from tabellion.platform.outbox import subjects

__all__ = [
    "COLUMNS",
    "NOBODY",
    "Event",
    "Interest",
    "declare",
    "emit",
    "forget",
    "interests",
    "interests_now",
    "subjects",
    "take",
    "tell_ids_alone",
]

_MAX_LICENCES_CACHED = 20_000
NOBODY: frozenset[str] = frozenset()

# For writers that insert the event in the statement of the change: `INSERT INTO tabellion.outbox_event (COLUMNS) SELECT`.
COLUMNS = "licence_id, subject_kind, subject_id, event_type, fields, data, occurred_at"
_EMIT = f"INSERT INTO tabellion.outbox_event ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s)"  # noqa: S608 - names of our own
_WITHDRAW = """
DELETE FROM tabellion.outbox_interest i WHERE licence_id = %(licence)s AND NOT EXISTS (
    SELECT FROM unnest(%(kinds)s::text[], %(ids)s::text[], %(types)s::text[]) w (kind, id, type)
    WHERE w.kind = i.subject_kind AND w.id = i.subject_id AND w.type = i.event_type)
"""
_DECLARE = """
INSERT INTO tabellion.outbox_interest (licence_id, subject_kind, subject_id, event_type)
SELECT DISTINCT %(licence)s::int, w.kind, w.id, w.type
FROM unnest(%(kinds)s::text[], %(ids)s::text[], %(types)s::text[]) w (kind, id, type) ON CONFLICT DO NOTHING
"""

# The licences that have news, one step through the index each, and of each its share of what is taken.
_TAKE = """
WITH RECURSIVE waiting (licence_id) AS (
    SELECT min(licence_id) FROM tabellion.outbox_event
    UNION ALL
    SELECT (SELECT min(o.licence_id) FROM tabellion.outbox_event o WHERE o.licence_id > w.licence_id)
    FROM waiting w WHERE w.licence_id IS NOT NULL),
share AS (SELECT greatest(%s / greatest(count(licence_id), 1), 1) AS most FROM waiting),
taken AS MATERIALIZED (
    SELECT t.* FROM waiting w CROSS JOIN LATERAL (
        SELECT o.licence_id, o.id FROM tabellion.outbox_event o WHERE o.licence_id = w.licence_id
        ORDER BY o.id LIMIT (SELECT most FROM share) FOR UPDATE SKIP LOCKED) t)
DELETE FROM tabellion.outbox_event o USING taken t WHERE o.licence_id = t.licence_id AND o.id = t.id
RETURNING o.id, o.licence_id, subject_kind, subject_id, event_type, fields, data::text, occurred_at
"""
# Numbers with a fraction stay exact.
_decode = msgspec.json.Decoder(float_hook=Decimal).decode

Subject = tuple[str, str]


class Interest(NamedTuple):
    """Somebody listens to one type of event of one subject."""

    subject_kind: str
    subject_id: str
    event_type: str


class Event(NamedTuple):
    """One event as it is taken out; `id` is its own for ever."""

    id: int
    licence_id: int
    subject_kind: str
    subject_id: str
    event_type: str
    fields: Sequence[str] | None
    data: Mapping[str, Any]
    occurred_at: datetime


_cache: VersionedCache[tuple[str, int], Mapping[Subject, frozenset[str]]] = VersionedCache(_MAX_LICENCES_CACHED)


async def interests_now(db: Database, licence_id: int) -> Mapping[Subject, frozenset[str]]:
    """`interests` for those who know no catalogue version: pages without a caller."""
    query = "SELECT catalogue_version FROM tabellion.licence WHERE id = %s"
    row = await (await db.execute(query, (licence_id,))).fetchone()
    return {} if row is None else await interests(db, licence_id, row[0])


async def interests(db: Database, licence_id: int, catalogue_version: int) -> Mapping[Subject, frozenset[str]]:
    """The event types that somebody listens to, by subject; from the process's cache unless the catalogue has changed."""

    async def load() -> Mapping[Subject, frozenset[str]]:
        cursor = await db.execute(
            "SELECT subject_kind, subject_id, array_agg(event_type) FROM tabellion.outbox_interest "
            "WHERE licence_id = %s GROUP BY 1, 2",
            (licence_id,),
        )
        return {(kind, subject): frozenset(types) for kind, subject, types in await cursor.fetchall()}

    return await _cache.get((db.info.dbname, licence_id), catalogue_version, load)


async def declare(db: Database, licence_id: int, wanted: Iterable[Interest]) -> None:
    """Make `wanted` the whole of a licence's interests.

    The caller's transaction must hold the licence's row and raise its catalogue version, so that two declarations follow
    each other and every process hears of it.
    """
    listed = list(wanted)
    parameters = {
        "licence": licence_id,
        "kinds": [i.subject_kind for i in listed],
        "ids": [i.subject_id for i in listed],
        "types": [i.event_type for i in listed],
    }
    await db.execute(_WITHDRAW, parameters)
    await db.execute(_DECLARE, parameters)


async def emit(db: Database, licence_id: int, interest: Interest, data: Mapping[str, Any], now: datetime) -> None:
    """Store one event in the caller's transaction; `data` is a JSON object. The caller has asked `interests`."""
    row = (licence_id, *interest, None, Jsonb(dict(data)), now)
    await db.execute(_EMIT, row)


async def forget(db: Database, licence_id: int, traces: Traces, until: datetime | None, last: int = 0) -> int:
    """Take out the events of a person that nobody has passed on yet; how many.

    Up to a moment (None: all), or to the id `last`.
    """
    query = """
DELETE FROM tabellion.outbox_event o WHERE o.licence_id = %(licence)s
AND (%(until)s::timestamptz IS NULL OR o.occurred_at <= %(until)s OR o.id <= %(last)s) AND (
    lower(o.data::text) LIKE ANY (%(likes)s::text[]) AND lower(o.data::text) ~ %(named)s
    OR o.data ->> 'interactionId' = ANY (%(mails)s)
    OR (o.subject_id, o.data ->> 'id') IN (SELECT * FROM unnest(%(tables)s::text[], %(rows)s::text[])))
"""
    rows = (*traces.rows, *traces.records)
    values = {
        "licence": licence_id, "until": until, "last": last, "likes": traces.likes, "named": traces.pattern,
        "mails": list(traces.mails), "tables": [table for table, _ in rows], "rows": [row for _, row in rows],
    }  # fmt: skip
    return (await db.execute(query, values)).rowcount


async def tell_ids_alone(db: Database, licence_id: int, traces: Traces, event_type: str) -> None:
    """Take from news of a type about rows all that identifies them, but their id."""
    query = """
UPDATE tabellion.outbox_event o SET data = jsonb_build_object('id', o.data -> 'id')
WHERE o.licence_id = %(licence)s AND o.event_type = %(type)s
  AND (o.subject_id, o.data ->> 'id') IN (SELECT * FROM unnest(%(tables)s::text[], %(rows)s::text[]))
"""
    values = {
        "licence": licence_id, "type": event_type,
        "tables": [table for table, _ in traces.rows], "rows": [row for _, row in traces.rows],
    }  # fmt: skip
    await db.execute(query, values)


async def take(db: Database, most: int) -> list[Event]:
    """Take out about `most` events: of each licence that has some as many, its oldest, in order.

    Inside the caller's transaction: they are there again when it fails. Several may take at once; none gets what another one
    has.
    """
    # Planned anew each time: the table is empty at one moment, and holds a hundred thousand rows at the next.
    cursor = await db.execute(_TAKE, (most,), prepare=False)
    return [
        Event(id_, licence_id, kind, subject, event_type, fields, _decode(data), occurred_at)
        for id_, licence_id, kind, subject, event_type, fields, data, occurred_at in sorted(await cursor.fetchall())
    ]
