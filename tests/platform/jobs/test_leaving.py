"""A worker that was told to end says so, where the database hears it, and does not wait for one that is away."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from procrastinate import App

from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalars
from tabellion.platform.jobs.application import app
from tests.support.database_proxy import DatabaseProxy, proxied

WORKERS = "SELECT id FROM jobs.procrastinate_workers ORDER BY id"


@pytest.fixture
def leaving() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
def proxy(worker_database_url: str, tmp_path: Path) -> Iterator[DatabaseProxy]:
    with proxied(worker_database_url, tmp_path) as made:
        yield made


@pytest.fixture
async def jobs(proxy: DatabaseProxy, leaving: asyncio.Event) -> AsyncIterator[App]:
    made = app(proxy.url, leaving)
    async with made.open_async():
        yield made


async def test_it_is_unregistered(jobs: App, leaving: asyncio.Event, db: Database) -> None:
    number = await jobs.job_manager.register_worker()
    assert number in await scalars(db, WORKERS)
    leaving.set()
    await jobs.job_manager.unregister_worker(number)
    assert number not in await scalars(db, WORKERS)


async def test_a_database_that_is_away_is_not_waited_for(
    jobs: App, proxy: DatabaseProxy, leaving: asyncio.Event, caplog: pytest.LogCaptureFixture
) -> None:
    number = await jobs.job_manager.register_worker()
    proxy.cut()
    farewell = asyncio.create_task(jobs.job_manager.unregister_worker(number))
    # Not told yet, it waits: the database may be there again in a moment.
    await asyncio.sleep(0.1)
    assert not farewell.done()
    leaving.set()
    async with asyncio.timeout(15):
        await farewell
    assert "ends without telling it" in caplog.text
