"""A licence per test, on the database of the xdist worker."""

from collections.abc import AsyncIterator

import pytest

from tests.support.structure import Bench, connect


@pytest.fixture
async def bench(worker_database_url: str) -> AsyncIterator[Bench]:
    """A licence without tables."""
    async with await connect(worker_database_url) as db:
        bench = Bench(worker_database_url, db)
        await bench.make_licence(time_zone="Europe/Brussels")
        yield bench
        await db.execute("DELETE FROM tabellion.licence WHERE id = %s", (bench.licence_id,))
        await db.execute(f"DROP SCHEMA l{bench.licence_id} CASCADE")


@pytest.fixture
async def guests(bench: Bench) -> Bench:
    """A licence with the table `Guests`."""
    await bench.create()
    return bench
