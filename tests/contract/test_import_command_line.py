"""Imports that the command line runs itself."""

import csv
import io
import resource
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tabellion.features.bulk.fenced import lock_of
from tabellion.platform.database.advisory import AdvisoryLock
from tests.support.imports import GOOD, Imports, profile, unzipped
from tests.support.serving import TABELLION, clean_environment, json_here, run_here
from tests.support.tenant import Tenant, schema_of
from tests.support.waiting import until


def test_the_command_line_imports_and_tells(imports: Imports, tenant: Tenant, tmp_path: Path) -> None:
    where = {"TABELLION_DATABASE_URL": imports.url, "TABELLION_DATA_DIR": str(imports.spool.parent)}
    (tmp_path / "good.csv").write_text(GOOD)
    (tmp_path / "bad.csv").write_text(GOOD + "no address,Dan,,\n")
    options = ("--licence", tenant.licence, "--table", "guests")

    done = json_here("import", "good.csv", *options, cwd=tmp_path, **where)
    rejected = ("--mode", "UPDATE_ONLY", "--errors", "rejected.csv")
    failed = run_here("import", "bad.csv", *options, *rejected, cwd=tmp_path, **where)
    listed = json_here("jobs", "list", "--licence", tenant.licence, cwd=tmp_path, **where)
    again = run_here("jobs", "retry", str(done["id"]), cwd=tmp_path, **where)
    nothing = run_here("import", "good.csv", "--licence", tenant.licence, "--table", "Nope", cwd=tmp_path, **where)
    imports.send(GOOD.encode())
    with psycopg.connect(imports.url, autocommit=True) as db:
        db.execute("INSERT INTO tabellion.server_hold (backup_at, restored_at) VALUES (now(), now())")
        held = run_here("jobs", "list", "--licence", tenant.licence, cwd=tmp_path, **where)
        db.execute("DELETE FROM tabellion.server_hold")
    assert f"no job runs, until you run: tabellion resume --data-dir {imports.spool.parent}" in held.stdout
    wrong = run_here("import", "good.csv", *options, "--encoding", "UTF-9", "--key", "lastName", cwd=tmp_path, **where)
    assert (wrong.returncode, "'UTF-9' is not known" in wrong.stderr, "it cannot be the key" in wrong.stderr) == (
        1,
        True,
        True,
    )

    assert (done["status"], done["rowsCreated"]) == ("DONE", 2)
    assert profile(tenant, "emailAddress=bob@example.com")["attributes"]["points"] == 7
    assert failed.returncode == 1
    assert "DONE_WITH_ERRORS" in failed.stdout
    assert [(job["status"], job["rowsInError"]) for job in listed] == [("DONE_WITH_ERRORS", 1), ("DONE", 0)]
    assert {(job["licence"], job["table"]) for job in listed} == {(tenant.licence, "Guests")}
    told = json_here("jobs", "show", str(done["id"]), cwd=tmp_path, **where)
    assert (told["kind"], told["licence"], told["table"], told["rowsRead"]) == ("import", tenant.licence, "Guests", 2)
    wrong = list(csv.DictReader((tmp_path / "rejected.csv").open(encoding="utf-8")))
    assert [(row["lastName"], row["lineNumber"], row["errorColumn"]) for row in wrong] == [("Dan", "4", "emailAddress")]
    saved = run_here("jobs", "errors", str(listed[0]["id"]), "--out", "again.zip", cwd=tmp_path, **where)
    assert "1 rejected row in again.zip" in saved.stdout
    assert unzipped((tmp_path / "again.zip").read_bytes()) == wrong
    saved = json_here("jobs", "errors", str(listed[0]["id"]), "--out", "third.csv", cwd=tmp_path, **where)
    assert saved == {"file": "third.csv", "rejectedRows": 1, "reasons": []}
    (tmp_path / "mapped.csv").write_text("mail,name\neve@example.com,Eve\n")
    columns = ("--map", "mail=emailAddress", "--map", "name=lastName")
    mapped = json_here("import", "mapped.csv", *options, *columns, "--key", "mail", cwd=tmp_path, **where)
    assert (mapped["status"], mapped["rowsCreated"]) == ("DONE", 1)
    unmapped = run_here("import", "mapped.csv", *options, "--map", "mail", "--map", "name=nam", cwd=tmp_path, **where)
    assert "--map expects COLUMN=ATTRIBUTE, such as mail=emailAddress, not 'mail'" in unmapped.stderr
    assert imports.do(b"nonsense\n1\n")["status"] == "FAILED"
    (latest,) = json_here("jobs", "list", "--limit", "1", "--licence", tenant.licence, cwd=tmp_path, **where)
    whole = run_here("jobs", "errors", str(latest["id"]), "--out", "none.csv", cwd=tmp_path, **where)
    assert "0 rejected rows in none.csv; the import failed as a whole: import.mapping: " in whole.stdout
    assert run_here("jobs", "errors", "7", "--out", "x", cwd=tmp_path, **where).stderr == "tabellion: there is no import 7\n"
    assert again.stderr == (
        f"tabellion: the import {done['id']} is DONE: there is nothing left to do, or it belongs to an ETL\n"
    )
    assert nothing.stderr == "tabellion: the licence has no table 'Nope'\n"


