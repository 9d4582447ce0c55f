"""The jobs of custom tables."""

import logging
from pathlib import Path

import psycopg
from procrastinate import App

from tabellion.features.customdata.cleaning import clean
from tabellion.kit.clock import utc_now

_log = logging.getLogger(__name__)


def register(jobs: App, url: str, spool: Path) -> None:
    """Register the nightly cleaning."""

    @jobs.periodic(cron="7 2 * * *")
    @jobs.task(name="customdata.clean", queueing_lock="customdata.clean", pass_context=False)
    async def clean_tables(timestamp: int) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
            count = await clean(db, utc_now())
        _log.info("deleted %d records by cleaning rules", count)
