"""The SQL of why mails are pending. Who is ready, often nearly everybody, is not looked at: they are what is left."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from tabellion.features.delivery.model import Sending
from tabellion.features.delivery.store import in_schema
from tabellion.features.delivery.sums import Scope
from tabellion.features.delivery.worker_store import LIVES
from tabellion.platform.database.connection import Database

# Of so many mails, those that are due next, it is looked at what receivers said.
_SAMPLE, _MOST_DETAILS = 500, 3
_MINE = "r.sending_id = %(sending)s"
_SPAN = """ AND (%(from)s::timestamptz IS NULL OR r.planned_at >= %(from)s)
  AND (%(to)s::timestamptz IS NULL OR r.planned_at < %(to)s)"""
# These two are answered by indexes alone: there may be a million of the first.
_WAITING = "r.state IN ('PLANNED', 'DEFERRED') AND r.due_at > %(after)s::timestamptz AND r.due_at < 'infinity'"
# A retry that the rules have put off has no worker any more.
_RETRY = "r.state = 'DEFERRED' AND r.worker IS NOT NULL AND r.due_at > %(now)s"
_AT_OPENING = "r.due_at = ANY (%(openings)s::timestamptz[])"
_RECALLED = "EXISTS (SELECT 1 FROM tabellion.mail_recall WHERE sending_id = %(sending)s)"


class Whose(NamedTuple):
    """The mails of a sending at a moment. `openings`: when sending hours of recipients begin."""

    scope: Scope
    sending: Sending
    now: datetime
    openings: Sequence[datetime] = ()

    @property
    def values(self) -> dict[str, Any]:
        """What statements take."""
        return {
            "sending": self.sending.id, "from": self.scope.from_at, "to": self.scope.to_at, "now": self.now,
            "after": self.now, "openings": list(self.openings),
        }  # fmt: skip

    def query(self, text: str) -> bytes:
        """A statement about the licence's tables."""
        mine = _MINE if self.scope.whole else _MINE + _SPAN
        parts = {"mine": mine, "waiting": _WAITING, "retry": _RETRY, "at_opening": _AT_OPENING, "recalled": _RECALLED}
        return in_schema(self.scope.licence_id, text, **parts)


class Counts(NamedTuple):
    """Mails that are not ready, and when the first of them is due; those for whom nothing is said are not counted."""

    leaving: int
    retry: int
    retry_at: datetime | None
    hours: int
    opens_at: datetime | None
    domain: int
    ready: int


async def count(db: Database, whose: Whose, *, due_too: bool) -> Counts:
    """How many wait for what. `ready` are those who are due (only with `due_too`), and who are to be looked at again.

    Nobody who waits for the winner of an A/B test.
    """
    query = """
SELECT l.leaving, t.number, t.first_at,
    CASE WHEN o.recalled THEN 0 ELSE w.at_opening - t.at_opening END, CASE WHEN NOT o.recalled THEN w.opens_at END,
    CASE WHEN o.recalled THEN 0 ELSE w.number - w.due - w.at_opening - t.number + t.at_opening END,
    CASE WHEN o.recalled THEN w.number - t.number ELSE w.due END
FROM (SELECT {recalled} AS recalled) o, (
    SELECT count(*) AS leaving FROM {l}.recipient r WHERE {mine} AND r.state IN ('CLAIMED', 'SENDING')
) l, (
    SELECT count(*) AS number, min(r.due_at) AS first_at, count(*) FILTER (WHERE {at_opening}) AS at_opening
    FROM {l}.recipient r WHERE {mine} AND {retry}
) t, (
    SELECT count(*) AS number, count(*) FILTER (WHERE r.due_at <= %(now)s) AS due,
        count(*) FILTER (WHERE {at_opening}) AS at_opening, min(r.due_at) FILTER (WHERE {at_opening}) AS opens_at
    FROM {l}.recipient r WHERE {mine} AND {waiting}
) w
"""
    values = whose.values | ({"after": "-infinity"} if due_too else {})
    row = await (await db.execute(whose.query(query), values, prepare=False)).fetchone()
    assert row is not None  # noqa: S101 - aggregates without GROUP BY answer one row
    return Counts(*row)


