"""The jobs of ETLs."""

import logging
from pathlib import Path

import psycopg
from procrastinate import App, BaseRetryStrategy, JobContext
from procrastinate.jobs import Job
from procrastinate.retry import RetryDecision

from tabellion.features.bulk.etls import looking, reporting, service
from tabellion.features.bulk.retrying import Again
from tabellion.kit.clock import utc_now
from tabellion.platform.jobs.periodic import periodic
from tabellion.platform.jobs.turns import Turn
from tabellion.platform.transfer import TransferError

_log = logging.getLogger(__name__)
_GIVE_UP_AFTER = 20


class Slowly(BaseRetryStrategy):
    """For a server that is away: twice as long after each try, at most an hour, some 14 hours in all."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """When to try again; None: not any more."""
        if job.attempts >= _GIVE_UP_AFTER:
            return None
        return RetryDecision(retry_in={"seconds": min(30 * 2**job.attempts, 3600)})


def register(jobs: App, url: str, spool: Path, public_url: str) -> None:
    """Register the run of an execution, its reports, and the looks into locations. `public_url`: what mails lead to."""

    @jobs.task(name=service.TASK, retry=Again(), pass_context=True)
    async def run_execution(context: JobContext, execution_id: int) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        from tabellion.features.bulk.etls.running import Executor  # noqa: PLC0415 - as for imports

        await Executor(url, spool, utc_now, Turn(context.job.id, context.job.queue))(execution_id)

    @jobs.task(name=looking.LOOK, pass_context=False)
    async def look(etl_id: int) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
            await looking.look(db, etl_id, utc_now)

    @jobs.task(name=looking.PUT_AWAY, retry=Slowly(), pass_context=False)
    async def put_away(execution_id: int) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
            try:
                await looking.put_files_away(db, execution_id)
            except TransferError as error:
                _log.warning("the files of the execution %d of an ETL stay where they are: %s", execution_id, error.message)
                raise

    @jobs.task(name=reporting.REPORT, retry=Slowly(), pass_context=False)
    async def report(execution_id: int, recipient: str) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
            await reporting.send_report(db, execution_id, recipient, public_url, utc_now())

    periodic(jobs, url, "etls.due", "* * * * *", looking.start_due)
