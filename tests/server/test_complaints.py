"""What an operator reads when PostgreSQL does not start."""

from pathlib import Path
from typing import NamedTuple

import pytest

from tabellion.server.postgres import complaints as module
from tabellion.server.postgres.complaints import complaints

_BEGUN = """2026-11-26 19:41:32.225 UTC [27196] LOG:  redirecting log output to logging collector process
2026-11-26 19:41:32.225 UTC [27196] HINT:  Future log output will appear in directory "log".
"""
_FULL = """2026-11-26 19:41:32.230 UTC [27205] LOG:  database system was not properly shut down; automatic recovery in progress
2026-11-26 19:41:32.331 UTC [27205] FATAL:  could not write to file "pg_wal/xlogtemp.27205": No space left on device
2026-11-26 19:41:32.332 UTC [27196] LOG:  startup process (PID 27205) exited with exit code 1
"""


class _Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    (tmp_path / "log").mkdir()
    (tmp_path / "startup.log").write_text(_BEGUN)
    (tmp_path / "log" / "postgresql-20261126-194000.log").write_text(
        "2026-11-26 19:40:00 UTC [1] FATAL:  an earlier reason\n"
    )
    return tmp_path


def test_the_reason_comes_from_the_newest_log_and_a_full_disk_is_told(cluster: Path) -> None:
    (cluster / "log" / "postgresql-20261126-194132.log").write_text(_FULL)
    first, second = complaints(cluster).splitlines()
    assert first.endswith('FATAL:  could not write to file "pg_wal/xlogtemp.27205": No space left on device')
    assert second.startswith(f"The disk of {cluster} is full (")
    assert "make room" in second


def test_who_knocks_meanwhile_does_not_hide_the_reason(cluster: Path) -> None:
    knocks = (
        "2026-11-26 19:41:32.331 UTC [7] [unknown] FATAL:  the database system is starting up\n"
        "2026-11-26 19:41:32.332 UTC [8] [unknown] FATAL:  the database system is not yet accepting connections\n"
        "2026-11-26 19:41:32.332 UTC [8] [unknown] DETAIL:  Consistent recovery state has not been yet reached.\n"
    )
    (cluster / "log" / "postgresql-20261126-194132.log").write_text(_FULL + knocks * 20)
    first, second = complaints(cluster).splitlines()
    assert "could not write to file" in first
    assert second.startswith("The disk of ")


def test_a_full_disk_is_told_when_no_log_could_be_written(cluster: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cluster / "log" / "postgresql-20261126-194132.log").touch()
    assert complaints(cluster) == ""
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: _Usage(10**9, 10**9, 1024**2))  # pyright: ignore[reportUnknownLambdaType]
    assert "is full (1 MB free)" in complaints(cluster)


def test_what_was_said_before_there_was_a_log_is_shown_as_it_is(cluster: Path) -> None:
    (cluster / "startup.log").write_text("2026-11-26 19:41:32 UTC [1] LOG:  invalid value for parameter\n")
    assert complaints(cluster).endswith("LOG:  invalid value for parameter")
