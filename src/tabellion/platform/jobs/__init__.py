"""Background jobs on PostgreSQL (Procrastinate), in a schema of their own; deferred inside the caller's transaction."""

from importlib.resources import files

import psycopg
from procrastinate import App, PsycopgConnector
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

SCHEMA = "jobs"


def jobs_url(url: str) -> str:
    """The connection string under which the job library finds its tables."""
    given = str(conninfo_to_dict(url).get("options") or "")
    return make_conninfo(url, options=f"{given} -c search_path={SCHEMA},public".strip())


def app(url: str) -> App:
    """The job application on a database; tasks are registered by the composition root."""
    return App(connector=PsycopgConnector(conninfo=jobs_url(url), min_size=1, max_size=4))


def install(url: str) -> bool:
    """Make the job library's schema unless it is there; True when it was made now."""
    schema_sql = (files("procrastinate.sql") / "schema.sql").read_text("utf-8")
    with psycopg.connect(jobs_url(url), autocommit=True) as db, db.transaction():
        # One installer at a time; "jobs" in ASCII.
        db.execute("SELECT pg_advisory_xact_lock(1785684595)")
        found = db.execute("SELECT to_regclass('jobs.procrastinate_jobs') IS NOT NULL").fetchone()
        if found is not None and found[0]:
            return False
        db.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(SCHEMA)))
        db.execute(schema_sql.encode())
    return True


async def rescue_stalled(jobs: App) -> int:
    """Give jobs of workers that died back to the queue; returns how many."""
    stalled = list(await jobs.job_manager.get_stalled_jobs())
    for job in stalled:
        await jobs.job_manager.retry_job(job)
    return len(stalled)
