"""Whether workers live, and what becomes of the jobs of those that do not.

A worker holds an advisory lock on its number. The lock goes with the connection, and that with the process, so a worker
that was killed is known at once, and one that is only slow is not taken for dead. One that was stopped still has its lock:
it is given up once it has not shown for longer that it lives. A sign of life from a moment to come is one from before the
clock was put back, and counts for nothing.
"""

import asyncio
import logging
from datetime import UTC, datetime

from procrastinate import App
from procrastinate.worker import Worker
from psycopg import AsyncConnection, OperationalError

from tabellion.kit.outage import Outage
from tabellion.platform.database.advisory import AdvisoryLock
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar, scalars

_log = logging.getLogger(__name__)
# A worker shows that it lives every other second, and takes its lock as soon as it has a number.
HEARTBEAT_S, GONE_AFTER_S, SILENT_AFTER_S = 2.0, 3.0, 8.0
_LOOK_EVERY_S = 1.0
_HOLD = "SELECT pg_try_advisory_lock(%s, %s::int)"
_DEAD = """
SELECT j.id FROM jobs.procrastinate_jobs j LEFT JOIN jobs.procrastinate_workers w ON w.id = j.worker_id
WHERE j.status = 'doing' AND (w.id IS NULL OR w.last_heartbeat < now() - make_interval(secs => %(silent)s)
    OR (w.last_heartbeat NOT BETWEEN now() - make_interval(secs => %(gone)s) AND now() + make_interval(secs => %(gone)s)
        AND NOT EXISTS (
        SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
        WHERE l.locktype = 'advisory' AND l.granted AND l.classid = %(lock)s AND l.objid = w.id AND l.objsubid = 2)))
"""


class Lifeline:
    """Beside a worker: holds its lock, and gives the jobs of dead workers back to the queue; they are safe to run again."""

    def __init__(self, url: str, jobs: App, worker: Worker) -> None:
        self._url = url
        self._jobs = jobs
        self._worker = worker
        self._held: int | None = None
        self._blind = Outage(_log)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                async with await AsyncConnection.connect(
                    self._url, autocommit=True, application_name="tabellion worker"
                ) as db:
                    self._held = None
                    while True:
                        await self._turn(db)
                        self._blind.over("dead workers are looked for again")
                        await asyncio.sleep(_LOOK_EVERY_S)
            except OperationalError as error:
                self._blind.found(f"dead workers cannot be looked for: {type(error).__name__}")
            except Exception as error:  # noqa: BLE001 - whatever it is, the next turn comes soon
                self._blind.found(f"dead workers cannot be looked for: {type(error).__name__}", trace=True)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _turn(self, db: Database) -> None:
        number = self._worker.worker_id
        # An earlier connection that broke may hold the lock still, for as long as the server knows nothing of that.
        if number not in (None, self._held) and await scalar(db, _HOLD, (AdvisoryLock.JOB_WORKER, number)):
            self._held = number
        rescued = await rescue(db, self._jobs)
        if rescued:
            _log.warning("%d jobs of dead workers go back to the queue", rescued)


async def rescue(
    db: Database, jobs: App, *, gone_after_s: float = GONE_AFTER_S, silent_after_s: float = SILENT_AFTER_S
) -> int:
    """Give the jobs of dead workers back to the queue; returns how many.

    Dead is who has shown nothing for `silent_after_s`, or for `gone_after_s` while nobody holds its lock.
    """
    dead = await scalars(db, _DEAD, {"silent": silent_after_s, "gone": gone_after_s, "lock": AdvisoryLock.JOB_WORKER})
    for number in dead:
        await jobs.job_manager.retry_job_by_id_async(number, retry_at=datetime.now(UTC))
    return len(dead)
