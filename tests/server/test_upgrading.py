"""Verbs of a new version on the data directory of an earlier one, whose server may still run."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from tabellion.cli.root import app
from tabellion.platform.database.migrate import migrate
from tabellion.platform.database.schema import MigrationError, load_migrations, state
from tabellion.server.claim import claimed
from tabellion.server.database import STARTING, prepare_database
from tabellion.server.embedded import EmbeddedPostgres
from tabellion.settings import Settings
from tests.support.postgres import VERSION


@contextmanager
def of_0_9(data_dir: Path) -> Iterator[None]:
    """A server of an earlier version runs on the data directory, as it says there itself."""
    with (data_dir / "serve.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("process 4711, http://127.0.0.1:8080")
        lock.flush()
        yield


def test_a_schema_is_not_changed_under_a_server_that_runs(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    small = {"shared_buffers": "16MB", "max_connections": "20"}
    told: list[str] = []
    with EmbeddedPostgres(settings.data_dir, version=VERSION, settings=small) as database:
        url = database.url
        migrate(url, migrations=load_migrations()[:-1])

        def prepare(*, beginning: bool = False) -> None:
            with ExitStack() as stack:
                prepare_database(settings, stack, beginning=beginning, tell=told.append)

        # A server that starts has its claim before it has brought the schema up to date: who stops it then begins anew.
        with (
            claimed(settings.data_dir, "http://127.0.0.1:8080"),
            pytest.raises(MigrationError, match=STARTING),
        ):
            prepare()
        with (
            claimed(settings.data_dir, "http://127.0.0.1:8080"),
            psycopg.connect(url, application_name="tabellion api"),
            pytest.raises(MigrationError, match="stop that one"),
        ):
            prepare()
        # Of an earlier version, while it stops, or while its API processes end at once, being of this one.
        with of_0_9(settings.data_dir), pytest.raises(MigrationError, match="stop that one"):
            prepare()
        # Of a release that had no lock.
        with psycopg.connect(url, application_name="tabellion gate"), pytest.raises(MigrationError, match="stop that one"):
            prepare()
        assert state(url).pending
        assert told == []

        def finding() -> tuple[str, str]:
            listed = json.loads(CliRunner().invoke(app(), ["doctor", "--json", "--data-dir", str(settings.data_dir)]).stdout)
            (found,) = (one for one in listed if one["check"] == "schema")
            return found["found"], found["advice"]

        advice = "start the server anew with this version, which brings it up to date"
        assert finding() == ("1 migration behind", advice)
        with claimed(settings.data_dir, "http://127.0.0.1:8080"):
            assert finding() == ("1 migration behind", STARTING)
        with of_0_9(settings.data_dir):
            assert finding() == ("1 migration behind", advice)

        with claimed(settings.data_dir, "http://127.0.0.1:8080"):
            prepare(beginning=True)
        assert told == [f"the database's schema is brought up to date: {load_migrations()[-1].label}"]
        with psycopg.connect(url, application_name="tabellion gate"):
            prepare()  # there is nothing to do any more


@pytest.mark.parametrize("verb", [("licence", "list"), ("jobs", "list")], ids=" ".join)
def test_a_verb_that_brings_the_schema_up_to_date_says_so(tmp_path: Path, verb: tuple[str, ...]) -> None:
    small = {"shared_buffers": "16MB", "max_connections": "20"}
    with EmbeddedPostgres(tmp_path / "data", version=VERSION, settings=small) as database:
        migrate(database.url, migrations=load_migrations()[:-1])
        first, second = (
            CliRunner().invoke(app(), [*verb, "--json", "--data-dir", str(tmp_path / "data")]) for _ in range(2)
        )
    said = f"tabellion: the database's schema is brought up to date: {load_migrations()[-1].label}"
    assert said in first.stderr.splitlines()
    assert (first.exit_code, json.loads(first.stdout)) == (0, [])
    assert "brought up to date" not in second.stderr
