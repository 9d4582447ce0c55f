"""Work that is done by the clock."""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

import psycopg
from procrastinate import App
from psycopg import errors

from tabellion.kit.clock import utc_now
from tabellion.kit.disk import is_full
from tabellion.kit.outage import Outage
from tabellion.platform.database.connection import Database

_log = logging.getLogger(__name__)
Work = Callable[[Database, datetime], Awaitable[int]]
# Lost connections have no SQLSTATE; these say that the database begins, ends or is too busy for another one.
_AWAY = (errors.AdminShutdown, errors.CrashShutdown, errors.CannotConnectNow, errors.TooManyConnections)


def periodic(jobs: App, url: str, name: str, cron: str, work: Work, *, says: str = "") -> None:
    """Have `work` done, on a connection of its own in autocommit mode, whenever `cron` (UTC) says so.

    It must be safe to do twice. `work` returns how many it has dealt with; `says`: how the log tells of that number, if it
    is not 0. While a disk is full or the database away, the log says so once, and the work waits for its next time.
    """
    outage = Outage(_log)

    @jobs.periodic(cron=cron)
    @jobs.task(name=name, queueing_lock=name, pass_context=False)
    async def run(timestamp: int) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        try:
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
                count = await work(db, utc_now())
        except (psycopg.OperationalError, OSError) as error:
            if (why := _why_it_waits(error)) is None:
                raise
            outage.found(f"{name} waits for its next time: {why}")
            return
        outage.over(f"{name} is done again")
        if says and count:
            _log.info(says, count)


def _why_it_waits(error: psycopg.OperationalError | OSError) -> str | None:
    """None: it may be a fault of ours, and is told with its trace."""
    if isinstance(error, OSError):
        return "the disk of the server is full; make room" if is_full(error) else None
    if isinstance(error, errors.DiskFull):
        return "the disk of the database is full; make room"
    if error.sqlstate is None or isinstance(error, _AWAY):
        return f"the database cannot be reached ({type(error).__name__})"
    return None
