"""Entries of the trail are sealed some minutes after they were written, by whoever is not writing.

Ids are given before a transaction commits, so that a lower one can appear after a higher one. Whoever may still commit one
holds a lock on the table, as every writer does from before it is given an id: entries are sealed once all who held one have
ended.
"""

import asyncio
import hashlib
import logging
import time
from contextlib import aclosing
from datetime import datetime
from typing import LiteralString

from tabellion.platform.audit import seals
from tabellion.platform.database.connection import Database, Row

_log = logging.getLogger(__name__)
# So many say precisely enough where something was changed, and are deleted in some 20 ms.
STRETCH = 10_000
_LOOK_EVERY_S = 0.05
_GIVEN = "SELECT last_value FROM tabellion.audit_id_seq"
_WRITERS = """
SELECT DISTINCT virtualtransaction FROM pg_locks
WHERE locktype = 'relation' AND relation = 'tabellion.audit'::regclass AND mode = 'RowExclusiveLock' AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_NEXT = """
SELECT max(id), max(at), count(*) FROM (
    SELECT id, at FROM tabellion.audit WHERE id BETWEEN %s AND %s ORDER BY id LIMIT %s
) AS stretch
"""


async def seal(db: Database, now: datetime, patience_s: float = 60) -> int:
    """Seal the entries that were written before; returns their number.

    `db` is in autocommit mode. Who writes for longer than `patience_s` keeps what is written meanwhile from being sealed
    now. Raises `KeyUnusable`.
    """
    end = await _settled(db, patience_s)
    if end is None:
        _log.warning("the audit trail is not sealed: a transaction has been writing to it for more than %d s", patience_s)
        return 0
    count = 0
    async with seals.locked(db):
        last = before = await seals.newest(db)
        while (stretch := await _next(db, seals.first_id(last), end)) is not None:
            last = await seals.add(db, now, stretch)
            count += last.entries
    if last is not None and last is not before:
        _log.info("sealed %d entries of the audit trail; its head is %s", count, last.head)
    return count


async def _settled(db: Database, patience_s: float) -> int | None:
    """An id up to which everything is committed that ever will be, the latest there is; None: somebody keeps it open."""
    (end,) = await _row(db, _GIVEN)
    writers = await _writers(db)
    deadline = time.monotonic() + patience_s
    while writers:
        if time.monotonic() > deadline:
            return None
        await asyncio.sleep(_LOOK_EVERY_S)
        writers &= await _writers(db)
    return end


async def _writers(db: Database) -> set[str]:
    return {row[0] for row in await (await db.execute(_WRITERS)).fetchall()}


async def _next(db: Database, first_id: int, end: int) -> seals.Stretch | None:
    last_id, newest, count = await _row(db, _NEXT, first_id, end, STRETCH)
    if not count:
        return None
    if count < STRETCH:
        last_id = end
    content = hashlib.sha256()
    async with aclosing(seals.entries(db, first_id, last_id)) as lines:
        async for line in lines:
            content.update(line)
    return seals.Stretch(last_id, count, newest, content.digest())


async def _row(db: Database, query: LiteralString, *values: int) -> Row:
    row = await (await db.execute(query, values)).fetchone()
    assert row is not None  # noqa: S101 - each of them has one
    return row
