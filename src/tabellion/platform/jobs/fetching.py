"""Whose job is next: by turns of the licences (`turns`), and of a licence's jobs the oldest.

The library alone takes jobs in the order in which they came, so that ten imports of one licence keep everybody else waiting.
"""

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from procrastinate.connector import BaseConnector
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager

from tabellion.platform.jobs.turns import CANDIDATE, LIMITS

_log = logging.getLogger(__name__)
# How long a worker that is to end waits for a database that is away, only to say that it has ended.
_FAREWELL_S = 2.0
_TAKE = f"""
WITH {CANDIDATE} FOR UPDATE OF j SKIP LOCKED
), turn AS (
    INSERT INTO tabellion.job_turn SELECT queue_name, clock_timestamp() FROM candidate
    ON CONFLICT (queue_name) DO UPDATE SET at = excluded.at
)
UPDATE jobs.procrastinate_jobs j SET status = 'doing', worker_id = %(worker)s FROM candidate WHERE j.id = candidate.id
RETURNING j.*
"""  # noqa: S608 - names of our own
_WAKE = """SELECT pg_notify('procrastinate_any_queue_v1', '{"type": "job_inserted", "job_id": 0}')"""
_FORGET = "DELETE FROM tabellion.job_turn WHERE at < now() - interval '1 day'"


class InTurns(JobManager):
    """The library's keeper of jobs, which hands them out by turns. `leaving`: the worker was told to end."""

    def __init__(self, connector: BaseConnector, leaving: asyncio.Event) -> None:
        super().__init__(connector)
        self._leaving = leaving

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """Mark the next job as that of a worker; None: there is none for it now."""
        values: dict[str, Any] = {"worker": worker_id, "queues": None if queues is None else list(queues)}
        rows = await self.connector.execute_query_all_async(query=_TAKE, **values, **LIMITS, leaving=None, mine="")
        return Job.from_row(rows[0]) if rows else None

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:  # noqa: FBT001 - the library's
        """As the library does; whoever may have the place now is told, and does not find it by looking a second later."""
        await super().finish_job(job, status, delete_job)
        await self.connector.execute_query_async(_WAKE)

    async def retry_job(self, job: Job, retry_at: datetime | None = None, *args: Any, **kwargs: Any) -> None:
        """As `finish_job`."""
        await super().retry_job(job, retry_at, *args, **kwargs)
        await self.connector.execute_query_async(_WAKE)

    async def unregister_worker(self, worker_id: int) -> None:
        """As the library does, which may wait half a minute for a connection; who was told to end does not wait for that.

        Others find a worker gone that has not said so.
        """
        farewell = asyncio.create_task(super().unregister_worker(worker_id))
        patience = asyncio.create_task(self._patience())
        await asyncio.wait((farewell, patience), return_when=asyncio.FIRST_COMPLETED)
        patience.cancel()
        if farewell.done():
            return await farewell
        farewell.cancel()
        _log.warning("the database is away: this worker ends without telling it")
        return None

    async def _patience(self) -> None:
        await self._leaving.wait()
        await asyncio.sleep(_FAREWELL_S)

    async def delete_old_jobs(self, *args: Any, **kwargs: Any) -> None:
        """Turns that nobody asks for any more as well."""
        await super().delete_old_jobs(*args, **kwargs)
        await self.connector.execute_query_async(_FORGET)
