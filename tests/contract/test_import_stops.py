"""Imports that do not come to their end at once: cancelled, failed, changed under way, without room."""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tabellion.features.bulk.imports import running
from tests.support.imports import GOOD, Imports, zipped
from tests.support.serving import json_here, run_here
from tests.support.tenant import Tenant


def test_a_worker_with_another_spool_says_so(imports: Imports, tmp_path: Path) -> None:
    """As on a second machine that shares the database alone."""
    job_id = imports.send(GOOD.encode()).json()["id"]
    Imports(imports.tenant, imports.url, tmp_path).run(job_id)
    (error,) = imports.result(job_id)["errors"]
    assert error["code"] == "import.fileUnreadable"
    assert "let them share the spool" in error["message"]


def test_cancelled_is_cancelled(imports: Imports, tenant: Tenant) -> None:
    job_id = imports.send(zipped(GOOD)).json()["id"]
    assert tenant.json("DELETE", f"/v4/entity/hotels/import/{job_id}").status_code == 204
    imports.run(job_id)
    result = imports.result(job_id)
    assert (result["status"], result["withErrors"], result["rowsRead"]) == ("CANCELLED", True, 0)
    assert tenant.json("DELETE", f"/v4/entity/hotels/import/{job_id}").json()["code"] == "job.state"


def two_blocks(last: str = "") -> str:
    """A file whose first row is wrong, of more rows than are applied at a time; `last` is its last line."""
    rows = "".join(f"p{n}@example.com,{'x' * 60}\n" for n in range(25_000))
    return f"emailAddress,lastName\nno address,Bob\n{rows}{last}"


def test_an_import_that_fails_on_the_way_tells_the_rows_rejected_so_far_and_can_be_retried(
    imports: Imports, tmp_path: Path
) -> None:
    job_id = imports.send(zipped(two_blocks('eve@example.com,"open\n'))).json()["id"]
    imports.run(job_id)

    result = imports.result(job_id)
    assert (result["status"], result["errors"][0]["code"]) == ("FAILED", "import.quote")
    assert result["rowsRead"] == result["rowsCreated"] + 1 > 1
    assert [(row["lineNumber"], row["errorCode"]) for row in imports.errors(job_id)] == [("2", "attribute.value")]
    # Of the inflated file nothing is left: it can be large.
    with psycopg.connect(imports.url) as db:
        found = db.execute("SELECT folder FROM tabellion.import_job WHERE id = %s", (job_id,)).fetchone()
    assert found is not None
    assert sorted(path.name for path in (imports.spool / found[0]).iterdir()) == ["errors.zip", "input"]

    where = {"TABELLION_DATABASE_URL": imports.url, "TABELLION_DATA_DIR": str(imports.spool.parent)}
    again = run_here("jobs", "retry", str(job_id), cwd=tmp_path, **where)
    assert again.returncode == 1
    assert imports.result(job_id) | {"endedAt": ""} == result | {"endedAt": ""}


