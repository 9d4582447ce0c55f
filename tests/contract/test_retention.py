"""What bulk calls leave in the spool, and when it goes: files of imports after 30 days, of exports after 5, orphans after one."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from tabellion.features.bulk.tasks import purge, register
from tabellion.kit.clock import utc_now
from tabellion.platform.database.advisory import AdvisoryLock
from tabellion.platform.jobs.application import app
from tests.support.etls import EXECUTIONS, Etls, one_file, packed
from tests.support.exports import EXECUTIONS as EXPORTS
from tests.support.exports import Exports
from tests.support.imports import Imports
from tests.support.serving import run_here
from tests.support.tenant import Tenant, schema_of

GUESTS = "emailAddress,lastName\nbob@example.com,Bob\n"


def purged(url: str, spool: Path, *, days: float) -> None:
    """What a worker does at night, so many days from now; other tests' files are as old."""

    async def work() -> None:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
            await purge(db, spool, utc_now() + timedelta(days=days))

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work()).result()


def test_files_go_with_their_licence(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    Imports(tenant, worker_database_url, spool).do(GUESTS)
    Etls(tenant, worker_database_url, spool).do({"guests.zip": packed(guests=GUESTS)}, one_file())
    Exports(tenant, worker_database_url, spool).do()
    places: list[Path] = []
    for table in ("import_job", "etl_execution", "export_execution"):
        alone = " AND execution_id IS NULL" if table == "import_job" else ""
        query = (
            f"SELECT folder FROM tabellion.{table} j JOIN tabellion.licence l ON l.id = licence_id WHERE l.name = %s{alone}"
        )
        places += [spool / folder for (folder,) in database.execute(query, (tenant.licence,)).fetchall()]
    assert [place.is_dir() for place in places] == [True] * 3
    others = {path.name for path in spool.iterdir()} - {place.name for place in places}
    where = {"TABELLION_DATABASE_URL": worker_database_url, "TABELLION_DATA_DIR": str(spool.parent)}

    assert run_here("licence", "delete", tenant.licence, "--yes", **where).returncode == 0

    query = "SELECT args FROM jobs.procrastinate_jobs WHERE task_name = 'bulk.erase' AND args->'folders' ? %s"
    ((told,),) = database.execute(query, (places[0].name,)).fetchall()
    jobs = app(worker_database_url)
    register(jobs, worker_database_url, spool)
    for _ in range(2):  # a worker that dies over it begins anew
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, jobs.tasks["bulk.erase"].func(**told)).result()
    assert [place.exists() for place in places] == [False] * 3
    assert others <= {path.name for path in spool.iterdir()}


def test_files_stay_for_their_time_and_go_after_it(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    imports = Imports(tenant, worker_database_url, spool)
    job_id = imports.do(GUESTS)["id"]
    etls = Etls(tenant, worker_database_url, spool)
    execution = etls.do({"guests.zip": packed(guests=GUESTS)}, one_file())["id"]
    exports = Exports(tenant, worker_database_url, spool)
    export, _ = exports.do()

    def folders() -> list[bool]:
        """Whether the import's, the execution's and the export's are there."""
        return [path.exists() for path in places]

    queries = {"import_job": job_id, "etl_execution": execution, "export_execution": export["id"]}
    places = []
    for table, number in queries.items():
        row = database.execute(f"SELECT folder FROM tabellion.{table} WHERE id = %s", (number,)).fetchone()
        assert row is not None
        places.append(spool / row[0])
    # What was taken out of the archive went at the end of the execution.
    assert sorted(path.name for path in (places[1] / "0").iterdir()) == ["errors.zip"]

    purged(worker_database_url, spool, days=4.9)
    assert folders() == [True, True, True]
    purged(worker_database_url, spool, days=5.1)
    assert folders() == [True, True, False]
    assert tenant.json("GET", f"{EXPORTS}/{export['id']}/file").json()["code"] == "file.unknown"
    assert exports.read(export["id"])["status"] == "DONE"
    purged(worker_database_url, spool, days=29.9)
    assert folders() == [True, True, False]
    assert imports.errors(job_id) == []
    purged(worker_database_url, spool, days=30.1)
    assert folders() == [False, False, False]
    assert tenant.json("GET", f"/v4/entity/hotels/import/{job_id}/result").status_code == 404
    assert tenant.json("GET", f"{EXECUTIONS}/{execution}").status_code == 404
    assert tenant.json("GET", f"{EXPORTS}/{export['id']}").status_code == 404


def test_what_no_job_knows_goes_after_a_day_and_what_waits_stays(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    waiting = Imports(tenant, worker_database_url, spool).send(GUESTS.encode()).json()["id"]
    row = database.execute("SELECT folder FROM tabellion.import_job WHERE id = %s", (waiting,)).fetchone()
    assert row is not None
    old, young = spool / "upload-of-nobody", spool / "upload-of-now"
    for path in (old, young):
        path.write_bytes(b"x")
    folder = spool / "import-of-nobody"
    folder.mkdir()
    (folder / "input").write_bytes(b"x")
    two_days_ago = utc_now().timestamp() - 2 * 24 * 3600
    for path in (old, folder, spool / row[0]):
        os.utime(path, (two_days_ago, two_days_ago))
    # It goes while others look.
    (spool / "gone").symlink_to(spool / "nowhere")

    purged(worker_database_url, spool, days=0)

    (spool / "gone").unlink()
    assert not old.exists()
    assert not folder.exists()
    assert young.exists()
    assert (spool / row[0]).exists()
    young.unlink()


def test_what_a_verb_has_left_unfinished_is_cancelled_after_a_day(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    imports, exports = Imports(tenant, worker_database_url, spool), Exports(tenant, worker_database_url, spool)
    waiting, left, busy = (imports.send(GUESTS.encode()).json()["id"] for _ in range(3))
    export = tenant.json("POST", EXPORTS, {"tableId": "Guests"}).json()["id"]
    # As a verb enters them: it does the work itself, and no worker knows of it.
    database.execute(
        "DELETE FROM jobs.procrastinate_jobs WHERE task_name = 'imports.run' AND args ->> 'job_id' = ANY (%s) "
        "OR task_name = 'exports.run' AND args ->> 'execution_id' = %s",
        ([str(left), str(busy)], str(export)),
    )

    def states() -> list[str]:
        return [*(imports.result(each)["status"] for each in (waiting, left, busy)), exports.read(export)["status"]]

    purged(worker_database_url, spool, days=0.9)
    assert states() == ["QUEUED"] * 4
    with psycopg.connect(worker_database_url) as verb:
        verb.execute("SELECT pg_advisory_lock(%s, %s::int)", (AdvisoryLock.IMPORT, int(busy)))
        purged(worker_database_url, spool, days=1.1)
    assert states() == ["QUEUED", "CANCELLED", "QUEUED", "CANCELLED"]
    trail = "SELECT object FROM tabellion.audit WHERE route LIKE 'jobs cancel: %%' AND licence_id = %s ORDER BY id"
    licence = int(schema_of(tenant, database)[1:])
    assert database.execute(trail, (licence,)).fetchall() == [(f"import/{left}",), (f"export-execution/{export}",)]