def test_rejected_rows_replace_no_file_unasked_and_may_go_to_the_standard_output(imports: Imports, tmp_path: Path) -> None:
    where = {"TABELLION_DATABASE_URL": imports.url, "TABELLION_DATA_DIR": str(imports.spool.parent)}
    file, out = tmp_path / "bad.csv", tmp_path / "rejected.csv"
    file.write_text("emailAddress,lastName\nno address,Dan\n")
    out.write_text("mine")
    order = ("import", str(file), "--licence", imports.tenant.licence, "--table", "guests", "--errors")
    # The import does not even begin.
    unasked = run_here(*order, str(out), **where)
    assert (unasked.returncode, "rejected.csv is there already" in unasked.stderr) == (1, True)
    piped = run_here(*order, "-", **where)
    assert [row["lastName"] for row in csv.DictReader(io.StringIO(piped.stdout))] == ["Dan"]
    assert "DONE_WITH_ERRORS" in piped.stderr
    (job,) = json_here("jobs", "list", "--licence", imports.tenant.licence, **where)

    errors = ("jobs", "errors", str(job["id"]), "--out")
    assert (run_here(*errors, str(out), **where).returncode, out.read_text()) == (1, "mine")
    assert run_here(*errors, str(out), "--force", **where).returncode == 0
    again = run_here(*errors, "-", **where)
    assert (again.stdout, "1 rejected row" in again.stderr) == (out.read_text(), True)
    assert again.stdout == piped.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv", "rejected.csv"]


