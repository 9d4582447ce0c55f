"""Imports and exports that nobody goes on with: a verb of the command line worked on them, and was stopped or killed.

No job of the queue brings them to an end. Their files would stay, and erasures of people would wait for them.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import LiteralString, NamedTuple

from tabellion.features.bulk.exports import exports_store
from tabellion.features.bulk.exports import service as exports
from tabellion.features.bulk.fenced import lock_of
from tabellion.features.bulk.imports import Status, jobs_store
from tabellion.features.bulk.imports import service as imports
from tabellion.platform import audit, jobs
from tabellion.platform.database.advisory import AdvisoryLock
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar

_AFTER = timedelta(days=1)


class _Kind(NamedTuple):
    """`word` is that of the audit trail; `task` has the number as its `argument`; `open` selects number and licence."""

    word: str
    lock: AdvisoryLock
    task: str
    argument: str
    open: LiteralString
    end: Callable[[Database, int, Status, datetime], Awaitable[bool]]


_KINDS = (
    _Kind(
        "import",
        AdvisoryLock.IMPORT,
        imports.TASK,
        "job_id",
        "SELECT id, licence_id FROM tabellion.import_job "
        "WHERE ended_at IS NULL AND execution_id IS NULL AND created_at < %s",
        jobs_store.end,
    ),
    _Kind(
        "export-execution",
        AdvisoryLock.EXPORT,
        exports.TASK,
        "execution_id",
        "SELECT id, licence_id FROM tabellion.export_execution WHERE ended_at IS NULL AND created_at < %s",
        exports_store.end,
    ),
)


async def cancel(db: Database, now: datetime) -> int:
    """Cancel those that are a day old and that nobody works on; how many. `jobs retry` goes on with one all the same.

    In autocommit mode.
    """
    count = 0
    for kind in _KINDS:
        old = await (await db.execute(kind.open, (now - _AFTER,))).fetchall()
        queued = await jobs.open_values(db, kind.task, kind.argument)
        for number, licence_id in old:
            if number in queued:
                continue
            async with db.transaction():
                # Whoever works on it holds this; it is let go with the transaction.
                free = "SELECT pg_try_advisory_xact_lock(%s, %s::int)"
                if await scalar(db, free, lock_of(kind.lock, number)) and await kind.end(db, number, Status.CANCELLED, now):
                    await audit.record_server(
                        db, licence_id, "jobs cancel: nobody works on it", f"{kind.word}/{number}", now
                    )
                    count += 1
    return count
