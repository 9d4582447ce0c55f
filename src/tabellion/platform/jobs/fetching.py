"""Whose job is next: that of the licence of which the fewest are done at the moment, and of its jobs the oldest.

The library alone takes jobs in the order in which they came, so that ten imports of one licence keep everybody else waiting.
See docs/adr/0062-shared-by-licence.md.
"""

from collections.abc import Iterable
from typing import Any, Final

from procrastinate.jobs import Job
from procrastinate.manager import JobManager

from tabellion.platform.jobs.queue import OWN_QUEUE

# Places of a worker. How many of them licences may have, so that the server's own work never waits for theirs; how many one.
PLACES: Final = 4
_OF_LICENCES, _OF_ONE = 3, 2
# As the library's own, which also lets jobs with the same lock run in order, but for whose turn it is. Two workers that ask
# at the same moment may give a licence a place more than it should have, until its next job ends.
_NEXT = """
WITH doing AS MATERIALIZED (
    SELECT queue_name, count(*) AS jobs FROM procrastinate_jobs WHERE status = 'doing' AND worker_id IS NOT NULL GROUP BY 1
), room AS MATERIALIZED (
    SELECT w.workers * %(of_one)s AS of_one, w.workers * %(of_licences)s - coalesce(
        (SELECT sum(jobs) FROM doing WHERE queue_name <> %(own)s), 0) AS of_licences
    FROM (SELECT greatest(count(*), 1) AS workers FROM procrastinate_workers) w
), candidate AS (
    SELECT j.id FROM procrastinate_jobs j CROSS JOIN room LEFT JOIN doing ON doing.queue_name = j.queue_name
    WHERE j.status = 'todo' AND (j.scheduled_at IS NULL OR j.scheduled_at <= now())
      AND (%(queues)s::text[] IS NULL OR j.queue_name = ANY (%(queues)s::text[]))
      AND (j.queue_name = %(own)s OR room.of_licences > 0 AND coalesce(doing.jobs, 0) < room.of_one)
      AND NOT EXISTS (
        SELECT FROM procrastinate_jobs o WHERE j.lock IS NOT NULL AND o.lock = j.lock
          AND (o.status = 'doing' OR o.status = 'todo' AND (-o.priority, o.id) < (-j.priority, j.id)))
    ORDER BY j.queue_name <> %(own)s, coalesce(doing.jobs, 0), j.priority DESC, j.id LIMIT 1
    FOR UPDATE OF j SKIP LOCKED
)
UPDATE procrastinate_jobs j SET status = 'doing', worker_id = %(worker)s FROM candidate WHERE j.id = candidate.id
RETURNING j.*
"""


class InTurns(JobManager):
    """The library's keeper of jobs, which hands them out by turns."""

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """Mark the next job as that of a worker; None: there is none for it now."""
        values: dict[str, Any] = {
            "worker": worker_id, "queues": None if queues is None else list(queues), "own": OWN_QUEUE,
            "of_one": _OF_ONE, "of_licences": _OF_LICENCES,
        }  # fmt: skip
        rows = await self.connector.execute_query_all_async(query=_NEXT, **values)
        return Job.from_row(rows[0]) if rows else None
