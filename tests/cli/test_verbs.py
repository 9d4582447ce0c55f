"""The verbs that are about the server itself."""

import errno
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from tabellion import __version__
from tabellion.cli.root import app, main
from tabellion.platform.database.schema import load_migrations
from tabellion.server.calls import CALLS
from tests.support.certificates import Authority
from tests.support.database_proxy import with_tls
from tests.support.postgres import Cluster, database_name

_runner = CliRunner()
AT = datetime(2027, 3, 1, tzinfo=UTC)


def _verbs(group: Any, *path: str) -> list[tuple[str, ...]]:
    commands = getattr(group, "commands", None)
    if commands is None:
        return [path]
    return [path, *(found for name, command in commands.items() for found in _verbs(command, *path, name))]


@pytest.mark.parametrize("path", _verbs(typer.main.get_command(app())), ids=" ".join)
def test_every_verb_has_help(path: tuple[str, ...]) -> None:
    shown = _runner.invoke(app(), [*path, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert "Usage:" in shown.stdout
    first = shown.stdout.split("Usage:")[1].splitlines()[2].strip()
    assert first.endswith(".") or "." in first, "a sentence says what it does"


# What these print is JSON already (logs, the document), a file (`suppression list --json` has the same), or a walk for people.
_WITHOUT_JSON = {
    ("serve",), ("api",), ("worker",), ("intake",), ("openapi",), ("suppression", "export"), ("demo",),
}  # fmt: skip


def test_every_other_verb_answers_scripts_in_json() -> None:
    root = typer.main.get_command(app())
    without: set[tuple[str, ...]] = set()
    for path in _verbs(root):
        command: Any = root
        for name in path:
            command = command.commands[name]
        if not hasattr(command, "commands") and not any("--json" in parameter.opts for parameter in command.params):
            without.add(path)
    assert without == _WITHOUT_JSON


def test_a_licence_in_the_wrong_place_is_told(verb: Callable[..., Result]) -> None:
    refused = verb("jobs", "list", "harbour")
    assert (refused.exit_code, refused.stderr) == (
        1, "tabellion: the licence is an option here: tabellion jobs list --licence harbour\n",
    )  # fmt: skip


def test_the_verbs_that_operators_were_promised() -> None:
    verbs = {" ".join(path) for path in _verbs(typer.main.get_command(app()))}
    assert verbs >= {
        "serve", "api", "worker", "migrate", "doctor", "demo", "openapi", "settings", "version",
        "licence create", "licence list", "licence show", "licence limits", "licence delete",
        "entity create", "entity list", "user create", "user list", "user rotate", "user revoke",
        "table list", "table show", "audit", "backup", "restore", "resume",
    }  # fmt: skip


def test_a_wrong_option_is_told_with_the_usage() -> None:
    shown = _runner.invoke(app(), ["licence", "create", "--colour", "red"])
    assert shown.exit_code == 2
    assert "No such option: --colour" in shown.stderr


def test_everything_names_the_same_version() -> None:
    root = Path(__file__).parents[2]
    newest = re.search(r"^## (?!Unreleased)(\S+)", (root / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    assert newest[1] == __version__ == metadata.version("tabellion")
    assert _runner.invoke(app(), ["--version"]).stdout == f"tabellion {__version__}\n"
    assert json.loads(_runner.invoke(app(), ["openapi"]).stdout)["info"]["version"] == __version__


def test_version_and_settings() -> None:
    assert json.loads(_runner.invoke(app(), ["version", "--json"]).stdout) == {"version": __version__}
    listed = json.loads(_runner.invoke(app(), ["settings", "--json"], env={"TABELLION_PORT": "9000"}).stdout)
    port = next(one for one in listed if one["variable"] == "TABELLION_PORT")
    assert port == {
        "variable": "TABELLION_PORT", "help": "port to listen on", "unit": "port", "default": 8080, "value": 9000,
    }  # fmt: skip


def test_a_wrong_setting_is_told_in_one_line() -> None:
    shown = _runner.invoke(app(), ["settings"], env={"TABELLION_PORT": "abc"})
    assert shown.exit_code == 1
    assert shown.stderr == "tabellion: TABELLION_PORT: 'abc' is not a whole number\n"


def test_the_openapi_document_describes_every_call() -> None:
    document = json.loads(_runner.invoke(app(), ["openapi"]).stdout)
    described = {operation["operationId"] for path in document["paths"].values() for operation in path.values()}
    assert len(described) >= len({call.id for call in CALLS})


def test_migrate_says_what_it_did(empty_database_url: str) -> None:
    command = ["migrate", "--database-url", empty_database_url, "--json"]
    first = json.loads(_runner.invoke(app(), command).stdout)["applied"]
    assert first[0] == "0001_core"
    assert first[-1] == "jobs_schema"
    assert json.loads(_runner.invoke(app(), command).stdout) == {"applied": []}
    newest = load_migrations()[-1].version
    assert _runner.invoke(app(), command[:-1]).stdout == f"the schema is up to date ({newest:04d})\n"


def test_a_database_that_cannot_be_reached_is_told_in_one_line() -> None:
    shown = _runner.invoke(app(), ["licence", "list", "--database-url", "postgresql://x@127.0.0.1:1/x"])
    assert shown.exit_code == 1
    assert shown.stderr.startswith("tabellion: the database cannot be reached: ")
    assert shown.stderr.count("\n") == 1


def test_a_data_directory_that_cannot_be_one_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    shown = _runner.invoke(app(), ["licence", "list", "--data-dir", str(tmp_path / "file")])
    assert shown.exit_code == 1
    assert shown.stderr.count("\n") == 1
    assert "file" in shown.stderr


def findings(result: Result) -> dict[str, dict[str, str]]:
    return {one["check"]: one for one in json.loads(result.stdout)}


def test_the_doctor_finds_nothing_wrong_with_a_good_database(verb: Callable[..., Result]) -> None:
    # The suite's server has fsync off, and the doctor says so.
    result = verb("doctor", "--json")
    found = findings(result)
    assert {name for name, one in found.items() if one["state"] == "problem"} == {"fsync"}
    assert result.exit_code == 1
    assert "set fsync = on" in found["fsync"]["advice"]
    assert found["schema"]["state"] == "ok"
    assert (found["backup"]["state"], "tabellion backup" in found["backup"]["advice"]) == ("ok", True)


def test_the_doctor_warns_of_a_restored_server_without_the_key_of_its_backup(database_url: str, tmp_path: Path) -> None:
    with psycopg.connect(database_url) as db:
        db.execute("INSERT INTO tabellion.server_hold (backup_at, restored_at) VALUES (%s, %s)", (AT, AT))
    command = ["doctor", "--json", "--database-url", database_url, "--data-dir", str(tmp_path)]

    without = findings(_runner.invoke(app(), command))
    (tmp_path / "secret.key").write_bytes(b"k" * 32)
    with_key = findings(_runner.invoke(app(), command))

    assert without["restored key"]["state"] == "warning"
    assert "put the secret.key of the server of the backup" in without["restored key"]["advice"]
    assert (with_key["restored"]["state"], "restored key" in with_key) == ("warning", False)
    verb = f"tabellion resume --data-dir {tmp_path} --database-url URL"
    assert with_key["restored"]["advice"].endswith(f"until you run: {verb}")


def test_a_verb_that_seals_nothing_makes_no_key(database_url: str, tmp_path: Path) -> None:
    """Made here, in the place of a backup's, it would take the doctor's warning away, and open nothing."""
    command = ["jobs", "errors", "1", "--out", str(tmp_path / "rows.csv"), "--database-url", database_url]
    looked = _runner.invoke(app(), [*command, "--data-dir", str(tmp_path)])
    assert (looked.exit_code, looked.stderr) == (1, "tabellion: there is no import 1\n")
    assert not (tmp_path / "secret.key").exists()


def test_ctrl_c_before_a_verb_has_begun_shows_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tabellion.cli.root.import_module", interrupted)
    monkeypatch.setattr("sys.argv", ["tabellion", "backup"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 130
    assert capsys.readouterr().err == "tabellion: interrupted\n"


def test_another_error_of_the_system_is_not_taken_for_a_lost_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a process that may open no more files: such an error names no file either."""

    def refused(_: str) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("tabellion.cli.root.import_module", refused)
    monkeypatch.setattr("sys.argv", ["tabellion", "backup"])
    with pytest.raises(OSError, match="Too many open files"):
        main()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_an_output_that_finds_no_room_is_an_error_in_a_line() -> None:
    with Path("/dev/full").open("wb") as full:
        told = subprocess.run(
            [sys.executable, "-m", "tabellion", "version", "--json"], check=False, stdout=full, stderr=subprocess.PIPE,
            text=True, env={**os.environ, "PYTHONUNBUFFERED": ""},
        )  # fmt: skip
    assert (told.returncode, told.stderr) == (1, "tabellion: the output was not written: No space left on device\n")


def test_no_socket_is_taken_for_a_standard_stream_that_was_closed() -> None:
    # libuv ends a process that closes a socket with such a number.
    program = """
import atexit, os, socket
from tabellion.cli import main
atexit.register(lambda: os._exit(socket.socket().fileno()))
main()
"""
    closed = ["sh", "-c", 'exec "$0" -c "$1" version <&- >&- 2>&-', sys.executable, program]

    assert subprocess.run(closed, check=False).returncode > 2


def test_the_doctor_says_how_to_mend_a_database_without_schema(empty_database_url: str) -> None:
    result = _runner.invoke(app(), ["doctor", "--json", "--database-url", empty_database_url])
    assert result.exit_code == 1
    assert findings(result)["schema"]["advice"] == "run: tabellion migrate"


def test_the_doctor_tells_what_it_has_found_before_the_database_refuses(database_url: str) -> None:
    with psycopg.connect(database_url) as db:
        db.execute("REVOKE USAGE ON SCHEMA jobs FROM current_user")
    result = _runner.invoke(app(), ["doctor", "--json", "--database-url", database_url])
    assert result.exit_code == 1
    said = [one for one in json.loads(result.stdout) if one["check"] == "database"]
    assert [one["state"] for one in said] == ["ok", "problem"]
    assert "permission denied for schema jobs" in said[1]["found"]
    assert "owns the tables" in said[1]["advice"]
    assert "disk" in findings(result)


@pytest.mark.parametrize("verb", ["migrate", "serve", "licence list"])
def test_a_database_that_is_not_unicode_is_refused(verb: str, latin1_url: str, tmp_path: Path) -> None:
    result = _runner.invoke(app(), [*verb.split(), "--database-url", latin1_url, "--data-dir", str(tmp_path)])
    assert result.exit_code == 1
    assert "the encoding of the database is LATIN1" in result.stderr
    assert "make the database anew with ENCODING 'UTF8'" in result.stderr
    found = findings(_runner.invoke(app(), ["doctor", "--json", "--database-url", latin1_url]))
    assert found["encoding"]["state"] == "problem"
    with psycopg.connect(latin1_url) as db:
        assert db.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'tabellion'").fetchone() == (0,)


@pytest.fixture
def latin1_url(cluster: Cluster) -> Iterator[str]:
    name = database_name("latin1")
    with psycopg.connect(cluster.superuser("postgres"), autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'".encode())
    yield cluster.application(name)
    cluster.drop(name)


@pytest.mark.parametrize("verb", ["migrate", "serve", "doctor --json"])
def test_a_pooler_that_takes_no_settings_is_told_of_as_that(verb: str, tmp_path: Path) -> None:
    """It answers as PgBouncer does."""
    refusal = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"
    with socket.create_server(("127.0.0.1", 0)) as pooler:

        def refuse() -> None:
            with suppress(OSError):
                while True:
                    client, _ = pooler.accept()
                    with client:
                        client.recv(10_000)
                        client.sendall(b"E" + (len(refusal) + 4).to_bytes(4) + refusal)

        answering = threading.Thread(target=refuse)
        answering.start()
        url = f"postgresql://t@127.0.0.1:{pooler.getsockname()[1]}/t?sslmode=disable&gssencmode=disable"
        result = _runner.invoke(app(), [*verb.split(), "--database-url", url, "--data-dir", str(tmp_path)])
        pooler.shutdown(socket.SHUT_RDWR)
        answering.join()
    assert result.exit_code == 1
    assert "have the URL name PostgreSQL itself" in result.output


def test_the_doctor_names_mistyped_variables_and_an_unreachable_database() -> None:
    command = ["doctor", "--json", "--database-url", "postgresql://x@127.0.0.1:1/x"]
    result = _runner.invoke(app(), command, env={"TABELLION_PROT": "9000"})
    assert result.exit_code == 1
    found = findings(result)
    mistyped = [(one["state"], one["found"]) for one in json.loads(result.stdout) if one["check"] == "environment"]
    assert ("warning", "TABELLION_PROT") in mistyped
    assert found["database"]["state"] == "problem"
    assert found["database"]["advice"].startswith("check the URL")


def test_the_doctor_says_what_to_do_about_a_certificate_that_is_not_believed(database_url: str, tmp_path: Path) -> None:
    stranger, authority = Authority(tmp_path, "stranger"), Authority(tmp_path)
    with with_tls(database_url, authority.server("localhost")) as url:
        for root, host, advice in (
            (stranger, "localhost", "'sslrootcert' in the URL names the file of the authority"),
            (authority, "127.0.0.1", "the URL names another host than the certificate"),
        ):
            asked = f"{url.replace('HOST', host)}?sslmode=verify-full&sslrootcert={root.certificate}"
            found = findings(_runner.invoke(app(), ["doctor", "--json", "--database-url", asked]))
            assert advice in found["database"]["advice"]


def test_the_doctor_warns_when_the_database_has_too_few_connections(database_url: str) -> None:
    env = {"TABELLION_WORKERS": "64", "TABELLION_CONNECTIONS": "200"}
    found = findings(_runner.invoke(app(), ["doctor", "--json", "--database-url", database_url], env=env))
    assert found["connections"]["state"] == "warning"
    assert found["connections"]["found"].startswith("12883 wanted")


def test_the_doctor_tells_a_host_that_is_not_here_from_a_port_in_use(database_url: str) -> None:
    command = ["doctor", "--json", "--database-url", database_url]
    found = findings(_runner.invoke(app(), command, env={"TABELLION_HOST": "192.0.2.1"}))["port"]
    assert found["state"] == "problem"
    assert "in use" not in found["found"]
    assert found["advice"].startswith("give --host an address of this machine")
