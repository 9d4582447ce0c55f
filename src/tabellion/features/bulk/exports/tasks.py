"""The jobs of exports."""

import logging
from pathlib import Path

import psycopg
from procrastinate import App

from tabellion.features.bulk.exports import service
from tabellion.features.bulk.exports.running import Exporter
from tabellion.features.bulk.retrying import Again
from tabellion.kit.clock import utc_now

_log = logging.getLogger(__name__)


def register(jobs: App, url: str, spool: Path) -> None:
    """Register the run of an execution, and the look at schedules."""
    run = Exporter(url, spool, utc_now)

    @jobs.task(name=service.TASK, retry=Again(), pass_context=False)
    async def run_execution(execution_id: int) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        await run(execution_id)

    @jobs.periodic(cron="* * * * *")
    @jobs.task(name="exports.due", queueing_lock="exports.due", pass_context=False)
    async def start_due(timestamp: int) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
            if started := await service.start_due(db, utc_now()):
                _log.info("%d exports were started by their schedules", started)
