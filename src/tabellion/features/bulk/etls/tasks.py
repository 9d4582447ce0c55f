"""The jobs of ETLs."""

from pathlib import Path

from procrastinate import App, RetryStrategy

from tabellion.features.bulk.etls import service
from tabellion.features.bulk.etls.running import Executor
from tabellion.kit.clock import utc_now

# The database or the disk may be away for a while; the execution goes on from the last block.
_RETRY = RetryStrategy(max_attempts=200, wait=2, linear_wait=2)


def register(jobs: App, url: str, spool: Path) -> None:
    """Register the run of an execution."""
    run = Executor(url, spool, utc_now)

    @jobs.task(name=service.TASK, retry=_RETRY, pass_context=False)
    async def run_execution(execution_id: int) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        await run(execution_id)
