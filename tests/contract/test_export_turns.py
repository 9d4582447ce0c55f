"""Large exports in all places that exports may keep let a small one of another licence through, and begin anew for nothing."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from tabellion.features.bulk.exports import running
from tabellion.features.bulk.exports.tasks import register
from tabellion.platform.database.connection import Database
from tabellion.platform.files import use_spool
from tabellion.platform.jobs.application import app
from tabellion.platform.jobs.turns import PLACES, GaveWay, Turn
from tests.support.api import Api
from tests.support.exports import EXECUTIONS, Exports
from tests.support.tenant import Tenant, schema_of
from tests.support.tenants import Tenants
from tests.support.waiting import until

ORDER = {"tableId": "Guests", "attributes": ["emailAddress"]}


@contextmanager
def working(url: str, spool: Path) -> Iterator[None]:
    """A worker with the places of a real one, in a thread."""
    stop = threading.Event()

    async def work() -> None:
        use_spool(spool)
        jobs = app(url)
        register(jobs, url, spool)
        async with jobs.open_async():
            worker = asyncio.create_task(jobs.run_worker_async(concurrency=PLACES, install_signal_handlers=False))
            await asyncio.to_thread(stop.wait)
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)

    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(asyncio.run, work())
        try:
            yield
        finally:
            stop.set()
        done.result()


def test_a_small_export_does_not_wait_for_the_large_ones_of_three_other_licences(
    tenants: Tenants, client: httpx.Client, worker_database_url: str, api: Api
) -> None:
    *large, small = [Exports(tenants.create(client), worker_database_url, api.spool) for _ in range(4)]
    with psycopg.connect(worker_database_url, autocommit=True) as db:
        db.execute("DELETE FROM jobs.procrastinate_jobs")  # of other tests
    with psycopg.connect(worker_database_url) as held:
        # As large as they can be: they do not end before the test lets them.
        for each in large:
            schema = schema_of(each.tenant, held)
            (table,) = held.execute(
                "SELECT relname FROM pg_class WHERE relname ~ '^p[0-9]+$' AND relnamespace = %s::regnamespace", (schema,)
            ).fetchone() or ("",)
            held.execute(f"LOCK TABLE {schema}.{table} IN ACCESS EXCLUSIVE MODE".encode())
        numbers = [each.tenant.json("POST", EXECUTIONS, ORDER).json()["id"] for each in large]

        def states() -> set[str]:
            return {each.read(number)["status"] for each, number in zip(large, numbers, strict=True)}

        with working(worker_database_url, api.spool):
            try:
                until(lambda: states() == {"RUNNING"})
                number = small.tenant.json("POST", EXECUTIONS, ORDER).json()["id"]
                until(lambda: small.read(number)["status"] == "DONE")
                assert states() == {"RUNNING"}
            finally:
                held.rollback()
            until(lambda: states() == {"DONE"})


class Polite(Turn):
    """The turn of a job beside which somebody always waits."""

    async def end_if_others_wait(self, db: Database) -> None:
        raise GaveWay


def test_an_export_that_gave_way_begins_anew(
    tenant: Tenant, worker_database_url: str, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports = Exports(tenant, worker_database_url, spool)
    number = tenant.json("POST", EXECUTIONS, ORDER).json()["id"]
    monkeypatch.setattr(running, "_LOOK_EVERY_S", 0)
    with pytest.raises(GaveWay):
        exports.run(number, turn=Polite(None, ""))
    assert exports.read(number)["status"] == "RUNNING"
    assert tenant.json("GET", f"{EXECUTIONS}/{number}/file").status_code == 409
    exports.run(number)
    assert exports.read(number)["status"] == "DONE"
    assert exports.file(number).decode().splitlines() == ["emailAddress", "ann@example.com"]
