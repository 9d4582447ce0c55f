"""Connections from the pool: their settings, and what happens when the server goes away."""

import asyncio
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import PoolTimeout

from tabellion.platform.database.pool import Pool, open_pool, with_settings


async def _value(pool: Pool, statement: str) -> Any:
    async with pool.connection() as db:
        row = await (await db.execute(statement.encode())).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("TimeZone", "UTC"),
        ("statement_timeout", "30s"),
        ("lock_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "1min"),
        ("application_name", "test"),
    ],
)
async def test_session_settings(pool: Pool, setting: str, expected: str) -> None:
    assert await _value(pool, f"SHOW {setting}") == expected


async def test_who_waits_for_the_server_can_be_broken_off_and_others_stay(pool: Pool) -> None:
    async def wait(*, plain: bool) -> None:
        async with pool.connection() as db:
            query = "SELECT pg_sleep(3)"
            await (db.execute(query) if plain else db.fetch(query.encode(), ()))

    async with pool.connection() as lent:
        waiting = [asyncio.create_task(wait(plain=plain)) for plain in (True, False)]
        active = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT pg_sleep%'"
        while await _value(pool, active) != 2:  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.01)
        pool.break_off()
        broken = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in broken] == [psycopg.OperationalError] * 2
        await lent.execute("SELECT 1")
    assert await _value(pool, "SELECT 1") == 1


async def test_connections_are_in_autocommit_mode_and_come_back_clean(pool: Pool) -> None:
    async with pool.connection() as db:
        assert db.autocommit
        with pytest.raises(psycopg.errors.DivisionByZero):
            await db.execute("SELECT 1/0")
        assert (await (await db.execute("SELECT 1")).fetchone()) == (1,)


async def test_a_statement_over_its_time_is_cancelled(database_url: str) -> None:
    pool = await open_pool(database_url, min_size=1, max_size=1, statement_timeout=timedelta(milliseconds=50))

    with pytest.raises(psycopg.errors.QueryCanceled):
        await _value(pool, "SELECT pg_sleep(10)::text")

    assert await _value(pool, "SELECT 1") == 1
    await pool.close()


async def test_connections_the_server_has_closed_are_not_handed_out(pool: Pool, database_url: str) -> None:
    """As after a restart of the database: the next call gets a live connection instead of an error."""
    async with pool.connection() as first, pool.connection() as second:
        pids = [first.info.backend_pid, second.info.backend_pid]
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as killer:
        for pid in pids:
            await killer.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
    # A process is gone for the database a moment before its sockets are.
    async with asyncio.timeout(10):
        while not (first.closed and second.closed):  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)

    for _ in range(4):
        assert await _value(pool, "SELECT pg_backend_pid()") not in pids


async def test_a_licence_meets_its_favourite_connection_again(pool: Pool) -> None:
    for licence_id in (1, 2, 1, 1, 2):
        async with pool.of(licence_id) as connection:
            assert connection.place == licence_id % 2


async def test_a_favourite_that_serves_another_licence_is_waited_for_a_moment(pool: Pool) -> None:
    async with pool.of(1) as first:
        waiting = asyncio.create_task(_place(pool, 11))
        await asyncio.sleep(0)
        assert not waiting.done()
    assert await waiting == first.place


async def test_a_favourite_in_use_for_long_holds_nobody_up(pool: Pool) -> None:
    async with pool.of(1) as first:
        assert await _place(pool, 11) != first.place


async def test_a_licence_does_not_wait_for_itself(pool: Pool) -> None:
    async with pool.of(1) as first:
        second = asyncio.create_task(_place(pool, 1))
        await asyncio.wait({second}, timeout=5)
        assert second.result() != first.place


async def _place(pool: Pool, licence_id: int) -> int:
    async with pool.of(licence_id) as connection:
        return connection.place


async def test_a_pool_without_a_server_says_so_and_leaves_nothing_behind() -> None:
    tasks_before = asyncio.all_tasks()

    with pytest.raises(PoolTimeout):
        await asyncio.wait_for(open_pool("host=/nonexistent dbname=x user=y", min_size=1, wait_s=0.2), timeout=10)

    assert asyncio.all_tasks() == tasks_before


def test_settings_in_the_url_win() -> None:
    merged = with_settings(
        "postgresql://u@h/d?options=-c%20statement_timeout%3D1000",
        {"statement_timeout": "30000", "TimeZone": "UTC"},
        application_name="x",
    )

    assert conninfo_to_dict(merged)["options"] == "-c statement_timeout=1000 -c TimeZone=UTC"


def test_a_host_that_is_gone_without_a_word_is_given_up_unless_the_url_says_when() -> None:
    merged = conninfo_to_dict(with_settings("postgresql://u@h/d?keepalives_idle=60", {}, application_name="x"))

    assert (merged["keepalives_idle"], merged["keepalives_count"], merged["tcp_user_timeout"]) == ("60", "4", "30000")
