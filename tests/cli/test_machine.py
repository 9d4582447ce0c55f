"""What the doctor says of the machine: whose files, which disks, which ports, which key."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tabellion.cli.machine import Finding, machine
from tabellion.cli.root import app
from tabellion.platform.secrets import fingerprint
from tabellion.settings import Settings
from tests.support.api import free_port

_THEM = 4711


def found(settings: Settings) -> dict[str, Finding]:
    return {finding.check: finding for finding in machine(settings)}


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_the_key_is_told_by_its_fingerprint(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, port=free_port())
    assert found(settings)["key of secrets"].found == "not made yet"
    file = tmp_path / "secret.key"
    file.write_bytes(bytes(range(32)))
    file.chmod(0o600)
    ours = found(settings)["key of secrets"]
    assert (ours.state, ours.found) == ("ok", f"in the data directory, fingerprint {fingerprint('', tmp_path)}")
    file.chmod(0o640)
    opened = found(settings)["key of secrets"]
    assert (opened.state, "chmod 600" in opened.advice) == ("warning", True)
    set_ = found(Settings(data_dir=tmp_path, port=free_port(), secret_key="k" * 32))["key of secrets"]
    assert (set_.state, set_.found[:34]) == ("ok", "TABELLION_SECRET_KEY, fingerprint ")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_files_of_another_user_are_named(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    os.chown(tmp_path, _THEM, _THEM)
    (tmp_path / "postgres").mkdir()
    told = found(Settings(data_dir=tmp_path, port=free_port()))["data directory"]
    assert (told.state, told.found) == ("problem", f"{tmp_path} belongs to {_THEM}, but not spool (root)")
    assert f"chown -R {_THEM}" in told.advice
    os.chown(tmp_path / "spool", _THEM, _THEM)
    assert found(Settings(data_dir=tmp_path, port=free_port()))["data directory"].state == "ok"


def test_a_port_for_bounces_that_another_program_has_stops_the_server_and_is_told(
    tmp_path: Path, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TABELLION_INTAKE_PORT", str(taken))
    monkeypatch.setenv("TABELLION_PORT", str(free_port()))
    refused = CliRunner().invoke(app(), ["serve", "--data-dir", str(tmp_path / "data")])
    assert (refused.exit_code, f"127.0.0.1:{taken} (for bounces) cannot be listened on" in refused.stderr) == (1, True)
    assert "choose another with TABELLION_INTAKE_PORT" in refused.stderr
    listed = json.loads(CliRunner().invoke(app(), ["doctor", "--json", "--data-dir", str(tmp_path)]).stdout)
    (told,) = (one for one in listed if one["check"] == "port for bounces")
    assert (told["state"], told["advice"]) == ("problem", "choose another with TABELLION_INTAKE_PORT")
    assert not (tmp_path / "data").exists()


def test_where_there_is_no_database_it_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "mistyped"
    listed = json.loads(CliRunner().invoke(app(), ["doctor", "--json", "--data-dir", str(folder)]).stdout)
    (told,) = (one for one in listed if one["check"] == "database")
    assert (told["state"], told["found"]) == ("warning", f"there is none in {folder}")
    assert not folder.exists()


def test_each_disk_is_looked_at_once(tmp_path: Path) -> None:
    # A disk of memory, which every Linux has.
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "spool").symlink_to("/dev/shm")
    told = found(Settings(data_dir=tmp_path / "data", port=free_port()))
    assert sorted(check for check in told if check.startswith("disk")) == ["disk", "disk of the spool"]
