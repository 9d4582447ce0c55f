"""Large imports give their places up between two blocks when others wait, and lose nothing by it."""

import asyncio
import itertools
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from procrastinate import JobContext
from psycopg import sql

from tabellion.features.bulk.imports import rows, service, source
from tabellion.features.bulk.imports.running import Run
from tabellion.features.bulk.retrying import Again
from tabellion.kit.clock import utc_now
from tabellion.platform.database.connection import Database
from tabellion.platform.jobs.application import app
from tabellion.platform.jobs.turns import PLACES, GaveWay, Turn, let_give_way
from tests.support.api import Api
from tests.support.etls import ETLS, EXECUTIONS, Etls, one_file
from tests.support.imports import Imports, zipped
from tests.support.tenant import Tenant
from tests.support.tenants import Tenants

_LARGE, _SMALL = 6_000, 100
BAD = "no address,Nobody\n"


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 64 kB, so that files of a few thousand rows have several."""
    for module, name in ((rows, "_FIRST_BYTES"), (rows, "_MOST_BYTES"), (source, "_READ_BYTES")):
        monkeypatch.setattr(module, name, rows._LEAST_BYTES)


def people(count: int) -> str:
    lines = (f"guest-number-{number:06}@example.com,Vos{number}\n" for number in range(count))
    return "emailAddress,lastName\n" + "".join(lines)


class Polite(Turn):
    """The turn of a job beside which somebody always waits."""

    async def end_if_others_wait(self, db: Database) -> None:
        raise GaveWay


ALWAYS = Polite(0, "")


def turns(run: Imports | Etls, number: int | str) -> int:
    """Bring a job to its end; how often it gave way."""
    for count in itertools.count():
        try:
            run.run(number, ALWAYS)  # pyright: ignore[reportArgumentType] - each has its kind of numbers
        except GaveWay:
            continue
        return count
    raise AssertionError


class Worker:
    """A worker with the places of a real one, in a thread.

    Large imports have no time that is theirs alone, and wait for the small one where they would go on: so the small one gets
    its place by one of them giving way, or not at all.
    """

    def __init__(self, url: str, api: Api, small: int) -> None:
        self._url, self._spool, self._small = url, api.spool, small
        self._moments = (utc_now() + timedelta(hours=n) for n in itertools.count(1))
        self.gave_way = Counter[int]()

    def run(self, wanted: int) -> None:
        """Until so many imports have ended."""
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, self._work(wanted)).result()

    async def _work(self, wanted: int) -> None:
        jobs, small_is_in, ended = app(self._url), asyncio.Event(), set[int]()
        worker = self

        class Waiting(Turn):
            async def end_if_others_wait(self, db: Database) -> None:
                await super().end_if_others_wait(db)
                await small_is_in.wait()

        let_give_way(service.TASK)

        @jobs.task(name=service.TASK, retry=Again(), pass_context=True)
        async def run_import(context: JobContext, job_id: int) -> None:
            if worker.gave_way[job_id]:
                await small_is_in.wait()
            turn = Waiting(context.job.id, context.job.queue, least_s=0)
            try:
                await Run(worker._url, worker._spool, worker._clock, turn)(job_id)
            except GaveWay:
                worker.gave_way[job_id] += 1
                raise
            ended.add(job_id)
            if job_id == worker._small:
                small_is_in.set()
            if len(ended) == wanted:
                all_in.set()

        all_in = asyncio.Event()
        async with jobs.open_async():
            working = asyncio.create_task(jobs.run_worker_async(concurrency=PLACES, install_signal_handlers=False))
            await asyncio.wait_for(all_in.wait(), 60)
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    def _clock(self) -> datetime:
        return next(self._moments)


def test_large_imports_in_all_places_make_room_for_the_small_one_of_another_licence(
    tenants: Tenants, client: httpx.Client, worker_database_url: str, api: Api
) -> None:
    with psycopg.connect(worker_database_url, autocommit=True) as db:
        db.execute("DELETE FROM jobs.procrastinate_jobs")  # of other tests
    sent = {}
    for count in (_LARGE, _LARGE, _LARGE, _LARGE, _SMALL):
        imports = Imports(tenants.create(client), worker_database_url, api.spool)
        sent[imports.send(zipped(people(count))).json()["id"]] = (imports, count)
    *large, small = sent

    worker = Worker(worker_database_url, api, small)
    worker.run(len(sent))

    chunks = [
        number for _, number in sorted(chunk for number, (imports, _) in sent.items() for chunk in _chunks(imports, number))
    ]
    assert sorted(chunks[:4]) == large
    assert chunks[4] == small
    # Those who gave way went on to their ends, each row once.
    assert set(worker.gave_way) == {number for number in large if worker.gave_way[number]} != set()
    assert min(Counter(chunks)[number] for number in large) >= 3
    for number, (imports, count) in sent.items():
        result = imports.result(number)
        assert (result["status"], result["rowsCreated"], result["rowsInError"]) == ("DONE", count, 0)


def _chunks(imports: Imports, number: int) -> list[tuple[datetime, int]]:
    """When each block of an import was written."""
    with psycopg.connect(imports.url) as db:
        licence, table = (
            db.execute("SELECT licence_id, table_id FROM tabellion.import_job WHERE id = %s", (number,)).fetchone() or ()
        )
        query = sql.SQL("SELECT DISTINCT created_at FROM {} WHERE created_at > now() + interval '30 minutes'")
        found = db.execute(query.format(sql.Identifier(f"l{licence}", f"p{table}"))).fetchall()
    return [(moment, number) for (moment,) in found]


def test_an_import_that_gives_way_after_each_block_tells_the_same(
    tenant: Tenant, worker_database_url: str, api: Api
) -> None:
    imports = Imports(tenant, worker_database_url, api.spool)
    job_id = imports.send(zipped(people(_LARGE) + BAD), {"generateResultFile": True}).json()["id"]

    assert turns(imports, job_id) >= 2

    result = imports.result(job_id)
    assert (result["status"], result["rowsRead"], result["rowsCreated"]) == ("DONE_WITH_ERRORS", _LARGE + 1, _LARGE)
    assert [row["lineNumber"] for row in imports.errors(job_id)] == [str(_LARGE + 2)]
    assert len(imports.result_rows(job_id)) == _LARGE + 1


def test_an_import_that_is_cancelled_between_two_turns_tells_the_rows_rejected_so_far(
    tenant: Tenant, worker_database_url: str, api: Api
) -> None:
    imports = Imports(tenant, worker_database_url, api.spool)
    head, _, rest = people(_LARGE).partition("\n")
    job_id = imports.send(zipped(f"{head}\n{BAD}{rest}")).json()["id"]
    with pytest.raises(GaveWay):
        imports.run(job_id, ALWAYS)
    assert tenant.json("GET", f"/v4/entity/hotels/import/{job_id}/status").json()["status"] == "RUNNING"
    assert tenant.json("DELETE", f"/v4/entity/hotels/import/{job_id}").status_code == 204
    assert tenant.json("GET", f"/v4/entity/hotels/import/{job_id}/errors").json()["code"] == "job.state"

    imports.run(job_id, ALWAYS)
    imports.run(job_id, ALWAYS)

    assert imports.result(job_id)["status"] == "CANCELLED"
    assert [row["lineNumber"] for row in imports.errors(job_id)] == ["2"]


def test_an_etl_gives_way_within_its_imports(tenant: Tenant, worker_database_url: str, api: Api) -> None:
    etls = Etls(tenant, worker_database_url, api.spool)
    number = etls.send(EXECUTIONS, {"guests.csv": people(_LARGE)}, one_file()).json()["id"]

    assert turns(etls, number) >= 2

    done = tenant.json("GET", f"{EXECUTIONS}/{number}").json()
    assert (done["status"], done["rowsCreated"]) == ("DONE", _LARGE)


def test_an_etl_that_is_cancelled_on_its_way_tells_the_rows_rejected_so_far_and_its_end(
    tenant: Tenant, worker_database_url: str, api: Api, database: psycopg.Connection[Any]
) -> None:
    etls = Etls(tenant, worker_database_url, api.spool)
    stored = tenant.json("POST", ETLS, one_file() | {"name": "Daily", "generateResultFile": True}).json()["id"]
    hook = {"on": "ETL", "onElementId": stored, "eventType": "FINISHED", "targetUrl": "https://8.8.8.8/hook"}
    assert tenant.json("POST", "/v4/entity/hotels/webhookSubscription", hook).status_code == 201
    head, _, rest = people(_LARGE).partition("\n")
    number = etls.send(f"{ETLS}/{stored}/trigger-execution", {"guests.csv": f"{head}\n{BAD}{rest}"}).json()["id"]
    with pytest.raises(GaveWay):
        etls.run(number, ALWAYS)
    execution = f"{EXECUTIONS}/{number}"
    assert tenant.json("DELETE", execution).status_code == 204
    assert tenant.json("GET", f"{execution}/errors").json()["code"] == "job.state"

    etls.run(number, ALWAYS)
    etls.run(number, ALWAYS)

    links = etls.read(number)["_links"]
    for kind in ("errors", "resultFile"):
        assert tenant.json("GET", links[kind]["href"].removeprefix("/mass-imports")).status_code == 200
    (rows,) = etls.rows(number).values()
    assert [row["lineNumber"] for row in rows] == ["2"]
    told = "SELECT data FROM tabellion.outbox_event WHERE subject_kind = 'ETL' AND subject_id = %s"
    assert [data["etl.executionStatus"] for (data,) in database.execute(told, (stored,))] == ["FAILED"]
