"""The fixtures themselves: isolation, and that the server is the one asked for."""

import psycopg
import pytest

from tabellion.platform.database.connection import Database
from tabellion.platform.database.pool import Pool
from tests.support.postgres import OUTSIDE_URL, VERSION


async def _insert(db: Database, name: str) -> None:
    await db.execute("INSERT INTO tabellion.licence (name, created_at) VALUES (%s, now())", (name,))


async def _names(db: Database) -> list[str]:
    cursor = await db.execute("SELECT name FROM tabellion.licence ORDER BY name")
    return [row[0] for row in await cursor.fetchall()]


@pytest.mark.parametrize("turn", [1, 2])
async def test_what_a_test_writes_through_db_is_gone_for_the_next(db: Database, turn: int) -> None:
    await _insert(db, "acme")
    async with db.transaction():
        await _insert(db, "beta")

    # A second turn would find the names used; other tests of this worker may have committed licences of their own.
    assert {"acme", "beta"} <= set(await _names(db))


@pytest.mark.parametrize("turn", [1, 2])
async def test_each_pool_has_a_database_of_its_own(pool: Pool, turn: int) -> None:
    async with pool.connection() as db:
        await _insert(db, "acme")
    async with pool.connection() as db:
        assert await _names(db) == ["acme"]


def test_the_server_has_the_version_asked_for(database_url: str) -> None:
    with psycopg.connect(database_url) as db:
        version = db.info.server_version // 10000
    assert version == VERSION or OUTSIDE_URL
