"""`tabellion backup`: all that was answered before it began, or no file."""

import json
import shutil
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tabellion.platform import files
from tabellion.server.backup import snapshot
from tabellion.server.backup.making import make
from tabellion.server.backup.restoring import read
from tests.support.imports import Imports, zipped
from tests.support.serving import TABELLION, clean_environment, json_here, run_here
from tests.support.tenant import Tenant
from tests.support.waiting import until
from tests.system.backups.conftest import LONG_S, PROFILES, Source, files_of, restored

pytestmark = pytest.mark.system


def test_everything_answered_before_it_begins_is_in_it_and_no_row_without_its_file(
    source: Source, empty_database_url: str, tmp_path: Path
) -> None:
    stop = threading.Event()
    profiles: list[str] = []
    uploads: list[int] = []

    def write(worker: int) -> None:
        with source.api.client() as client:
            tenant = Tenant(client, source.url, source.tenant.credentials)
            imports = Imports(tenant, source.url, source.data / "spool")
            number = 0
            while not stop.is_set():
                number += 1
                if worker == 0:
                    uploads.append(imports.send(zipped("emailAddress,lastName\nx@example.com,X\n")).json()["id"])
                    continue
                name = f"w{worker}-{number}@example.com"
                body = {"key": {"emailAddress": name}, "attributes": {"lastName": "Load"}}
                assert tenant.json("PUT", PROFILES, body).status_code == 201
                profiles.append(name)

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(3)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(profiles) > 30 and len(uploads) > 10)
        before = (list(profiles), list(uploads))
        with (tmp_path / "load.tar").open("wb") as out:
            make(source.settings, out, with_key=False)
        at_end = len(uploads)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert at_end > len(before[1])  # there was load
    done = restored(tmp_path / "load.tar", empty_database_url, tmp_path / "data")
    assert "is missing. Before the server is started" in done.key
    with psycopg.connect(empty_database_url) as db:
        column = db.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'l1' AND table_name = 'p1'"
        ).fetchall()
        kept = {value for (name,) in column for (value,) in db.execute(f"SELECT {name}::text FROM l1.p1")}
        jobs = dict(db.execute("SELECT id, folder FROM tabellion.import_job").fetchall())
    assert set(before[0]) <= kept
    assert set(before[1]) <= set(jobs)
    assert [folder for folder in jobs.values() if not (tmp_path / "data" / "spool" / folder / "input").is_file()] == []
    assert sorted(path.name for path in (tmp_path / "data" / "spool").iterdir()) == sorted(jobs.values())


def test_what_is_deleted_after_the_snapshot_is_in_the_backup(source: Source, tmp_path: Path) -> None:
    spool = tmp_path / "data" / "spool"
    shutil.copytree(source.data / "spool", spool)
    deleted = threading.Event()

    def delete(name: str) -> None:
        with files.deleting(spool):
            shutil.rmtree(spool / name)
            deleted.set()

    with psycopg.connect(source.url) as db:
        row = db.execute("SELECT folder FROM tabellion.import_job WHERE id = %s", (source.imported,)).fetchone()
        assert row is not None
    with files.keeping(spool):
        thread = threading.Thread(target=delete, args=row)
        thread.start()
        assert not deleted.wait(0.1)
    thread.join()
    shutil.copytree(source.data / "spool" / row[0], spool / row[0])
    with snapshot.taken(source.url, spool) as found:
        delete(row[0])
        kept = {name: path.read_bytes() for name, path in found.files if row[0] in name}
        assert kept == {f"spool/{row[0]}/{name}": data for name, data in files_of(source.data / "spool" / row[0]).items()}
    assert not list(spool.glob("backup-*"))


