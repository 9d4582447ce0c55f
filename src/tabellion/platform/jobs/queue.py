"""Putting jobs into the queue, and asking what is in it."""

from typing import Any, Final, LiteralString

from psycopg.types.json import Jsonb

from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar, scalars

# Of the server's own jobs; each licence has another.
OWN_QUEUE = "default"
# The jobs that wait or run.
OPEN: Final[LiteralString] = "jobs.procrastinate_jobs WHERE status IN ('todo', 'doing')"


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
    (number,) = await scalar(
        db,
        "SELECT jobs.procrastinate_defer_jobs_v1("
        "ARRAY[ROW(%s, %s, %s, %s, %s, %s, %s)::jobs.procrastinate_job_to_defer_v1])",
        job,
    )
    return number


async def is_open(db: Database, task: str, **args: Any) -> bool:
    """Whether a job with these arguments (and maybe others) waits or runs."""
    query = f"SELECT EXISTS (SELECT FROM {OPEN} AND task_name = %s AND args @> %s)"  # noqa: S608 - names of our own
    return await scalar(db, query, (task, Jsonb(args)))


async def open_values(db: Database, task: str, argument: str) -> set[Any]:
    """What the jobs of a task that wait or run have as an argument, a number or a text."""
    query = f"SELECT args -> %s FROM {OPEN} AND task_name = %s"  # noqa: S608 - names of our own
    return set(await scalars(db, query, (argument, task)))
