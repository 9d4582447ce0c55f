"""The verbs in this process, on a database of the test."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tabellion.cli.root import app

Verb = Callable[..., Result]


@pytest.fixture
def verb(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Verb:
    """Run a verb; `stdin` is what is typed."""
    monkeypatch.setenv("TABELLION_DATABASE_URL", database_url)
    runner = CliRunner()

    def run(*arguments: str, stdin: str | bytes = "") -> Result:
        result = runner.invoke(app(), list(arguments), input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


@pytest.fixture
def told(verb: Verb) -> Callable[..., Any]:
    """What a verb prints with `--json`."""

    def run(*arguments: str, stdin: str | bytes = "") -> Any:
        result = verb(*arguments, "--json", stdin=stdin)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return run


@pytest.fixture
def refused(verb: Verb) -> Callable[..., str]:
    """The one line that a verb prints when it cannot do what it is asked; its status is 1."""

    def run(*arguments: str, stdin: str | bytes = "") -> str:
        result = verb(*arguments, stdin=stdin)
        assert result.exit_code == 1, result.stdout
        assert result.stdout == ""
        assert result.stderr.startswith("tabellion: ")
        assert result.stderr.count("\n") == 1
        return result.stderr.removeprefix("tabellion: ").rstrip("\n")

    return run