@pytest.mark.parametrize(
    ("cut", "told"),
    [
        ("pg_cancel_backend", "the database gave this up because it took too long: {again} when the server has less to do"),
        ("pg_terminate_backend", "the import {number} is not finished: {again}, jobs cancel ends it"),
    ],
)
def test_who_cannot_finish_an_import_is_not_told_to_import_the_file_again(
    imports: Imports, tenant: Tenant, database: psycopg.Connection[Any], tmp_path: Path, cut: str, told: str
) -> None:
    """Rows that were written stay: they would be rejected, or there twice."""
    where = {"TABELLION_DATABASE_URL": imports.url, "TABELLION_DATA_DIR": str(imports.spool.parent)}
    (tmp_path / "guests.csv").write_text(GOOD)
    command = [*TABELLION, "import", "guests.csv", "--licence", tenant.licence, "--table", "guests", "--json"]
    table = f"{schema_of(tenant, database)}.p{tenant.json('GET', '/v5/entities/hotels/profile-tables/Guests').json()['id']}"
    # In this database: tests that run beside this one have others of the same server.
    waiting = (
        "FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'tabellion import' AND wait_event_type = 'Lock'"
    )
    with psycopg.connect(imports.url) as holding:
        holding.execute(f"LOCK TABLE {table}")
        verb = subprocess.Popen(command, env=clean_environment(**where), cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        until(lambda: database.execute(f"SELECT count(*) {waiting}").fetchone() == (1,), 60)
        database.execute(f"SELECT {cut}(pid) {waiting}")
        _, said = verb.communicate(timeout=60)
    (number,) = database.execute("SELECT max(id) FROM tabellion.import_job").fetchone() or (0,)
    again = f"tabellion jobs retry {number} goes on from where it was"
    assert f"tabellion: {told.format(number=number, again=again)}\n" in said
    assert (verb.returncode, "run it again" in said) == (1, False)
    assert json_here("jobs", "retry", str(number), cwd=tmp_path, **where)["status"] == "DONE"


def test_a_file_that_finds_no_room_is_told_of_and_leaves_nothing(imports: Imports, tmp_path: Path) -> None:
    where = {"TABELLION_DATABASE_URL": imports.url, "TABELLION_DATA_DIR": str(imports.spool.parent)}
    (tmp_path / "guests.csv").write_text("emailAddress\n" + "x" * 300_000)
    before = sorted(imports.spool.iterdir())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        options = ("--licence", imports.tenant.licence, "--table", "guests")
        done = run_here("import", "guests.csv", *options, cwd=tmp_path, **where)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (done.returncode, done.stderr) == (
        1, f"tabellion: the disk of {imports.spool} is full: no import was made, and nothing of it was left there; make room\n"
    )  # fmt: skip
    assert sorted(imports.spool.iterdir()) == before


def test_rejected_rows_are_not_written_over_the_file_that_is_imported(tmp_path: Path) -> None:
    (tmp_path / "guests.csv").write_text(GOOD)
    (tmp_path / "link.csv").symlink_to("guests.csv")

    done = run_here(
        "import",
        "guests.csv",
        "--licence",
        "x",
        "--table",
        "Guests",
        "--errors",
        "link.csv",
        "--data-dir",
        ".",
        cwd=tmp_path,
    )

    assert (done.returncode, done.stderr) == (
        1, "tabellion: --errors would write over the file that is imported: name another file than link.csv\n"
    )  # fmt: skip
    assert (tmp_path / "guests.csv").read_text() == GOOD


def test_the_command_line_goes_on_with_what_was_stopped(imports: Imports, tenant: Tenant, tmp_path: Path) -> None:
    where = {"TABELLION_DATABASE_URL": imports.url, "TABELLION_DATA_DIR": str(imports.spool.parent)}
    job_id = imports.send(GOOD.encode()).json()["id"]

    assert json_here("jobs", "retry", str(job_id), cwd=tmp_path, **where)["rowsCreated"] == 2

    other = imports.send(GOOD.encode()).json()["id"]
    assert run_here("jobs", "cancel", str(other), cwd=tmp_path, **where).returncode == 0
    assert imports.result(other)["status"] == "CANCELLED"
    assert json_here("jobs", "retry", str(other), cwd=tmp_path, **where)["rowsUnchanged"] == 2
    trail = json_here("audit", tenant.licence, "--object", f"import/{other}", cwd=tmp_path, **where)
    assert [entry["route"] for entry in trail[:2]] == ["jobs retry", "jobs cancel"]
    assert [entry["actor"] for entry in trail] == ["cli", "cli", tenant.login]


def test_a_job_that_a_worker_has_is_not_tried_beside_it(imports: Imports, tmp_path: Path) -> None:
    where = {"TABELLION_DATABASE_URL": imports.url, "TABELLION_DATA_DIR": str(imports.spool.parent)}
    job_id = imports.send(GOOD.encode()).json()["id"]
    with psycopg.connect(imports.url, autocommit=True) as worker:
        worker.execute("SELECT pg_advisory_lock(%s, %s)", lock_of(AdvisoryLock.IMPORT, job_id))
        refused = run_here("jobs", "retry", str(job_id), cwd=tmp_path, **where)
    told = f"tabellion jobs show {job_id} --kind import tells how far it is, and jobs cancel ends it"
    assert refused.stderr == f"tabellion: a worker has the import {job_id} at this moment: {told}\n"
    assert refused.returncode == 1
    assert imports.result(job_id)["status"] == "QUEUED"


def test_a_wrong_separator_is_mended_by_the_option_that_is_named(imports: Imports, tmp_path: Path) -> None:
    where = {"TABELLION_DATABASE_URL": imports.url, "TABELLION_DATA_DIR": str(imports.spool.parent)}
    (tmp_path / "guests.csv").write_text("emailAddress;lastName\nbob@example.com;Bob\n")
    order = ("import", "guests.csv", "--licence", imports.tenant.licence, "--table", "Guests")
    failed = run_here(*order, cwd=tmp_path, **where)
    assert "is ';' the separator? The file was read with ','" in failed.stdout
    assert "on the command line --separator" in failed.stdout
    assert json_here(*order, "--separator", ";", cwd=tmp_path, **where)["rowsCreated"] == 1
