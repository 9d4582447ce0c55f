"""A restore that fails, is killed or is interrupted leaves nothing that a server begins on."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from tabellion.platform.database.migrate import migrate
from tabellion.platform.database.schema import RESTORING, RestoreUnfinished, require_current
from tabellion.platform.secrets import ring
from tabellion.platform.secrets.ring import Source as SecretSource
from tabellion.server import unfinished
from tabellion.server.backup import restoring
from tabellion.server.backup.errors import BackupError
from tabellion.server.backup.restoring import restore
from tabellion.server.database import prepare_database
from tabellion.settings import Settings
from tests.support.api import free_port
from tests.support.postgres import Cluster
from tests.support.serving import TABELLION, clean_environment, json_here, run, run_here
from tests.support.waiting import until
from tests.system.backups.conftest import LONG_S, NOW, Source, files_of, restored

pytestmark = pytest.mark.system


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that the user of the database may enter, unlike those of pytest where root runs it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_restore_that_is_killed_leaves_nothing_that_is_served_and_can_be_repeated(
    source: Source, cluster: Cluster, empty_database_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(empty_database_url) as known:
        name = known.info.dbname
    with psycopg.connect(cluster.superuser(name), autocommit=True) as db:
        # In the middle: tables and rows are there, indexes are not.
        db.execute("SELECT pg_advisory_lock(4711)")
        db.execute(
            "CREATE FUNCTION public.stop() RETURNS event_trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_advisory_lock_shared(4711); END $$"
        )
        db.execute(
            "CREATE EVENT TRIGGER stop ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION public.stop()"
        )
        environment = {"TABELLION_DATABASE_URL": empty_database_url, "TABELLION_DATA_DIR": str(tmp_path / "data")}
        process = subprocess.Popen(
            [*TABELLION, "restore", str(source.backup)], cwd=tmp_path, env=clean_environment(**environment)
        )
        waiting = "SELECT FROM pg_stat_activity WHERE datname = %s AND wait_event = 'advisory'"
        until(lambda: db.execute(waiting, (name,)).fetchone() is not None, LONG_S)
        process.kill()
        process.wait()
        with pytest.raises(RestoreUnfinished, match="run tabellion restore again"):
            migrate(empty_database_url)
        refused = run("worker", cwd=tmp_path, **environment)
        assert (refused.returncode, "run tabellion restore again" in refused.stderr) == (1, True), refused.stderr
        db.execute("DROP EVENT TRIGGER stop")
        db.execute("SELECT pg_advisory_unlock(4711)")
    again = json_here("restore", str(source.backup), cwd=tmp_path, **environment)
    assert again["held"]
    assert files_of(tmp_path / "data" / "spool") == source.files
    require_current(empty_database_url)


def test_a_restore_that_is_killed_before_there_is_a_database_leaves_no_empty_server(
    source: Source, open_folder: Path
) -> None:
    data = open_folder / "data"
    process = subprocess.Popen(
        [*TABELLION, "restore", str(source.backup), "--data-dir", str(data)], cwd=open_folder, env=clean_environment()
    )
    until((data / "postgres.new" / "PG_VERSION").exists, LONG_S)
    process.kill()
    process.wait()
    assert not (data / "postgres").exists()
    for verb in ("serve", "licence list", "backup"):
        refused = run(*verb.split(), "--data-dir", str(data), cwd=open_folder, TABELLION_PORT=str(free_port()))
        assert refused.returncode == 1, verb
        assert f"run tabellion restore FILE --data-dir {data} again" in refused.stderr
    listed = json.loads(run_here("doctor", "--json", "--data-dir", str(data)).stdout)
    (found,) = (one for one in listed if one["check"] == "database")
    assert (found["state"], "did not come to its end" in found["found"]) == ("problem", True)
    again = run("restore", str(source.backup), "--data-dir", str(data), cwd=open_folder)
    assert again.returncode == 0, again.stderr
    # In full, for whoever has another server in TABELLION_DATA_DIR.
    assert f"until you run: tabellion resume --data-dir {data}\n" in again.stdout + again.stderr
    assert json_here("licence", "list", "--data-dir", str(data), cwd=open_folder)


@pytest.mark.parametrize("when", ["before the database has a mark", "while it is filled"])
def test_a_restore_that_is_interrupted_leaves_no_empty_server(
    source: Source, open_folder: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    data = open_folder / "data"
    ours = Settings(data_dir=data)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    place = "find_client" if when.startswith("before") else "load"
    with monkeypatch.context() as patched:
        patched.setattr(restoring, place, interrupt)
        with pytest.raises(KeyboardInterrupt):
            restore(ours, source.backup, lambda: NOW, resume_sendings=False)
    assert (data / "postgres" / "PG_VERSION").exists()
    for verb in ("licence list", "serve"):
        refused = run(*verb.split(), "--data-dir", str(data), cwd=open_folder, TABELLION_PORT=str(free_port()))
        assert (refused.returncode, "did not come to" in refused.stderr) == (1, True), verb
        assert "run tabellion restore" in refused.stderr
    restore(ours, source.backup, lambda: NOW, resume_sendings=False)
    assert json_here("licence", "list", "--data-dir", str(data), cwd=open_folder)


def test_a_restore_into_the_folder_of_a_server_is_refused_and_leaves_it_as_it_was(source: Source, open_folder: Path) -> None:
    data = open_folder / "data"
    with ExitStack() as stack:
        prepare_database(Settings(data_dir=data), stack, beginning=True, tell=list[str]().append)
    for _ in range(2):
        with pytest.raises(BackupError, match="the database is not empty"):
            restore(Settings(data_dir=data), source.backup, lambda: NOW, resume_sendings=False)
        assert json_here("licence", "list", "--data-dir", str(data), cwd=open_folder) == []
        (data / unfinished.FILE).touch()  # of a restore that had failed, before this server was copied into its folder


def test_a_restore_that_fails_leaves_the_place_empty_and_to_the_next_restore(
    source: Source, cluster: Cluster, empty_database_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(empty_database_url) as known:
        name = known.info.dbname
    with psycopg.connect(cluster.superuser(name), autocommit=True) as db:
        db.execute(
            "CREATE FUNCTION public.no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'the disk has gone'; END $$"
        )
        db.execute("CREATE EVENT TRIGGER no ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION public.no()")
        with pytest.raises(
            BackupError, match=r"pg_restore .* failed, and what it had made was removed: .*the disk has gone"
        ):
            restored(source.backup, empty_database_url, tmp_path / "data")
        left = db.execute(r"SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema|public)'").fetchall()
        assert left == [(RESTORING,)]
        with pytest.raises(RestoreUnfinished, match="run tabellion restore again"):
            migrate(empty_database_url)
        db.execute("DROP EVENT TRIGGER no")
    key = tmp_path / "data" / "secret.key"
    assert not key.exists()
    # The server's key was exchanged after the backup: its file of now opens what that of then did, and stays.
    shutil.copy(source.data / "secret.key", key)
    ring.write(key, SecretSource("", key.parent).ring().rotated())
    rotated = key.read_bytes()
    done = restored(source.backup, empty_database_url, tmp_path / "data")
    assert done.woken.held
    assert done.key.startswith("in place as a former one")
    assert key.read_bytes() == rotated
