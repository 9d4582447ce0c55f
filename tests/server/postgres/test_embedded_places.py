"""Where the embedded PostgreSQL is: long and odd paths, closed directories, copies and moves."""

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tabellion.server.embedded import EmbeddedPostgresError
from tabellion.server.postgres import place, programs
from tests.server.postgres.conftest import as_root, embedded_in, execute
from tests.support.postgres import VERSION


def test_a_path_too_long_for_a_socket_works(directory: Path) -> None:
    data_dir = directory / ("long" * 20) / ("longer" * 12)
    with embedded_in(data_dir) as embedded:
        assert execute(embedded.url, "SELECT 1") == [(1,)]
        link = place.socket_directory(data_dir / "postgres")
        assert link.readlink() == data_dir / "postgres"
    assert not link.is_symlink()


def test_a_path_with_odd_characters_works(directory: Path) -> None:
    with embedded_in(directory / "a b&c=d'é%20") as embedded:
        assert execute(embedded.url, "SELECT 1") == [(1,)]


def test_a_link_of_another_user_is_not_followed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
    cluster = directory / ("x" * 120)
    link = place.socket_directory(cluster)
    assert link.parent == directory

    link.unlink()
    link.symlink_to("/somewhere/else")

    assert place.socket_directory(cluster) != link
    place.remove_socket_link(cluster)
    assert link.is_symlink()


@as_root
def test_root_in_a_closed_directory_keeps_the_data_elsewhere(
    directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shelter = directory / "shelter"
    monkeypatch.setattr(place, "_SHELTER", shelter)
    closed = directory / "closed"
    closed.mkdir(mode=0o700)
    data_dir = closed / "data"

    with embedded_in(data_dir) as embedded:
        execute(embedded.url, "CREATE TABLE kept AS SELECT 42 AS n")
        assert (data_dir / "postgres").resolve().parent.parent == shelter
    with embedded_in(data_dir) as embedded:
        assert execute(embedded.url, "SELECT n FROM kept") == [(42,)]

    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert len(list(shelter.iterdir())) == 1
    assert "is kept in" in caplog.text


@as_root
def test_a_copy_that_leads_to_the_originals_database_is_refused(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "_SHELTER", directory / "shelter")
    closed = directory / "closed"
    closed.mkdir(mode=0o700)
    original, copy = embedded_in(closed / "data"), closed / "copy"
    with original:
        pass
    shutil.copytree(closed / "data", copy, symlinks=True)
    linked = (closed / "data" / "postgres").resolve()

    with original:
        with pytest.raises(
            EmbeddedPostgresError, match=f"the database of the data directory {closed / 'data'}. If"
        ) as refused:
            embedded_in(copy).start()
        embedded_in(copy).stop()
        assert execute(original.url, "SELECT 1") == [(1,)]
    # What the message says of a copy: it gets a database of its own.
    shutil.copytree(linked.parent, directory / "shelter" / "copied", symlinks=True)
    subprocess.run(["chown", "-R", f"--reference={linked}", directory / "shelter" / "copied"], check=True)
    (directory / "shelter" / "copied").chmod(0o711)
    (copy / "postgres").unlink()
    (copy / "postgres").symlink_to(directory / "shelter" / "copied" / "postgres")
    _carry_out(str(refused.value).rpartition("and: ")[2])
    with original, embedded_in(copy) as of_copy:
        assert of_copy.url != original.url
        execute(of_copy.url, "CREATE TABLE of_copy ()")
        assert execute(original.url, "SELECT to_regclass('of_copy') IS NULL") == [(True,)]


@as_root
def test_a_moved_data_directory_is_used_after_the_step_that_is_told(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "_SHELTER", directory / "shelter")
    closed = directory / "closed"
    closed.mkdir(mode=0o700)
    with embedded_in(closed / "data") as embedded:
        execute(embedded.url, "CREATE TABLE kept AS SELECT 42 AS n")
    (closed / "data").rename(closed / "moved here")

    with pytest.raises(EmbeddedPostgresError, match="was moved here: echo ") as refused:
        embedded_in(closed / "moved here").start()
    _carry_out(str(refused.value).partition("was moved here: ")[2].partition(". If")[0])
    with embedded_in(closed / "moved here") as embedded:
        assert execute(embedded.url, "SELECT n FROM kept") == [(42,)]
    # One from an earlier release belongs to who comes first.
    ((closed / "moved here" / "postgres").resolve() / "data-directory").unlink()
    shutil.copytree(closed / "moved here", closed / "data", symlinks=True)
    with embedded_in(closed / "data"), pytest.raises(EmbeddedPostgresError, match="which is the database of"):
        embedded_in(closed / "moved here").start()


def _carry_out(command: str) -> None:
    subprocess.run(["sh", "-c", command], check=True)


@as_root
def test_programs_in_a_closed_directory_are_copied_once(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = directory / "closed"
    closed.mkdir(mode=0o700)
    original = programs._package()
    package = closed / original.name
    install = programs._INSTALLS[VERSION]
    shutil.copytree(original / install, package / install)
    shutil.copytree(original.with_name(f"{original.name}.libs"), closed / f"{original.name}.libs")
    monkeypatch.setattr(programs, "_package", lambda: package)
    data_dir = directory / "data"

    with embedded_in(data_dir) as embedded:
        assert execute(embedded.url, "SELECT 1") == [(1,)]
    copies = list((data_dir / "engine").iterdir())
    with embedded_in(data_dir) as embedded:
        assert execute(embedded.url, "SELECT to_tsvector('english', 'licences')::text") == [("'licenc':1",)]

    assert list((data_dir / "engine").iterdir()) == copies
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
