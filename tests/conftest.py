"""Fixtures of the whole suite. Databases are real; what a test leaves behind is rolled back or dropped."""

import logging
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest
import uvloop
from hypothesis import settings

from tabellion.platform import secrets
from tabellion.platform.database.pool import Pool, open_pool, with_settings
from tabellion.server.database import migrate
from tests.support.distribution import Distribution
from tests.support.postgres import Cluster, RunDirectory, database_name, running_cluster
from tests.support.shelters import remove_shelters

_run_directory = RunDirectory()

# The same examples in every run, however slow the machine. `HYPOTHESIS_PROFILE=explore` looks for new ones.
settings.register_profile("suite", derandomize=True, database=None, deadline=None)
settings.register_profile("explore", derandomize=False, database=None, deadline=None, max_examples=10_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


def pytest_configure() -> None:
    _run_directory.make()


def pytest_unconfigure() -> None:
    _run_directory.remove()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    return Distribution(config, log)


def pytest_asyncio_loop_factories() -> dict[str, object]:
    """Tests run on the event loop that the servers run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session", autouse=True)
def _no_shelters_stay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    yield
    remove_shelters(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session", autouse=True)
def _own_key(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What seals, for tests that do a server's work in their own process."""
    secrets.use_key("of the tests", tmp_path_factory.mktemp("key"))


@pytest.fixture(autouse=True)
def _restored_logs() -> Iterator[None]:
    """Verbs that run within a test log to its standard error, which is closed after it."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The run's PostgreSQL server."""
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def template_database(cluster: Cluster) -> Iterator[str]:
    """The name of a migrated database to copy; nobody may be connected to it. One per xdist worker."""
    name = database_name("template")
    migrate(cluster.create(name))
    yield name
    cluster.drop(name)


@pytest.fixture(scope="session")
def worker_database_url(cluster: Cluster, template_database: str) -> Iterator[str]:
    """A migrated database shared by all tests of this xdist worker: for committed data that do not disturb others."""
    name = database_name("worker")
    yield cluster.create(name, template=template_database)
    cluster.drop(name)


@pytest.fixture
def database_url(cluster: Cluster, template_database: str) -> Iterator[str]:
    """A fresh migrated database for this test alone."""
    name = database_name("test")
    yield cluster.create(name, template=template_database)
    cluster.drop(name)


@pytest.fixture
def empty_database_url(cluster: Cluster) -> Iterator[str]:
    """A database without any schema of ours."""
    name = database_name("empty")
    yield cluster.create(name)
    cluster.drop(name)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    """A pool on a fresh database, as an API process has it: for tests that commit or need several connections."""
    pool = await open_pool(database_url, min_size=2, max_size=10, application_name="test")
    yield pool
    await pool.close()


@pytest.fixture
async def db(worker_database_url: str) -> AsyncIterator[psycopg.AsyncConnection[tuple[Any, ...]]]:
    """A connection inside a transaction that is rolled back at the end; `db.transaction()` makes savepoints."""
    conninfo = with_settings(worker_database_url, {"TimeZone": "UTC"}, application_name="test")
    async with (
        await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection,
        connection.transaction(force_rollback=True),
    ):
        yield connection
