"""Verbs on a data directory where there is no installation: a mistyped one must not look like an empty server."""

import json
import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tabellion.cli.root import app
from tests.support.api import free_port

_runner = CliRunner()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Nothing is set but ports that are free."""
    for name in ("TABELLION_DATABASE_URL", "TABELLION_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("TABELLION_PORT", "TABELLION_INTAKE_PORT"):
        monkeypatch.setenv(name, str(free_port()))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "guests.csv").write_text("emailAddress\nann@example.com\n")
    yield tmp_path
    assert [path.name for path in tmp_path.iterdir()] == ["guests.csv"]


def run(*arguments: str) -> Result:
    result = _runner.invoke(app(), list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.mark.parametrize(
    "arguments",
    [
        ("licence", "list"),
        ("licence", "create", "harbour"),
        ("licence", "analyst", "harbour"),
        ("jobs", "list"),
        ("import", "guests.csv", "--licence", "harbour", "--table", "Guests"),
        ("suppression", "list", "harbour"),
        ("migrate",),
        ("backup",),
        ("resume",),
        ("api",),
        ("worker",),
        ("intake",),
    ],
    ids=" ".join,
)
def test_it_says_where_it_has_looked_and_makes_nothing(elsewhere: Path, arguments: tuple[str, ...]) -> None:
    refused = run(*arguments, "--data-dir", "typo")
    assert refused.exit_code == 1, refused.stdout
    assert f"there is no installation in {elsewhere / 'typo'}: " in refused.stderr
    assert f"tabellion serve --data-dir {elsewhere / 'typo'}" in refused.stderr
    # The folder that is meant when none is named.
    assert str(elsewhere / "tabellion-data") in run(*arguments).stderr


@pytest.mark.parametrize("content", [b"", b"x", b"k" * 33], ids=["empty", "cut", "long"])
@pytest.mark.parametrize("command", [("serve",), ("api",), ("worker",)], ids=" ".join)
def test_a_damaged_key_of_secrets_stops_the_server_in_one_line(
    tmp_path: Path, elsewhere: Path, database_url: str, command: tuple[str, ...], content: bytes
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "secret.key").write_bytes(content)
    try:
        refused = run(*command, "--data-dir", str(folder), "--database-url", database_url)
        listed = run("doctor", "--json", "--data-dir", str(folder), "--database-url", database_url)
    finally:
        (folder / "secret.key").unlink()
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"tabellion: {folder}/secret.key is damaged: a key has 32 bytes, and this file ")
    assert refused.stderr.count("\n") == 1
    assert "from a backup" in refused.stderr
    (found,) = (one for one in json.loads(listed.stdout) if one["check"] == "key of secrets")
    assert (found["state"], listed.exit_code) == ("problem", 1)
    assert "secret.key is damaged" in found["found"]


def test_a_folder_for_transfers_that_is_not_there_is_told(
    database_url: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TABELLION_TRANSFERS_FOLDER", str(elsewhere / "none"))
    refused = run("serve", "--database-url", database_url)
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert f"TABELLION_TRANSFERS_FOLDER: there is no folder {elsewhere / 'none'}" in refused.stderr
    listed = json.loads(run("doctor", "--json", "--database-url", database_url).stdout)
    assert [one["state"] for one in listed if one["check"] == "folders"] == ["problem"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_the_doctor_tells_a_user_without_rights_whom_to_be(elsewhere: Path) -> None:
    ours, theirs = multiprocessing.Pipe()
    elsewhere.chmod(0o700)
    run("doctor", "--json")  # all is imported by now: another user may not reach the files of this program

    def work() -> None:
        os.setgroups([])
        os.setuid(65534)
        theirs.send(run("doctor", "--json", "--data-dir", str(elsewhere / "data")).stdout)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    theirs.close()
    found = {one["check"]: one for one in json.loads(ours.recv())}
    process.join(60)
    for check in ("data directory", "key of secrets", "database"):
        assert found[check]["state"] == "problem"
        assert "Permission denied" in found[check]["found"]
        assert "run it as the user whom the server runs as" in found[check]["advice"]


def test_the_doctor_warns_of_a_key_that_can_be_guessed(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, state in (("hunter2", "warning"), ("7Zk2mQv9rT4xWcB8nLp3sYd6", "ok")):
        monkeypatch.setenv("TABELLION_SECRET_KEY", key)
        listed = json.loads(run("doctor", "--json", "--database-url", database_url).stdout)
        assert [one["state"] for one in listed if one["check"] == "key of secrets"] == [state]
        assert key not in str(listed)


def test_a_list_from_an_own_database_leaves_nothing_behind(database_url: str) -> None:
    shown = run("licence", "list", "--database-url", database_url, "--data-dir", "typo", "--json")
    assert (shown.exit_code, shown.stdout.strip()) == (0, "[]")
