"""`tabellion export`, and `jobs` for exports."""

import gzip
import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.exports import EXECUTIONS, Exports
from tests.support.serving import TABELLION, clean_environment, json_here, run_here
from tests.support.tenant import Tenant
from tests.support.waiting import until

# Other databases of the same server may have exports that wait, of tests that run beside this one.
_HERE = "FROM pg_stat_activity WHERE datname = current_database() AND application_name"
_WAITS = f"SELECT count(*) {_HERE} = 'tabellion export' AND wait_event_type = 'Lock'"
_CUT = f"SELECT pg_terminate_backend(pid) {_HERE} IN ('tabellion export', 'tabellion cli')"


def _interrupt(verb: "subprocess.Popen[str]", _: psycopg.Connection[Any]) -> None:
    verb.send_signal(signal.SIGINT)


def _lose_the_database(_: "subprocess.Popen[str]", database: psycopg.Connection[Any]) -> None:
    database.execute(_CUT)


@pytest.mark.parametrize(
    ("cut", "status", "codes"), [(_interrupt, "CANCELLED", []), (_lose_the_database, "FAILED", ["internal"])]
)
def test_an_export_that_is_tried_by_hand_ends_with_its_verb(
    cut: Callable[["subprocess.Popen[str]", psycopg.Connection[Any]], None],
    status: str,
    codes: list[str],
    exports: Exports,
    tenant: Tenant,
    database: psycopg.Connection[Any],
) -> None:
    """Nobody goes on with it: it would count as at work until the night."""
    where = {"TABELLION_DATABASE_URL": exports.url, "TABELLION_DATA_DIR": str(exports.spool.parent)}
    number = tenant.json("POST", EXECUTIONS, {"tableId": "Guests"}).json()["id"]
    assert tenant.call("DELETE", f"{EXECUTIONS}/{number}").status_code == 204
    command = [*TABELLION, "jobs", "retry", number, "--kind", "export"]
    with psycopg.connect(exports.url) as holding:
        holding.execute("LOCK TABLE tabellion.profile_table")
        verb = subprocess.Popen(command, env=clean_environment(**where), stderr=subprocess.PIPE, text=True)
        until(lambda: database.execute(_WAITS).fetchone() == (1,), 60)
        cut(verb, database)
        until(lambda: database.execute(_WAITS).fetchone() == (0,))
    _, told = verb.communicate(timeout=60)
    assert verb.returncode != 0
    assert "Traceback" not in told
    ended = exports.read(number)
    assert (ended["status"], [error["code"] for error in ended["errors"]]) == (status, codes)


@pytest.mark.usefixtures("stays")
def test_the_command_line_exports_and_tells(exports: Exports, tenant: Tenant, tmp_path: Path) -> None:
    where = {"TABELLION_DATABASE_URL": exports.url, "TABELLION_DATA_DIR": str(exports.spool.parent)}
    options = ("--licence", tenant.licence)

    done = json_here("export", "guests", *options, "--out", "a.csv.gz", "--attribute", "emailAddress", cwd=tmp_path, **where)
    lines = json_here("export", "Stays", *options, "--out", "b.jsonl", cwd=tmp_path, **where)
    for place, why in (("none/out.csv", "there is no folder none"), (".", "is a folder: name a file in it")):
        refused = run_here("export", "Guests", *options, "--out", place, cwd=tmp_path, **where)
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
        assert why in refused.stderr
    assert not (tmp_path / "export").exists()
    wrong = run_here("export", "Guests", *options, "--out", "c.csv", "--filter", "nope = 1", cwd=tmp_path, **where)

    assert (done["file"], done["rows"]) == ("a.csv.gz", 1)
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()) == b"emailAddress\nann@example.com\n"
    assert lines["rows"] == 1
    assert json.loads((tmp_path / "b.jsonl").read_text())["attributes"]["stayRef"] == "ST-00001"
    assert (wrong.returncode, (tmp_path / "c.csv").exists()) == (1, False)
    assert "filter: " in wrong.stderr


def test_an_export_replaces_no_file_unasked_and_may_go_to_the_standard_output(
    exports: Exports, tenant: Tenant, tmp_path: Path
) -> None:
    where = {"TABELLION_DATABASE_URL": exports.url, "TABELLION_DATA_DIR": str(exports.spool.parent)}
    out = tmp_path / "b.jsonl"
    out.write_text("mine")
    order = ("export", "Guests", "--licence", tenant.licence, "--attribute", "emailAddress", "--out")
    refused = run_here(*order, str(out), **where)
    assert (refused.returncode, "b.jsonl is there already" in refused.stderr, out.read_text()) == (1, True, "mine")
    assert run_here(*order, str(out), "--force", **where).returncode == 0
    assert "ann@example.com" in out.read_text()
    assert out.stat().st_mode & 0o777 == 0o600
    piped = run_here(*order, "-", **where)
    assert (piped.returncode, piped.stdout) == (0, "emailAddress\nann@example.com\n")
    assert "rows" in piped.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["b.jsonl"]


def test_the_command_line_looks_after_exports(exports: Exports, tenant: Tenant, tmp_path: Path) -> None:
    where = {"TABELLION_DATABASE_URL": exports.url, "TABELLION_DATA_DIR": str(exports.spool.parent)}
    number = tenant.json("POST", EXECUTIONS, {"tableId": "Guests"}).json()["id"]

    def jobs(*arguments: str) -> Any:
        return json_here("jobs", *arguments, "--kind", "export", cwd=tmp_path, **where)

    (listed,) = jobs("list", "--licence", tenant.licence)
    cancelled = run_here("jobs", "cancel", number, "--kind", "export", cwd=tmp_path, **where)
    status = exports.read(number)["status"]
    done = jobs("retry", number)
    again = run_here("jobs", "retry", number, "--kind", "export", cwd=tmp_path, **where)
    unknown = run_here("jobs", "cancel", number, cwd=tmp_path, **where)
    ended = run_here("jobs", "cancel", number, "--kind", "export", cwd=tmp_path, **where)
    other = tenant.json("POST", EXECUTIONS, {"tableId": "Guests"}).json()["id"]
    assert jobs("cancel", other) == {"cancelled": int(other), "kind": "export"}

    assert (listed["kind"], str(listed["id"]), listed["status"]) == ("export", number, "QUEUED")
    assert (cancelled.returncode, status) == (0, "CANCELLED")
    assert (done["status"], done["rowsRead"]) == ("DONE", 1)
    assert exports.file(number)
    shown = jobs("show", number)
    assert shown == {"kind": "export", "licence": tenant.licence, "table": "Guests"} | done
    assert again.stderr == f"tabellion: the export {number} is DONE: there is nothing left to do\n"
    assert unknown.stderr == (
        f"tabellion: there is no import {number}; with --kind etl or --kind export the number is of another kind\n"
    )
    assert ended.stderr == f"tabellion: the export {number} has ended already, as DONE: there is nothing to cancel\n"
