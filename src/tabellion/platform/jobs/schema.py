"""The tables and functions of the job library, in a schema of their own, and their upgrades."""

from importlib.resources import files

import psycopg
from psycopg import sql

from tabellion.platform.database.advisory import AdvisoryLock
from tabellion.platform.database.schema import MigrationError, with_setting

SCHEMA = "jobs"
_LOCK_TIMEOUT, _STATEMENT_TIMEOUT = "10s", "60s"

Connection = psycopg.Connection[tuple[object, ...]]


class JobsMissing(Exception):
    """The database lacks the tables of the jobs, or has those of another version; the message says what to do."""


def jobs_url(url: str) -> str:
    """The connection string under which the job library finds its tables."""
    return with_setting(url, "search_path", f"{SCHEMA},public")


def install(url: str) -> list[str]:
    """Bring the job library's schema to the version installed here; returns what was done now.

    A new schema is made whole; to an older one the library's own steps are applied. All in one transaction. Raises
    `MigrationError` when somebody holds the tables for too long.
    """
    try:
        return _install(url)
    except psycopg.errors.LockNotAvailable as error:
        raise MigrationError(
            "the tables of the jobs could not be locked in time and are as they were; run tabellion migrate again when "
            "others have ended their transactions"
        ) from error


def _install(url: str) -> list[str]:
    with psycopg.connect(jobs_url(url), autocommit=True) as db, db.transaction():
        for name, value in (("lock_timeout", _LOCK_TIMEOUT), ("statement_timeout", _STATEMENT_TIMEOUT)):
            db.execute("SELECT set_config(%s, %s, true)", (name, value))
        db.execute("SELECT pg_advisory_xact_lock(%s)", (AdvisoryLock.JOBS_SCHEMA,))
        known, applied = _steps(), _applied(db)
        missing = [step for step in known if step not in applied]
        if not missing:
            return []
        done = missing
        if not applied:
            # The whole schema holds what the steps do.
            done = ["schema"]
            db.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(SCHEMA)))
            db.execute("CREATE TABLE jobs.applied_step (name text PRIMARY KEY)")
            db.execute((files("procrastinate.sql") / "schema.sql").read_bytes())
        else:
            for step in missing:
                db.execute(known[step].encode())
        db.cursor().executemany("INSERT INTO jobs.applied_step VALUES (%s)", [(step,) for step in missing])
        _bind_functions(db)
    return [f"jobs_{name}" for name in done]


def require_installed(url: str) -> None:
    """Raise `JobsMissing` unless the schema is the one of the version installed here."""
    with psycopg.connect(jobs_url(url), autocommit=True) as db:
        if set(_steps()) - _applied(db):
            raise JobsMissing("the database lacks the present tables of the jobs; run: tabellion migrate")


def _steps() -> dict[str, str]:
    """The library's own migrations, in order."""
    folder = files("procrastinate.sql") / "migrations"
    found = {file.name: file for file in folder.iterdir() if file.name.endswith(".sql")}
    return {name: found[name].read_text("utf-8") for name in sorted(found)}


def _applied(db: Connection) -> set[str]:
    found = db.execute("SELECT to_regclass('jobs.applied_step') IS NOT NULL").fetchone()
    if found is None or not found[0]:
        return set()
    return {str(name) for (name,) in db.execute("SELECT name FROM jobs.applied_step")}


def _bind_functions(db: Connection) -> None:
    """Let the functions find their tables from any connection, so that jobs can be deferred in any transaction."""
    functions = db.execute(
        "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = %s",
        (SCHEMA,),
    ).fetchall()
    for (function,) in functions:
        db.execute(f"ALTER ROUTINE {function} SET search_path = {SCHEMA}, pg_temp".encode())
