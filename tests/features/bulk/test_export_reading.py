"""Reading the rows of an export by two connections: all rows, in order, of one moment; errors and endings arrive."""

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from tabellion.features.bulk.exports.reading import Rows, read

ROWS = 20_000
# Two rows to a page of 8 kB: five stretches.
FILL = "x" * 3000


@pytest.fixture
def db(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute("CREATE TABLE wide (id int, fill text)")
        db.execute("ALTER TABLE wide ALTER fill SET STORAGE PLAIN")
        db.execute("INSERT INTO wide SELECT i, %s FROM generate_series(1, %s) i", (FILL, ROWS))
        yield db


def rows(columns: str = "id", condition: str = "true", options: str = "(FORMAT csv)") -> Rows:
    return Rows(sql.SQL(columns), sql.Identifier("wide"), sql.SQL(condition), sql.SQL(options))  # type: ignore[arg-type]


def reading(url: str, what: Rows, stopped: threading.Event | None = None) -> Iterator[tuple[bytes, int]]:
    return read(url, what, lambda _: None, stopped.is_set if stopped else lambda: False)


def test_every_row_comes_once_and_in_order(database_url: str, db: psycopg.Connection) -> None:
    pieces = list(reading(database_url, rows()))
    assert b"".join(text for text, _ in pieces) == b"".join(b"%d\n" % n for n in range(1, ROWS + 1))
    assert sum(count for _, count in pieces) == ROWS


def test_a_condition_holds_for_all_stretches(database_url: str, db: psycopg.Connection) -> None:
    text = b"".join(text for text, _ in reading(database_url, rows(condition="(id % 1000 = 0)")))
    assert text.split() == [b"%d" % n for n in range(1000, ROWS + 1, 1000)]


def test_both_connections_see_the_same_moment(database_url: str, db: psycopg.Connection) -> None:
    pieces = reading(database_url, rows("id, fill"))
    first = next(pieces)
    db.execute("DELETE FROM wide WHERE id > %s", (ROWS // 4,))
    db.execute("INSERT INTO wide SELECT i, %s FROM generate_series(1, 10) i", (FILL,))
    db.execute("VACUUM wide")
    assert first[1] + sum(count for _, count in pieces) == ROWS


@pytest.mark.parametrize("broken", [1, ROWS // 3, ROWS])
def test_an_error_in_any_stretch_arrives(database_url: str, db: psycopg.Connection, broken: int) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        list(reading(database_url, rows(f"1 / (id - {broken})")))


def test_who_stops_taking_rows_ends_the_reading(database_url: str, db: psycopg.Connection) -> None:
    pieces = reading(database_url, rows("id, fill, repeat(fill, 3)"))
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if t.name == "export reader"]
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    deadline = time.monotonic() + 10
    while db.execute(query).fetchone() != (0,):
        assert time.monotonic() < deadline, "a connection was left behind"
        time.sleep(0.02)


def test_a_stop_from_outside_cancels_the_statements(database_url: str, db: psycopg.Connection) -> None:
    stopped = threading.Event()
    pieces = reading(database_url, rows("id, pg_sleep(CASE WHEN id > 100 THEN 1 ELSE 0 END)"), stopped)
    stopped.set()
    with pytest.raises(psycopg.errors.QueryCanceled):
        list(pieces)