async def replies(db: Database, whose: Whose) -> list[tuple[str, int]]:
    """Why mails are tried again that are next, as their relays said it, or the server; and how many of them."""
    query = """
SELECT coalesce(s.reply, s.reason, ''), count(*) FROM (
    SELECT r.reply, r.reason FROM {l}.recipient r WHERE {mine} AND {retry} ORDER BY r.due_at LIMIT %(sample)s
) s GROUP BY 1
"""
    rows = await (await db.execute(whose.query(query), whose.values | {"sample": _SAMPLE})).fetchall()
    return [(row[0], row[1]) for row in rows]


async def domains(db: Database, whose: Whose) -> tuple[datetime | None, list[tuple[str, str | None]]]:
    """Of mails that wait for their domain: when the first is due, and the domains that most of the next ones are for.

    With what they said who are held.
    """
    query = """
SELECT s.first_at, s.domain, h.reply FROM (
    SELECT n.domain, count(*) AS number, min(min(n.due_at)) OVER () AS first_at FROM (
        SELECT r.due_at, lower(substring(r.address FROM '[^@]*$')) AS domain FROM {l}.recipient r
        WHERE {mine} AND {waiting} AND NOT ({retry}) AND NOT {at_opening} ORDER BY r.due_at LIMIT %(sample)s
    ) n GROUP BY 1
) s LEFT JOIN {l}.domain_hold h ON h.domain = s.domain AND h.until_at > %(now)s
ORDER BY s.number DESC, s.domain LIMIT %(most)s
"""
    values = whose.values | {"sample": _SAMPLE, "most": _MOST_DETAILS}
    rows = await (await db.execute(whose.query(query), values)).fetchall()
    return rows[0][0] if rows else None, [(row[1], row[2]) for row in rows]


class Facts(NamedTuple):
    """What lies outside the mails of a sending. `is_due`: it is to begin, or has; `without_relay`: its licence's name."""

    restored: bool
    has_worker: bool
    is_due: bool
    without_relay: str | None


async def facts(db: Database, sending: Sending, now: datetime) -> Facts:
    """How things stand for a sending."""
    query = f"""
SELECT EXISTS (SELECT 1 FROM tabellion.server_hold),
    EXISTS (SELECT 1 FROM tabellion.mail_worker w WHERE {LIVES}),
    EXISTS (SELECT 1 FROM tabellion.mail_due WHERE sending_id = %(sending)s AND from_at <= %(now)s),
    (SELECT l.name FROM tabellion.relayed d JOIN tabellion.licence l ON l.id = d.licence_id WHERE l.id = %(licence)s
        AND NOT EXISTS (SELECT 1 FROM tabellion.relay r WHERE r.licence_id = l.id))
"""  # noqa: S608 - words of our own
    values = {"sending": sending.id, "licence": sending.licence_id, "now": now}
    row = await (await db.execute(query, values)).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM answers one row
    return Facts(*row)


async def troubles(db: Database, sending: Sending) -> list[tuple[Literal["relay", "refused", "error"], str]]:
    """What keeps living workers from sending: a relay, one that refuses these mails, or an error; and what is wrong."""
    query = f"""
SELECT DISTINCT CASE WHEN t.relay_id IS NULL THEN 'error' WHEN t.sending_id IS NULL THEN 'relay' ELSE 'refused' END, t.wrong
FROM tabellion.mail_trouble t JOIN tabellion.mail_worker w ON w.id = t.worker_id
LEFT JOIN tabellion.relay r ON r.id = t.relay_id
WHERE {LIVES}
  AND (t.sending_id IS NULL AND r.licence_id = %(licence)s OR t.sending_id = %(sending)s) ORDER BY 1 DESC, 2
"""  # noqa: S608 - words of our own
    values = {"sending": sending.id, "licence": sending.licence_id}
    return [(row[0], row[1]) for row in await (await db.execute(query, values)).fetchall()]
