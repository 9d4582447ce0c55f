"""What database errors become, from real ones."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import psycopg
import pytest
from psycopg_pool import PoolTimeout

from tabellion.platform.database.connection import Database
from tabellion.platform.database.errors import Unavailable, constraint_name, retrying, unavailable
from tabellion.platform.database.pool import Pool, open_pool

Provoke = Callable[[Database], Awaitable[object]]


async def _killed(db: Database) -> None:
    await db.execute("SELECT pg_terminate_backend(pg_backend_pid())")


async def _over_time(db: Database) -> None:
    await db.execute("SET statement_timeout = '20ms'")
    await db.execute("SELECT pg_sleep(10)")


async def _read_only(db: Database) -> None:
    await db.execute("SET default_transaction_read_only = on")
    await db.execute("CREATE TABLE t ()")


async def _unique(db: Database) -> None:
    await db.execute("CREATE TEMPORARY TABLE t (n integer CONSTRAINT t_n_once UNIQUE)")
    await db.execute("INSERT INTO t VALUES (1), (1)")


async def _too_long_for_an_index(db: Database) -> None:
    await db.execute("CREATE TEMPORARY TABLE t (s text UNIQUE)")
    await db.execute("INSERT INTO t SELECT string_agg(md5(n::text), '') FROM generate_series(1, 500) n")


async def _syntax(db: Database) -> None:
    await db.execute("SELEKT")


async def _provoke(database_url: str, cause: Provoke) -> psycopg.Error:
    db = await psycopg.AsyncConnection.connect(database_url, autocommit=True)
    try:
        with pytest.raises(psycopg.Error) as caught:
            await cause(db)
    finally:
        await db.close()
    return caught.value


@pytest.mark.parametrize("cause", [_killed, _over_time, _read_only])
async def test_what_passes_with_time_is_unavailable(worker_database_url: str, cause: Provoke) -> None:
    problem = unavailable(await _provoke(worker_database_url, cause))

    assert problem is not None
    assert (problem.status, problem.code) == (503, "unavailable")
    assert re.fullmatch(r"\d+", problem.headers["Retry-After"])


@pytest.mark.parametrize("cause", [_unique, _too_long_for_an_index, _syntax])
async def test_what_comes_back_at_each_repetition_is_not(worker_database_url: str, cause: Provoke) -> None:
    assert unavailable(await _provoke(worker_database_url, cause)) is None


async def test_a_full_disk_is_told_as_such(worker_database_url: str) -> None:
    async def full(db: Database) -> None:
        await db.execute("DO $$ BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END $$")

    problem = unavailable(await _provoke(worker_database_url, full))
    assert problem is not None
    assert (problem.status, problem.message) == (503, "the disk of the database is full; its operator has to make room")
    assert problem.headers["Retry-After"]


async def test_what_took_too_long_is_not_to_be_repeated_at_once(worker_database_url: str) -> None:
    problem = unavailable(await _provoke(worker_database_url, _over_time))

    assert problem is not None
    assert "took too long" in problem.message
    assert "ask for less" in problem.message
    assert int(problem.headers["Retry-After"]) >= 30


async def test_a_lock_that_does_not_come_free_is_unavailable(pool: Pool) -> None:
    async with pool.connection() as holder, pool.connection() as waiter, holder.transaction():
        await holder.execute("LOCK TABLE tabellion.licence")
        await waiter.execute("SET lock_timeout = '20ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable) as caught:
            await waiter.execute("SELECT 1 FROM tabellion.licence")

    problem = unavailable(caught.value)
    assert isinstance(problem, Unavailable)
    assert "somebody else is changing" in problem.message


async def test_an_exhausted_pool_is_unavailable(database_url: str) -> None:
    pool = await open_pool(database_url, min_size=1, max_size=1, wait_s=5)
    async with pool.connection():
        with pytest.raises(PoolTimeout) as caught:
            await pool.getconn(timeout=0.02)
    await pool.close()

    assert isinstance(unavailable(caught.value), Unavailable)


async def test_the_name_of_a_violated_constraint(worker_database_url: str) -> None:
    assert constraint_name(await _provoke(worker_database_url, _unique)) == "t_n_once"
    assert constraint_name(await _provoke(worker_database_url, _syntax)) == ""


async def test_a_deadlock_is_tried_again_and_both_succeed(pool: Pool) -> None:
    async with pool.connection() as db:
        await db.execute("CREATE TABLE t AS SELECT n, 0 AS changes FROM generate_series(1, 2) n")
    first_half_done = [asyncio.Event(), asyncio.Event()]

    async def change(me: int) -> None:
        async with pool.connection() as db, db.transaction():
            await db.execute("UPDATE t SET changes = changes + 1 WHERE n = %s", (me + 1,))
            first_half_done[me].set()
            await first_half_done[1 - me].wait()
            await db.execute("UPDATE t SET changes = changes + 1 WHERE n = %s", (2 - me,))

    await asyncio.gather(retrying(lambda: change(0)), retrying(lambda: change(1)))

    async with pool.connection() as db:
        rows = await (await db.execute("SELECT n, changes FROM t ORDER BY n")).fetchall()
    assert rows == [(1, 2), (2, 2)]


async def test_after_the_last_attempt_it_is_unavailable() -> None:
    attempts = 0

    async def fail() -> None:
        nonlocal attempts
        attempts += 1
        raise psycopg.errors.SerializationFailure

    with pytest.raises(Unavailable):
        await retrying(fail)

    assert attempts == 3


async def test_other_errors_are_not_tried_again() -> None:
    attempts = 0

    async def fail() -> None:
        nonlocal attempts
        attempts += 1
        raise psycopg.errors.UniqueViolation

    with pytest.raises(psycopg.errors.UniqueViolation):
        await retrying(fail)

    assert attempts == 1