def _lock(url: str) -> psycopg.Connection[Any]:
    """A connection at whose table pg_dump stops."""
    db = psycopg.connect(url)
    db.execute("LOCK TABLE tabellion.custom_action IN ACCESS EXCLUSIVE MODE")
    return db


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_a_backup_that_is_killed_leaves_no_file_and_the_next_one_cleans_up(
    source: Source, tmp_path: Path, sign: signal.Signals
) -> None:
    environment = {"TABELLION_DATABASE_URL": source.url, "TABELLION_DATA_DIR": str(source.data)}
    with _lock(source.url), psycopg.connect(source.url, autocommit=True) as db:
        process = subprocess.Popen(
            [*TABELLION, "backup", "x.tar"],
            cwd=tmp_path,
            env=clean_environment(**environment),
            stderr=subprocess.PIPE,
            text=True,
        )
        waiting = (
            "SELECT FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'tabellion backup' AND wait_event_type = 'Lock'"
        )
        until(lambda: db.execute(waiting).fetchone() is not None, LONG_S)
        second = run_here("backup", "y.tar", cwd=tmp_path, **environment)
        assert (second.returncode, "another backup of" in second.stderr) == (1, True)
        process.send_signal(sign)
        _, told = process.communicate(timeout=LONG_S)
    if sign == signal.SIGTERM:
        assert (process.returncode, told) == (1, "tabellion: the backup was interrupted; nothing of it was left\n")
        assert list(tmp_path.iterdir()) == []
        assert list((source.data / "spool").glob("backup-*")) == []
    assert not (tmp_path / "x.tar").exists()
    done = run_here("backup", "z.tar", cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["z.tar"]
    assert list((source.data / "spool").glob("backup-*")) == []
    assert run_here("backup", "z.tar", "--verify", cwd=tmp_path).returncode == 0
    mixed = run_here("backup", "z.tar", "--verify", "--force", "--without-secret-key", cwd=tmp_path)
    assert (mixed.returncode, mixed.stdout) == (1, "")
    assert "leave out --force, --without-secret-key, or --verify" in mixed.stderr


def test_a_full_disk_leaves_no_file_and_is_told(source: Source, tmp_path: Path) -> None:
    environment = clean_environment(TABELLION_DATABASE_URL=source.url, TABELLION_DATA_DIR=str(source.data))
    command = f"ulimit -f 100; exec {' '.join(TABELLION)} backup x.tar"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == f"tabellion: the disk of {tmp_path} is full: no backup was made, and nothing of it was left there; make room\n"
    )
    assert list(tmp_path.iterdir()) == []
    command = f"exec {' '.join(TABELLION)} backup - >/dev/full"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "the standard output is full" in done.stderr) == (1, True), done.stderr
    command = f"{' '.join(TABELLION)} backup - | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        "tabellion: the program that the backup is sent to ended before it had all: what it has is no backup\n"
    )


def test_a_backup_made_beside_the_data_directory_says_what_it_lacks(source: Source, tmp_path: Path) -> None:
    wrong = {"TABELLION_DATABASE_URL": source.url, "TABELLION_DATA_DIR": str(tmp_path / "nothing")}
    done = run_here("backup", "x.tar", "--json", cwd=tmp_path, **wrong)
    assert (done.returncode, json.loads(done.stdout)["secretKey"]) == (0, "none")
    assert "there is no spool and no secret.key in" in done.stderr


def test_a_pipe_gets_the_same_and_the_key_stays_at_home_when_that_is_asked_for(source: Source, tmp_path: Path) -> None:
    environment = {"TABELLION_DATABASE_URL": source.url, "TABELLION_DATA_DIR": str(source.data)}
    with (tmp_path / "x.tar").open("wb") as out:
        command = [*TABELLION, "backup", "-", "--without-secret-key"]
        done = subprocess.run(command, env=clean_environment(**environment), stdout=out, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done.stderr
    manifest = read(tmp_path / "x.tar")
    assert manifest.secret_key == "left out"
    assert "secret.key" not in {part.name for part in manifest.parts}
    assert (source.data / "secret.key").read_bytes() not in (tmp_path / "x.tar").read_bytes()
    found = json_here("backup", "x.tar", "--verify", cwd=tmp_path)
    assert found["database"]["bytes"] > 10_000
    doctor = json.loads(run_here("doctor", "--json", cwd=tmp_path, **environment).stdout)
    assert [one["found"] for one in doctor if one["check"] == "backup"] == ["0 hours old"]
    assert source.backup.stat().st_mode & 0o777 == 0o600
