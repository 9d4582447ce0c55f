"""What a verb says of what the database or the system refuses: one line, with what to do."""

import errno
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import typer
from psycopg import errors

from tabellion.cli.common import clear_errors
from tabellion.cli.refusals import told_of_database, told_of_system


def said(error: BaseException, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(typer.Exit) as left, clear_errors():
        raise error
    assert left.value.exit_code == 1
    return capsys.readouterr().err.removeprefix("tabellion: ").rstrip("\n")


@pytest.fixture
def db(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url) as db:
        yield db


def test_who_waits_in_vain_reads_that_and_not_that_the_database_is_away(
    db: psycopg.Connection[Any], database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("LOCK TABLE tabellion.licence")
    with psycopg.connect(database_url) as other:
        for setting, begins in (
            ("lock_timeout", "others hold what this has waited for in vain: "),
            ("statement_timeout", "the database gave this up because it took too long: "),
        ):
            other.execute(f"SET {setting} = '10ms'".encode())
            with pytest.raises(psycopg.Error) as met:
                other.execute("SELECT FROM tabellion.licence")
            other.rollback()
            told = said(met.value, capsys)
            assert told.startswith(f"{begins}what was not finished is undone; run it again")


@pytest.mark.parametrize("error", [errors.DeadlockDetected("deadlock detected"), errors.SerializationFailure("could not")])
def test_who_had_to_give_way_reads_what_to_do(error: psycopg.Error, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(error, capsys) == (
        "others were at work on the same at the same moment, and the database let them go first: "
        "what was not finished is undone; run it again"
    )


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full: make room, and run it again"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), "/x/y: Permission denied"),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/x/y"), "/x/y: the disk is full: make room, and run it again"),
        (OSError("no number"), "no number"),
    ],
)
def test_the_system_speaks_without_numbers(error: OSError, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(error, capsys) == told


def test_who_can_go_on_is_not_told_to_begin_anew() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    assert told_of_system(full, "jobs retry 7 goes on") == "the disk is full: make room, and jobs retry 7 goes on"
    assert told_of_database(errors.DiskFull("full"), "jobs retry 7 goes on") == (
        "the disk of the database is full: jobs retry 7 goes on once there is room"
    )
