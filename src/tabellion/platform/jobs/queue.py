"""Putting jobs into the queue."""

from typing import Any

from psycopg.types.json import Jsonb

from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar

# Of the server's own jobs; each licence has another.
OWN_QUEUE = "default"


async def defer(
    db: Database,
    task: str,
    *,
    licence_id: int | None = None,
    lock: str | None = None,
    queueing_lock: str | None = None,
    **args: Any,
) -> int:
    """Queue a job in the caller's transaction and return its id: it runs if, and only if, the transaction commits.

    Jobs are shared out by `licence_id`: that of whoever has it done, None for the server's own work (see `fetching`). Those
    with the same `lock` run one after the other; of those with the same `queueing_lock` only one can wait, a second
    raises `psycopg.errors.UniqueViolation`. `args` are JSON values.
    """
    queue = OWN_QUEUE if licence_id is None else f"licence/{licence_id:d}"
    job = (queue, task, 0, lock, queueing_lock, Jsonb(args), None)
    cursor = await db.execute(
        "SELECT jobs.procrastinate_defer_jobs_v1("
        "ARRAY[ROW(%s, %s, %s, %s, %s, %s, %s)::jobs.procrastinate_job_to_defer_v1])",
        job,
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("the database did not give the job's id")
    return int(row[0][0])


async def is_open(db: Database, task: str, **args: Any) -> bool:
    """Whether a job with these arguments (and maybe others) waits or runs."""
    return await scalar(
        db,
        "SELECT EXISTS (SELECT FROM jobs.procrastinate_jobs "
        "WHERE status IN ('todo', 'doing') AND task_name = %s AND args @> %s)",
        (task, Jsonb(args)),
    )
