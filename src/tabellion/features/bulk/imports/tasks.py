"""The jobs of imports."""

from pathlib import Path

from procrastinate import App

from tabellion.features.bulk.imports import service
from tabellion.features.bulk.imports.running import Run
from tabellion.features.bulk.retrying import Again
from tabellion.kit.clock import utc_now


def register(jobs: App, url: str, spool: Path) -> None:
    """Register the run of an import."""
    run = Run(url, spool, utc_now)

    @jobs.task(name=service.TASK, retry=Again(), pass_context=False)
    async def run_import(job_id: int) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        await run(job_id)
