"""Old mails lose what is personal, by night and in portions: mails, what readers did, and what is kept in the outbox.

Nobody waits for it, but others send meanwhile: most of the time is theirs.

Each licence has a bookmark: mails and events up to it are done. Mails whose campaign goes on when their time is over are
left behind with a note of it, and looked at again every night until they are done as well.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from time import monotonic
from typing import Any, NamedTuple

from psycopg.errors import ForeignKeyViolation, UndefinedTable

from tabellion.features.delivery import stripping
from tabellion.features.delivery.model import OPEN
from tabellion.features.delivery.store import in_schema
from tabellion.platform.database.connection import Database

_AT_ONCE = 2000
# How many times as long as it worked.
_RESTS = 3
_OPEN = ", ".join(f"'{state}'" for state in OPEN)
# Triggered mails are each for themselves; those of a mass campaign are compared by their addresses until it has ended. Of a
# test whose campaign was deleted nobody sends what was left.
_OVER = "coalesce(s.state = 'ENDED' OR (s.document ->> 'triggered')::boolean, false)"
_DONE = f"(s.id IS NULL OR r.state NOT IN ({_OPEN}) AND {_OVER})"


class _Bookmark(NamedTuple):
    """Up to which mail and event it is done; `late`: campaigns with mails before it that were not."""

    recipient_id: int
    event_id: int
    late: list[int]


async def strip_old(db: Database, before: datetime, now: datetime) -> int:
    """Take what is personal from mails planned before a moment, and events from before it; from how many mails.

    In autocommit mode: each portion is a transaction of its own, and whoever is interrupted goes on there.
    """
    count = 0
    for (licence_id,) in await (await db.execute("SELECT id FROM tabellion.licence ORDER BY id")).fetchall():
        # A licence may be deleted meanwhile.
        with suppress(UndefinedTable, ForeignKeyViolation):
            count += await strip_licence(db, licence_id, before, now)
    return count


async def strip_licence(db: Database, licence_id: int, before: datetime, now: datetime) -> int:
    """The same for one licence."""
    count = await _mails(db, licence_id, before, now)
    count += await _late(db, licence_id, now)
    await _events(db, licence_id, before, now)
    await _outbox(db, licence_id, before)
    return count


async def _mails(db: Database, licence_id: int, before: datetime, now: datetime) -> int:
    query = """
SELECT r.id, r.campaign_id, r.planned_at < %s, {done}
FROM {l}.recipient r LEFT JOIN tabellion.sending s ON s.id = r.sending_id WHERE r.id > %s ORDER BY r.id LIMIT %s
"""
    count = 0
    while True:
        async with _portion(db):
            mark = await _bookmark(db, licence_id)
            statement = in_schema(licence_id, query, done=_DONE)
            rows = await (await db.execute(statement, (before, mark.recipient_id, _AT_ONCE))).fetchall()
            old = _begin(rows)
            if not old:
                return count
            stripped = await stripping.strip(db, licence_id, [row[0] for row in old if row[3]], now, unlink=False)
            late = sorted({*mark.late, *(row[1] for row in old if not row[3])})
            await _turn(db, licence_id, mark._replace(recipient_id=old[-1][0], late=late))
        count += stripped.mails
        if len(old) < _AT_ONCE:
            return count


async def _late(db: Database, licence_id: int, now: datetime) -> int:
    """Mails that were not done when they were passed; campaigns with none are late no more."""
    query = """
SELECT r.id, {done} FROM {l}.recipient r LEFT JOIN tabellion.sending s ON s.id = r.sending_id
WHERE r.campaign_id = %s AND r.id <= %s AND (left(r.address, 1) <> '@' OR r.parameters IS NOT NULL)
ORDER BY {done} DESC LIMIT %s
"""
    count = 0
    for campaign_id in (await _bookmark(db, licence_id)).late:
        while True:
            async with _portion(db):
                mark = await _bookmark(db, licence_id)
                values = (campaign_id, mark.recipient_id, _AT_ONCE)
                rows = await (await db.execute(in_schema(licence_id, query, done=_DONE), values)).fetchall()
                done = [row[0] for row in rows if row[1]]
                stripped = await stripping.strip(db, licence_id, done, now, unlink=False)
                if not rows:
                    await _turn(db, licence_id, mark._replace(late=[each for each in mark.late if each != campaign_id]))
            count += stripped.mails
            # What is on its way is left alone, whatever has become of its campaign: it is looked at again the next night.
            if not stripped.mails:
                break
    return count


async def _events(db: Database, licence_id: int, before: datetime, now: datetime) -> None:
    # A moment to come is one that somebody has told wrongly.
    query = """
SELECT e.id, NULL, e.moment < %s OR e.moment > %s FROM {l}.mail_event e WHERE e.id > %s ORDER BY e.id LIMIT %s
"""
    while True:
        async with _portion(db):
            mark = await _bookmark(db, licence_id)
            values = (before, now, mark.event_id, _AT_ONCE)
            old = _begin(await (await db.execute(in_schema(licence_id, query), values)).fetchall())
            if not old:
                return
            await stripping.strip_events(db, licence_id, [row[0] for row in old], by="id")
            await _turn(db, licence_id, mark._replace(event_id=old[-1][0]))
        if len(old) < _AT_ONCE:
            return


async def _outbox(db: Database, licence_id: int, before: datetime) -> None:
    query = """
DELETE FROM {l}.outbox_mail WHERE moment < %s AND id IN (SELECT id FROM {l}.outbox_mail ORDER BY id LIMIT %s)
"""
    count = _AT_ONCE
    while count == _AT_ONCE:
        async with _portion(db):
            count = (await db.execute(in_schema(licence_id, query), (before, _AT_ONCE))).rowcount


@asynccontextmanager
async def _portion(db: Database) -> AsyncGenerator[None]:
    """A transaction, and a rest after it."""
    began = monotonic()
    async with db.transaction():
        yield
    await asyncio.sleep(_RESTS * (monotonic() - began))


def _begin(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows before the first that is not old: ids and moments rise together."""
    young = next((place for place, row in enumerate(rows) if not row[2]), len(rows))
    return list(rows[:young])


async def _bookmark(db: Database, licence_id: int) -> _Bookmark:
    """Where a licence stands; its row is kept for the transaction."""
    await db.execute("INSERT INTO tabellion.mail_retention (licence_id) VALUES (%s) ON CONFLICT DO NOTHING", (licence_id,))
    query = "SELECT recipient_id, event_id, late FROM tabellion.mail_retention WHERE licence_id = %s FOR UPDATE"
    row = await (await db.execute(query, (licence_id,))).fetchone()
    return _Bookmark(0, 0, []) if row is None else _Bookmark(*row)


async def _turn(db: Database, licence_id: int, mark: _Bookmark) -> None:
    query = "UPDATE tabellion.mail_retention SET recipient_id = %s, event_id = %s, late = %s WHERE licence_id = %s"
    await db.execute(query, (*mark, licence_id))
