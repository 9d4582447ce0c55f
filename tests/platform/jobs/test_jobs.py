"""Jobs: their schema and its upgrades; deferring in the caller's transaction; rescue after the death of a worker."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from importlib.resources import files
from typing import Any

import psycopg
import pytest
from procrastinate import App
from procrastinate.worker import Worker
from psycopg import sql

from tabellion.platform.database.advisory import AdvisoryLock
from tabellion.platform.database.connection import Database
from tabellion.platform.jobs import JobsMissing, defer, install, jobs_url, lifeline, require_installed
from tabellion.platform.jobs.application import app
from tabellion.platform.jobs.lifeline import Lifeline, rescue
from tabellion.platform.jobs.periodic import periodic
from tests.support.postgres import Cluster

_STEPS = sorted(file.name for file in (files("procrastinate.sql") / "migrations").iterdir() if file.name.endswith(".sql"))


def objects(url: str) -> list[tuple]:
    """Functions, tables and columns of the jobs' schema."""
    with psycopg.connect(url) as db:
        functions = db.execute(
            "SELECT p.oid::regprocedure::text, md5(p.prosrc), p.proconfig::text FROM pg_proc p "
            "JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'jobs' ORDER BY 1"
        ).fetchall()
        columns = db.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'jobs' ORDER BY 1, 2"
        ).fetchall()
    return [*functions, *columns]


def test_installing_twice_changes_nothing(empty_database_url: str) -> None:
    assert install(empty_database_url) == ["jobs_schema"]
    before = objects(empty_database_url)
    assert install(empty_database_url) == []
    assert objects(empty_database_url) == before
    require_installed(empty_database_url)


def test_a_database_without_jobs_is_refused_with_the_verb_that_mends_it(empty_database_url: str) -> None:
    with pytest.raises(JobsMissing, match="run: tabellion migrate"):
        require_installed(empty_database_url)


def test_an_older_schema_is_upgraded_and_keeps_its_jobs(empty_database_url: str, database_url: str) -> None:
    old, new = _STEPS[:-4], _STEPS[-4:]
    with psycopg.connect(jobs_url(empty_database_url), autocommit=True) as db:
        db.execute("CREATE SCHEMA jobs")
        db.execute("CREATE TABLE jobs.applied_step (name text PRIMARY KEY)")
        for step in old:
            db.execute((files("procrastinate.sql") / "migrations" / step).read_bytes())
            db.execute("INSERT INTO jobs.applied_step VALUES (%s)", (step,))
        db.execute("INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('default', 'old.job')")
    with pytest.raises(JobsMissing):
        require_installed(empty_database_url)

    assert install(empty_database_url) == [f"jobs_{step}" for step in new]

    require_installed(empty_database_url)
    assert {f[0]: f[2] for f in functions(empty_database_url)} == {f[0]: f[2] for f in functions(database_url)}
    with psycopg.connect(empty_database_url) as db:
        assert db.execute("SELECT task_name FROM jobs.procrastinate_jobs").fetchall() == [("old.job",)]


def functions(url: str) -> list[tuple]:
    return [found for found in objects(url) if "(" in str(found[0])]


async def run_all(jobs: App) -> None:
    await jobs.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)


async def test_a_job_runs_if_and_only_if_its_transaction_commits(database_url: str) -> None:
    jobs = app(database_url)
    ran: list[str] = []

    @jobs.task(name="test.note")
    async def note(what: str) -> None:
        ran.append(what)

    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as db:
        async with db.transaction():
            assert await defer(db, "test.note", what="committed") > 0
        async with db.transaction(force_rollback=True):
            await defer(db, "test.note", what="rolled back")
    async with jobs.open_async():
        await run_all(jobs)
    assert ran == ["committed"]


