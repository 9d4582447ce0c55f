"""What load balancers and monitoring are told while the database hangs."""

import asyncio
import os
import signal

import psycopg
import pytest

from tabellion.server import app
from tabellion.server.app import Resources
from tabellion.settings import Settings


async def _ready(resources: Resources) -> bool:
    return await resources.ready() is None


async def _metrics(resources: Resources) -> bool:
    return b"tabellion_webhook_waiting" in await resources.metrics()


@pytest.mark.parametrize("answers", [_ready, _metrics])
async def test_a_database_that_hangs_is_told_when_the_time_is_over_and_not_when_the_driver_has_done(
    database_url: str, monkeypatch: pytest.MonkeyPatch, answers
) -> None:
    monkeypatch.setattr(app, "_ANSWERS_WITHIN_S", 0.2)
    resources = Resources(Settings(database_url=database_url, connections=1))
    await resources.open()
    try:
        assert await answers(resources)
        query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'tabellion api' AND datname = current_database()"
        with psycopg.connect(database_url) as db:
            ((hanging,),) = db.execute(query).fetchall()
        os.kill(hanging, signal.SIGSTOP)
        try:
            # The driver's cursors ask the database to cancel the statement, and wait for that for five seconds more.
            async with asyncio.timeout(3):
                assert not await answers(resources)
        finally:
            os.kill(hanging, signal.SIGCONT)
        async with asyncio.timeout(10):
            while not await answers(resources):
                pass
    finally:
        await resources.close()
