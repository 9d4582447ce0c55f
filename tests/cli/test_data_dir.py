"""Verbs on a data directory where there is no installation: a mistyped one must not look like an empty server."""

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


def test_a_list_from_an_own_database_leaves_nothing_behind(database_url: str) -> None:
    shown = run("licence", "list", "--database-url", database_url, "--data-dir", "typo", "--json")
    assert (shown.exit_code, shown.stdout.strip()) == (0, "[]")
