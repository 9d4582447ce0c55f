"""A licence, and as many gates on it as a test wants."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import psycopg
import pytest

from tabellion.features import licences as use
from tabellion.features.licences import Authentication, Credential
from tabellion.features.usage import Batcher, Gate
from tabellion.kit import keys
from tabellion.kit.clock import utc_now
from tabellion.platform.database.pool import Pool
from tests.support.waiting import until_they_wait

GRACE = timedelta(seconds=60)


class Bed:
    """A licence and as many gates as a test wants."""

    def __init__(self, url: str, pool: Pool) -> None:
        self.url = url
        self.pool = pool
        self.gates: list[tuple[Gate, Batcher]] = []
        self.credential = Credential("k")

    async def licence(self, **limits) -> None:
        """One licence with these limits, and a user."""
        async with self.pool.connection() as db:
            now = utc_now()
            await use.create_licence(db, "harbour", now, preset="unlimited")
            await use.change_limits(db, "harbour", limits, now)
            await use.create_entity(db, "harbour", "hotels", now)
            user = await use.create_user(db, "harbour", "website", now)
        self.credential = Credential("k", keys.digest(user.api_key))

    async def gate(self) -> Gate:
        """Another gate, as another process has it."""
        batcher = Batcher(self.url, GRACE)
        await batcher.start()
        dbname = psycopg.conninfo.conninfo_to_dict(self.url)["dbname"]
        gate = Gate(batcher, Authentication(self.pool, utc_now), self.pool, dbname)
        self.gates.append((gate, batcher))
        return gate

    async def session(self) -> int:
        """The process that the database has for the one gate."""
        query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'tabellion gate' AND datname = current_database()"
        async with self.pool.connection() as db:
            (process,) = await (await db.execute(query)).fetchone() or (0,)
        return process


@pytest.fixture
async def bed(database_url: str, pool: Pool) -> AsyncIterator[Bed]:
    bed = Bed(database_url, pool)
    yield bed
    for _, batcher in bed.gates:
        await batcher.stop()


async def until_it_waits(bed: Bed, application: str) -> None:
    """Until the program waits for somebody's lock."""
    with psycopg.connect(bed.url, autocommit=True) as db:
        await asyncio.to_thread(until_they_wait, db, application)


async def until_all_slots_are_free(bed: Bed) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        async with bed.pool.connection() as db:
            row = await (await db.execute("SELECT coalesce(sum(in_flight), 0) FROM tabellion.usage_slot")).fetchone()
        if row == (0,):
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"slots are still taken: {row}")


async def until_taken_up(batcher: Batcher) -> None:
    """Until what a call has just asked is no longer waiting for those before it, but on its way to the database."""
    while not batcher._waiting:  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(0)
    while batcher._waiting:  # noqa: ASYNC110 - the same
        await asyncio.sleep(0)
