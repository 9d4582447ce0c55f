"""The jobs of imports."""

import logging
from pathlib import Path

from procrastinate import App, RetryStrategy

from tabellion.features.bulk.imports import service
from tabellion.features.bulk.imports.running import Run
from tabellion.kit.clock import utc_now

_log = logging.getLogger(__name__)
# The database or the disk may be away for a while; the job goes on from its last block.
_RETRY = RetryStrategy(max_attempts=200, wait=2, linear_wait=2)


def register(jobs: App, url: str, spool: Path) -> None:
    """Register the run of an import."""
    run = Run(url, spool, utc_now)

    @jobs.task(name=service.TASK, retry=_RETRY, pass_context=False)
    async def run_import(job_id: int) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        await run(job_id)
