"""The embedded PostgreSQL: what it keeps, its settings, files and logs."""

import stat
from pathlib import Path

import psycopg
import pytest

from tabellion.server.embedded import EmbeddedPostgres, EmbeddedPostgresError
from tabellion.server.postgres import place
from tests.server.postgres.conftest import embedded_in, execute
from tests.support.postgres import VERSION


def test_data_survive_stop_and_start(data_dir: Path) -> None:
    with embedded_in(data_dir) as embedded:
        execute(embedded.url, "CREATE TABLE kept AS SELECT 42 AS n")
        assert embedded.is_running()
    assert not embedded.is_running()

    with embedded_in(data_dir) as embedded:
        assert execute(embedded.url, "SELECT n FROM kept") == [(42,)]


def test_only_who_may_begin_makes_a_cluster(directory: Path) -> None:
    data_dir, other = directory / "typo", directory / "other"
    other.mkdir()
    (other / "notes.txt").write_text("of somebody")
    for folder in (data_dir, other):
        with pytest.raises(EmbeddedPostgresError, match=f"no installation in {folder}.*tabellion serve --data-dir {folder}"):
            EmbeddedPostgres(folder, existing=True).start()
    assert not data_dir.exists()
    assert [path.name for path in other.iterdir()] == ["notes.txt"]


def test_settings_are_durable_local_and_the_same_everywhere(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, version=VERSION) as embedded:
        wanted = {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "listen_addresses": "",
            "server_encoding": "UTF8",
            "data_checksums": "on",
            "TimeZone": "UTC",
        }
        found = {name: execute(embedded.url, f"SHOW {name}")[0][0] for name in wanted}
        collation = execute(embedded.url, "SELECT datcollate FROM pg_database WHERE datname = current_database()")
        superuser = execute(embedded.url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user")

    assert found == wanted
    assert collation == [("C",)]
    assert superuser == [(False,)]


def test_files_and_socket_are_closed_to_others(data_dir: Path) -> None:
    with embedded_in(data_dir):
        assert stat.S_IMODE(data_dir.stat().st_mode) & 0o067 == 0
        assert stat.S_IMODE((data_dir / "postgres").stat().st_mode) == 0o700
        assert stat.S_IMODE((data_dir / "postgres" / place.SOCKET).stat().st_mode) == 0o700


def test_the_log_holds_no_values_of_failed_statements(data_dir: Path) -> None:
    with embedded_in(data_dir) as embedded:
        execute(embedded.url, "CREATE TABLE person (email text PRIMARY KEY)")
        for statement in ("SELECT 'ada@secret.example'::integer", "SELECT no_such_column, 'ada@secret.example'"):
            with pytest.raises(psycopg.Error):
                execute(embedded.url, statement)
        execute(embedded.url, "INSERT INTO person VALUES ('ada@secret.example')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            execute(embedded.url, "INSERT INTO person VALUES ('ada@secret.example')")

    logs = [path.read_text() for path in (data_dir / "postgres").rglob("*.log")]
    assert logs
    assert not any("ada@" in text for text in logs)


def test_only_the_newest_logs_are_kept(data_dir: Path) -> None:
    with embedded_in(data_dir) as embedded:
        folder = data_dir / "postgres" / "log"
        for day in range(10, 20):
            (folder / f"postgresql-202001{day}-000000.log").touch()
        stays = folder / "postgresql-20200101-000000.log"
        stays.mkdir()  # one that cannot be deleted is no reason to stop
        embedded.prune_logs()
        stays.rmdir()
        names = sorted(path.name for path in folder.iterdir())

    assert len(names) == 5
    assert names[0] == "postgresql-20200116-000000.log"


def test_an_existing_cluster_keeps_its_version(data_dir: Path) -> None:
    with embedded_in(data_dir, version=16):
        pass
    with embedded_in(data_dir, version=18) as embedded:
        assert execute(embedded.url, "SELECT current_setting('server_version_num')::int / 10000") == [(16,)]


def test_an_unknown_version_is_refused(data_dir: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="no programs of PostgreSQL 15; there are those of 16, 18"):
        embedded_in(data_dir, version=15).start()


def test_stop_without_a_data_directory_does_nothing(data_dir: Path) -> None:
    EmbeddedPostgres(data_dir).stop()

    assert not data_dir.exists()
