"""The jobs of ETLs."""

from pathlib import Path

from procrastinate import App

from tabellion.features.bulk.etls import service
from tabellion.features.bulk.etls.running import Executor
from tabellion.features.bulk.fenced import Again
from tabellion.kit.clock import utc_now


def register(jobs: App, url: str, spool: Path) -> None:
    """Register the run of an execution."""
    run = Executor(url, spool, utc_now)

    @jobs.task(name=service.TASK, retry=Again(), pass_context=False)
    async def run_execution(execution_id: int) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        await run(execution_id)
