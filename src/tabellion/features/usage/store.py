"""The SQL of usage: the gate's statement, heartbeats, counters."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from psycopg import errors

from tabellion.features.usage.model import Counters, Settings, Verdict
from tabellion.platform.database.connection import Database, fetch
from tabellion.platform.database.scalars import scalar, scalars

_GATE = (
    b"SELECT * FROM tabellion.gate(%s::int, %s::int[], %s::int[], %s::text[], %s::bytea[], %s::int[], %s::int[], %s::int[], "
    b"%s::interval, %s::timestamptz)"
)
_REGISTER = """
WITH process AS (
    INSERT INTO tabellion.usage_process (id, alive_until)
    SELECT nextval('tabellion.usage_process_id')::int, clock_timestamp() + %(lease)s::interval RETURNING id),
held AS (
    INSERT INTO tabellion.usage_slot (licence_id, process_id, in_flight)
    SELECT h.licence_id, process.id, h.slots FROM process,
        (SELECT licence_id, count(*)::int AS slots FROM unnest(%(held)s::int[]) AS licence_id GROUP BY licence_id) h
    WHERE EXISTS (SELECT FROM tabellion.licence l WHERE l.id = h.licence_id))
SELECT id FROM process
"""
_HEARTBEAT = """
UPDATE tabellion.usage_process SET alive_until = clock_timestamp() + %s::interval WHERE id = %s RETURNING clock_timestamp()
"""
# Later than the gate has ever written, unless its clock was put back since. Locked in the order in which the gate locks.
_AHEAD = """
SELECT s.licence_id FROM tabellion.usage_state s JOIN tabellion.licence l ON l.id = s.licence_id
WHERE s.arrival > extract(epoch FROM clock_timestamp()) + l.window_seconds + l.max_wait_seconds + 1
    OR EXISTS (SELECT FROM tabellion.usage_call c WHERE c.licence_id = s.licence_id AND c.at > clock_timestamp())
ORDER BY s.licence_id FOR UPDATE OF s
"""
_BROUGHT_BACK = (
    """
UPDATE tabellion.usage_state s
SET arrival = least(s.arrival, extract(epoch FROM clock_timestamp()) + l.window_seconds)
FROM tabellion.licence l WHERE l.id = s.licence_id AND s.licence_id = ANY (%(licences)s)
""",
    """
UPDATE tabellion.usage_call SET at = clock_timestamp() WHERE licence_id = ANY (%(licences)s) AND at > clock_timestamp()
""",
)
_LEASES_BROUGHT_BACK = """
UPDATE tabellion.usage_process SET alive_until = clock_timestamp() + %(lease)s::interval WHERE id IN (
    SELECT id FROM tabellion.usage_process WHERE alive_until > clock_timestamp() + 2 * %(lease)s::interval
    ORDER BY id FOR UPDATE SKIP LOCKED)
"""
_COUNTERS = """
SELECT coalesce(s.calls, 0), coalesce(s.slowed_down, 0), coalesce(s.refused, 0),
    (SELECT coalesce(json_object_agg(table_id, accepted), '{}'::json) FROM tabellion.usage_bulk b
     WHERE b.licence_id = l.id AND b.day = %(day)s),
    (SELECT count(*) FROM tabellion.api_user u WHERE u.licence_id = l.id)
