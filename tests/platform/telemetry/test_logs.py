"""Log lines: JSON, and nothing in them that somebody has stored, sent or keeps secret."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg_pool import PoolTimeout

from tabellion.platform.database.pool import open_pool
from tabellion.platform.telemetry import Seldom, configure_logs, logs

_log = logging.getLogger("tabellion.test")


@pytest.fixture
def start() -> Callable[[], None]:
    """To be called in the test: pytest has another error stream before."""
    return lambda: configure_logs("info")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    text = capsys.readouterr().err
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_has_time_level_logger_and_message(start: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> None:
    start()
    _log.info("deleted %d rows", 3)
    (line,) = lines(capsys)
    assert line.pop("time").endswith("Z")
    assert line == {"event": "deleted 3 rows", "level": "info", "logger": "tabellion.test"}


def test_a_line_can_be_written_whatever_it_holds(start: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> None:
    start()
    _log.warning("no folder %s\nfor caf\u00e9", "/data/\udcff")
    (line,) = lines(capsys)
    assert line["event"] == "no folder /data/\udcff\nfor caf\u00e9"


def test_an_exception_is_told_without_message_and_local_variables(
    start: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    start()

    def work(password: str) -> None:
        raise ValueError(f"wrong: {password}")

    try:
        work("hunter2")
    except ValueError:
        _log.exception("the work failed")
    text = capsys.readouterr().err
    line = json.loads(text)
    assert line["error"] == "ValueError"
    assert line["trace"][-1].endswith(" work")
    assert "hunter2" not in text


def test_a_database_error_does_not_quote_values(
    start: Callable[[], None], capsys: pytest.CaptureFixture[str], worker_database_url: str
) -> None:
    start()
    with psycopg.connect(worker_database_url) as db:
        try:
            db.execute("SELECT %s::int", ("ann@example.com",))
        except psycopg.Error:
            _log.exception("the statement failed")
    text = capsys.readouterr().err
    assert json.loads(text)["error"] == "InvalidTextRepresentation"
    assert "ann@example.com" not in text


def test_the_reason_of_a_lost_connection_is_told(
    start: Callable[[], None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    start()
    try:
        psycopg.connect(f"postgresql://nobody@/none?host={tmp_path}")
    except psycopg.OperationalError:
        _log.exception("no database")
    (line,) = lines(capsys)
    assert "No such file or directory" in line["reason"]


async def test_a_database_that_is_away_is_told_of_once_and_not_by_each_connection(
    start: Callable[[], None], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    monkeypatch.setattr(logs, "_away", Seldom())
    with pytest.raises(PoolTimeout):
        await open_pool(f"postgresql://nobody@/none?host={tmp_path}", min_size=4, max_size=4, wait_s=0.1)
    (line,) = lines(capsys)
    assert line["event"].startswith("error connecting in 'tabellion': ")
    assert "No such file or directory" in line["event"]


def test_libraries_that_tell_of_everything_are_kept_quiet(
    start: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    start()
    logging.getLogger("procrastinate.worker").info("job 1 started")
    logging.getLogger("psycopg.pool").info("connection 1 given")
    logging.getLogger("procrastinate.worker").warning("job 1 failed")
    assert [line["event"] for line in lines(capsys)] == ["job 1 failed"]
