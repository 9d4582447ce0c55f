"""Work that is done by the clock."""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

import psycopg
from procrastinate import App

from tabellion.kit.clock import utc_now
from tabellion.platform.database.connection import Database

_log = logging.getLogger(__name__)
Work = Callable[[Database, datetime], Awaitable[int]]


def periodic(jobs: App, url: str, name: str, cron: str, work: Work, *, says: str = "") -> None:
    """Have `work` done, on a connection of its own in autocommit mode, whenever `cron` (UTC) says so.

    It must be safe to do twice. `work` returns how many it has dealt with; `says`: how the log tells of that number, if it
    is not 0.
    """

    @jobs.periodic(cron=cron)
    @jobs.task(name=name, queueing_lock=name, pass_context=False)
    async def run(timestamp: int) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
            count = await work(db, utc_now())
        if says and count:
            _log.info(says, count)