async def test_only_one_job_of_a_queueing_lock_can_wait(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as db:
        await defer(db, "test.note", queueing_lock="one", what="first")
        with pytest.raises(psycopg.errors.UniqueViolation):
            await defer(db, "test.note", queueing_lock="one", what="second")


async def test_periodic_work_has_a_connection_and_is_told_of_unless_there_was_none(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = app(database_url)
    counts = [3, 0]

    async def work(db: Database, now: datetime) -> int:
        cursor = await db.execute("SELECT %s::timestamptz IS NOT NULL", (now,))
        assert await cursor.fetchone() == (True,)
        return counts.pop(0)

    periodic(jobs, database_url, "test.clock", "0 0 1 1 *", work, says="%d done")
    caplog.set_level("INFO", "tabellion.platform.jobs.periodic")
    async with jobs.open_async():
        for _ in range(2):
            await jobs.configure_task("test.clock").defer_async(timestamp=0)
            await run_all(jobs)

    assert counts == []
    assert [record.message for record in caplog.records if record.name.endswith(".periodic")] == ["3 done"]


async def test_periodic_work_that_the_database_refuses_for_a_while_is_told_of_once_and_without_a_trace(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = app(database_url)
    full = "DO $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$"
    statements = [full, full, "SELECT pg_terminate_backend(pg_backend_pid())", "SELECT", "SELECT", "SELECT 1 / 0"]

    async def work(db: Database, now: datetime) -> int:
        await db.execute(statements.pop(0).encode())
        return 0

    periodic(jobs, database_url, "test.clock", "0 0 1 1 *", work)
    caplog.set_level("INFO", "tabellion.platform.jobs.periodic")
    async with jobs.open_async():
        while statements:
            await jobs.configure_task("test.clock").defer_async(timestamp=0)
            await run_all(jobs)

    told = [(record.levelname, record.message) for record in caplog.records if record.name.endswith(".periodic")]
    assert told == [
        ("WARNING", "test.clock waits for its next time: the disk of the database is full; make room"),
        ("WARNING", "test.clock waits for its next time: the database cannot be reached (AdminShutdown)"),
        ("INFO", "test.clock is done again"),
    ]
    failed = [record for record in caplog.records if record.exc_info and record.exc_info[1]]
    assert [type(record.exc_info[1]) for record in failed if record.exc_info] == [psycopg.errors.DivisionByZero]


async def test_periodic_work_waits_for_a_database_that_cannot_be_reached(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(db: Database, now: datetime) -> int:
        raise AssertionError("there is no connection")

    jobs = app(database_url)
    periodic(jobs, "postgresql://nobody@127.0.0.1:1/none", "test.clock", "0 0 1 1 *", work)
    async with jobs.open_async():
        await jobs.configure_task("test.clock").defer_async(timestamp=0)
        await run_all(jobs)

    told = [(record.levelname, record.message) for record in caplog.records if record.levelno >= logging.WARNING]
    assert told == [("WARNING", "test.clock waits for its next time: the database cannot be reached (OperationalError)")]


@pytest.mark.parametrize("seen", ["-10 min", "1 hour"], ids=["ten minutes ago", "before the clock was put back"])
async def test_jobs_of_a_dead_worker_go_back_to_the_queue(database_url: str, seen: str) -> None:
    jobs = app(database_url)
    ran: list[int] = []

    @jobs.task(name="test.once")
    async def once(number: int) -> None:
        ran.append(number)

    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as db:
        job = await defer(db, "test.once", number=7)
        # A worker took it and was killed.
        cursor = await db.execute(
            "INSERT INTO jobs.procrastinate_workers (last_heartbeat) VALUES (now() + %s::interval) RETURNING id", (seen,)
        )
        dead = await cursor.fetchone()
        assert dead is not None
        await db.execute("UPDATE jobs.procrastinate_jobs SET status = 'doing', worker_id = %s WHERE id = %s", (dead[0], job))
        async with jobs.open_async():
            await run_all(jobs)
            assert ran == []
            assert await rescue(db, jobs) == 1
            assert await rescue(db, jobs) == 0
            await run_all(jobs)
        assert ran == [7]


async def test_a_worker_that_holds_its_lock_is_slow_not_dead(database_url: str) -> None:
    jobs = app(database_url)
    async with (
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as db,
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as life,
        jobs.open_async(),
    ):
        job = await defer(db, "test.once", number=8)
        cursor = await db.execute(
            "INSERT INTO jobs.procrastinate_workers (last_heartbeat) VALUES (now() - interval '5 s') RETURNING id"
        )
        row = await cursor.fetchone()
        assert row is not None
        await db.execute("UPDATE jobs.procrastinate_jobs SET status = 'doing', worker_id = %s WHERE id = %s", (row[0], job))
        await life.execute("SELECT pg_advisory_lock(%s, %s::int)", (AdvisoryLock.JOB_WORKER, row[0]))
        assert await rescue(db, jobs) == 0
        assert await rescue(db, jobs, silent_after_s=4) == 1, "stopped for too long"
        await db.execute("UPDATE jobs.procrastinate_jobs SET status = 'doing', worker_id = %s WHERE id = %s", (row[0], job))
        await life.close()
        await until(lambda: rescue(db, jobs))


async def test_a_database_that_is_away_is_told_when_it_goes_and_when_it_comes(
    cluster: Cluster, database_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=lifeline.__name__)
    monkeypatch.setattr(lifeline, "_LOOK_EVERY_S", 0.01)
    jobs = app(database_url)
    name = sql.Identifier(psycopg.conninfo.conninfo_to_dict(database_url)["dbname"])
    tries: list[str] = []

    class Counted(psycopg.AsyncConnection[Any]):
        @classmethod
        async def connect(cls, conninfo: str = "", **options: Any) -> Any:
            tries.append(conninfo)
            return await super().connect(conninfo, **options)

    monkeypatch.setattr(lifeline, "AsyncConnection", Counted)
    async with await psycopg.AsyncConnection.connect(cluster.superuser("postgres"), autocommit=True) as admin:
        await admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        running = asyncio.create_task(Lifeline(database_url, jobs, Worker(jobs)).run())
        while len(tries) < 4:  # noqa: ASYNC110 - the loop that is tested sets no event
            await asyncio.sleep(0.01)
        assert [record.getMessage() for record in caplog.records] == ["dead workers cannot be looked for: OperationalError"]
        await admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
        async with asyncio.timeout(10):
            while len(caplog.records) < 2:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        running.cancel()
    assert [record.getMessage() for record in caplog.records][1:] == ["dead workers are looked for again"]


async def test_dead_workers_are_looked_for_while_an_old_session_holds_the_lock(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that broke may have left one on the server, which ends it hours later."""
    monkeypatch.setattr(lifeline, "_LOOK_EVERY_S", 0.01)
    jobs = app(database_url)
    async with (
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as db,
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as old,
        jobs.open_async(),
    ):
        worker = Worker(jobs)
        worker.worker_id = number = await jobs.job_manager.register_worker()
        await old.execute("SELECT pg_advisory_lock(%s, %s::int)", (AdvisoryLock.JOB_WORKER, number))
        old_pid = old.info.backend_pid
        job = await defer(db, "test.once", number=8)
        await db.execute("UPDATE jobs.procrastinate_jobs SET status = 'doing' WHERE id = %s", (job,))
        running = asyncio.create_task(Lifeline(database_url, jobs, worker).run())

        async def is_rescued() -> int:
            cursor = await db.execute("SELECT FROM jobs.procrastinate_jobs WHERE id = %s AND status = 'todo'", (job,))
            return cursor.rowcount

        async def holds_lock() -> int:
            cursor = await db.execute(
                "SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND (classid, objid) = (%s::oid, %s::oid) "
                "AND pid <> %s", (AdvisoryLock.JOB_WORKER, number, old_pid),
            )  # fmt: skip
            return cursor.rowcount

        await until(is_rescued)
        await old.close()
        await until(holds_lock)
        running.cancel()


async def until(rescued: Callable[[], Awaitable[int]]) -> None:
    """The database notices within moments that a connection has ended."""
    deadline = time.monotonic() + 5
    while not await rescued():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def test_installers_at_the_same_time_do_not_disturb_each_other(empty_database_url: str) -> None:
    async def both() -> list[list[str]]:
        return await asyncio.gather(*(asyncio.to_thread(install, empty_database_url) for _ in range(3)))

    assert sorted(asyncio.run(both()), key=len) == [[], [], ["jobs_schema"]]