FROM tabellion.licence l LEFT JOIN tabellion.usage_state s ON s.licence_id = l.id AND s.day = %(day)s
WHERE l.id = %(licence)s
"""
_BULK = """
INSERT INTO tabellion.usage_bulk AS b (licence_id, day, table_id, accepted) VALUES (%s, %s, %s, 1)
ON CONFLICT (licence_id, day, table_id) DO UPDATE SET accepted = b.accepted + 1 RETURNING accepted
"""


async def ask(
    db: Database,
    process: int,
    freed: Mapping[int, int],
    requests: Sequence[tuple[str, bytes, int, int, int]],
    grace: timedelta,
) -> list[Verdict]:
    """Put a batch of requests (kind, digest, user, version, flags) to the gate; unknown credentials are left out.

    `freed`: slots that became free, by licence. Requests of one credential should follow each other.
    """
    columns = [list(column) for column in zip(*requests, strict=True)] if requests else [[] for _ in range(5)]
    asked = (process, list(freed), list(freed.values()), *columns, grace, None)
    try:
        rows = await fetch(db, _GATE, asked)
    except errors.ForeignKeyViolation:
        # A licence was deleted between the look-up of its credential and its turn; now it is not found.
        rows = await fetch(db, _GATE, asked)
    return [Verdict(*row) for row in rows]


async def register(db: Database, lease: timedelta, held: Sequence[int]) -> int:
    """A new process id, alive for `lease`; `held` are the licences of the slots that the process holds already."""
    return await scalar(db, _REGISTER, {"lease": lease, "held": list(held)})


async def heartbeat(db: Database, process: int, lease: timedelta) -> datetime | None:
    """Stay alive for another `lease`; the moment on the gate's clock, or None when the process was forgotten."""
    return await scalar(db, _HEARTBEAT, (lease, process))


async def bring_back(db: Database, lease: timedelta) -> int:
    """Take what the gate wrote before its clock was put back as if it had been now; returns of how many licences.

    Otherwise nobody would be let in until the clock is there again. What a licence may still do is none too much: it
    begins with a window that is used up.
    """
    async with db.transaction():
        licences = await scalars(db, _AHEAD)
        if licences:
            for statement in _BROUGHT_BACK:
                await db.execute(statement, {"licences": licences})
    await db.execute(_LEASES_BROUGHT_BACK, {"lease": lease})
    return len(licences)


async def count_refusals(db: Database, licence_id: int, times: int) -> None:
    """Count refusals on the day of the licence's last call, which was one of them or came after them."""
    await db.execute("UPDATE tabellion.usage_state SET refused = refused + %s WHERE licence_id = %s", (times, licence_id))


async def farewell(db: Database, process: int) -> None:
    """Free all slots of a process that ends."""
    await db.execute("DELETE FROM tabellion.usage_process WHERE id = %s", (process,))


async def counters(db: Database, licence_id: int, day: date) -> Counters:
    """What the licence has used on a day of its time zone."""
    cursor = await db.execute(_COUNTERS, {"licence": licence_id, "day": day})
    row = await cursor.fetchone()
    if row is None:
        return Counters(0, 0, 0, 0, {}, 0)
    bulk: Mapping[str, int] = row[3]
    return Counters(row[0], row[1], row[2], bulk.get("", 0), {t: n for t, n in bulk.items() if t}, row[4])


async def settings_of(db: Database, licence_id: int) -> Settings:
    """What was said about the limits of a licence."""
    cursor = await db.execute(
        "SELECT preset, max_users, on_excess, bulk_per_day, bulk_scope, max_bulk_file_bytes FROM tabellion.licence "
        "WHERE id = %s",
        (licence_id,),
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - the caller was admitted a moment ago
    return Settings(*row)


async def count_bulk(db: Database, licence_id: int, day: date, table_id: str) -> int:
    """Count one accepted bulk call; returns the day's number. The row stays locked until the transaction ends."""
    return await scalar(db, _BULK, (licence_id, day, table_id))


_PURGES = (
    "DELETE FROM tabellion.access_token WHERE expires_at < %(now)s::timestamptz - interval '1 day'",
    "DELETE FROM tabellion.idempotency WHERE created_at < %(now)s::timestamptz - interval '1 day'",
    "DELETE FROM tabellion.auth_failure WHERE since < %(now)s::timestamptz - interval '1 hour'",
    "DELETE FROM tabellion.usage_process WHERE alive_until < %(now)s::timestamptz - interval '1 hour'",
    "DELETE FROM tabellion.usage_bulk WHERE day < (%(now)s::timestamptz - interval '90 days')::date",
)


async def purge(db: Database, now: datetime) -> int:
    """Delete what has outlived its use; returns the number of rows."""
    rows = 0
    for statement in _PURGES:
        cursor = await db.execute(statement, {"now": now})
        rows += max(cursor.rowcount, 0)
    return rows