def test_an_import_that_is_cancelled_on_the_way_tells_the_rows_rejected_so_far(
    imports: Imports, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    job_id = imports.send(zipped(two_blocks())).json()["id"]
    write = running._Attempt._write

    async def write_and_cancel(attempt: Any, *block: Any) -> None:
        await write(attempt, *block)
        tenant.json("DELETE", f"/v4/entity/hotels/import/{job_id}")

    monkeypatch.setattr(running._Attempt, "_write", write_and_cancel)
    imports.run(job_id)

    result = imports.result(job_id)
    assert result["status"] == "CANCELLED"
    assert 1 < result["rowsRead"] < 25_001
    assert [row["lineNumber"] for row in imports.errors(job_id)] == ["2"]

    monkeypatch.undo()
    where = {"TABELLION_DATABASE_URL": imports.url, "TABELLION_DATA_DIR": str(imports.spool.parent)}
    run_here("jobs", "retry", str(job_id), cwd=tmp_path, **where)
    result = imports.result(job_id)
    assert (result["status"], result["rowsRead"], result["rowsCreated"]) == ("DONE_WITH_ERRORS", 25_001, 25_000)
    assert [row["lineNumber"] for row in imports.errors(job_id)] == ["2"]


def test_blocks_that_were_read_ahead_of_a_structure_change_are_judged_by_the_new_structure(
    imports: Imports, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["Vos"] * 6 + ["Maes"] * 10
    rows = "".join(f"p{n}@example.com,{name},{'x' * 600_000}\n" for n, name in enumerate(names))
    mapping = [{"headerColumn": name, "attributeName": name} for name in ("emailAddress", "lastName")]
    job_id = imports.send(zipped(f"emailAddress,lastName,unused\n{rows}"), {"attributesMapping": mapping}).json()["id"]
    commit, changed = running._Attempt._commit, threading.Event()
    counts = {"checks": 0, "commits": 0}

    class Checker(running.Checker):
        """The third block is checked, and then the structure changes, before the second one is committed."""

        def check(self, block: Any) -> Any:
            checked = super().check(block)
            counts["checks"] += 1
            if counts["checks"] == 3:
                changes = {"valueRestriction": {"acceptedValues": ["Vos"]}}
                operation = {"operation": "updateAttribute", "name": "lastName", "changes": changes}
                path = "/v5/entities/hotels/profile-tables/Guests/change-requests"
                assert tenant.json("POST", path, {"operations": [operation]}).status_code == 200
                changed.set()
            return checked

    async def commit_once_changed(attempt: Any, *block: Any) -> None:
        counts["commits"] += 1
        if counts["commits"] == 2:
            assert await asyncio.to_thread(changed.wait, 10)
        await commit(attempt, *block)

    monkeypatch.setattr(running, "Checker", Checker)
    monkeypatch.setattr(running._Attempt, "_commit", commit_once_changed)
    imports.run(job_id)

    result = imports.result(job_id)
    assert (result["status"], result["rowsCreated"], result["rowsRead"]) == ("DONE_WITH_ERRORS", 6, 16)
    assert [row["lineNumber"] for row in imports.errors(job_id)] == [str(line) for line in range(8, 18)]


def test_an_import_that_waits_for_room_says_so_once_and_goes_on(imports: Imports, caplog: pytest.LogCaptureFixture) -> None:
    job_id = imports.send(zipped(GOOD)).json()["id"]
    with psycopg.connect(imports.url) as db:
        ((name,),) = db.execute("SELECT folder FROM tabellion.import_job WHERE id = %s", (job_id,)).fetchall()
    where = {"TABELLION_DATABASE_URL": imports.url, "TABELLION_DATA_DIR": str(imports.spool.parent)}
    caplog.set_level("INFO", logger="tabellion.features.bulk.waiting")
    for _ in range(2):
        # What is unpacked is written there, onto a disk that is always full.
        (imports.spool / name / "rows.part").symlink_to("/dev/full")
        with pytest.raises(OSError, match="No space left"):
            imports.run(job_id)
    waits = imports.result(job_id)
    assert waits["status"] == "VALIDATING"
    assert [error["code"] for error in waits["errors"]] == ["disk.full"]
    assert "goes on by itself once there is room" in waits["errors"][0]["message"]
    (listed,) = json_here("jobs", "list", "--licence", imports.tenant.licence, **where)
    assert listed["errors"][0].startswith("disk.full: ")
    doctor = json.loads(run_here("doctor", "--json", **where).stdout)
    assert [one["found"] for one in doctor if one["check"] == "jobs"] == ["1 wait for room on a disk"]
    imports.run(job_id)
    done = imports.result(job_id)
    assert (done["status"], done["rowsCreated"], done["errors"]) == ("DONE", 2, [])
    assert [record.getMessage() for record in caplog.records] == [
        f"import {job_id} waits: the disk of the server is full. Make room, and it goes on by itself",
        f"import {job_id} waits no more",
    ]
