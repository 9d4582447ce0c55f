"""The jobs of imports."""

from pathlib import Path

from procrastinate import App, JobContext

from tabellion.features.bulk.imports import service
from tabellion.features.bulk.retrying import Again
from tabellion.kit.clock import utc_now
from tabellion.platform.jobs.turns import Turn, let_give_way


def register(jobs: App, url: str, spool: Path) -> None:
    """Register the run of an import."""
    let_give_way(service.TASK)

    @jobs.task(name=service.TASK, retry=Again(), pass_context=True)
    async def run_import(context: JobContext, job_id: int) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        from tabellion.features.bulk.imports.running import Run  # noqa: PLC0415 - it loads polars, for files alone

        await Run(url, spool, utc_now, Turn(context.job.id, context.job.queue))(job_id)
