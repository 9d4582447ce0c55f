"""Reading the rows of an export from the database: by two connections in turns where the whole table is read.

Turning rows into text takes the database longer than reading them, and one connection keeps one processor busy. Both see the
same snapshot, and what they send comes in the order of the table: while the rows of one stretch of pages are written to the
file, the other connection reads the next stretch.
"""

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from tabellion.platform.database.copying import copy_out

_PAGES = 1024
_PIECES = 16
_WORTH_IT_PAGES = 2 * _PAGES
_LOOK_EVERY_S = 0.5
_Connection = psycopg.Connection[Any]


class Rows(NamedTuple):
    """What is read: `SELECT <columns> FROM <relation> t WHERE <condition>`, written by COPY as `options` say."""

    columns: sql.Composable
    relation: sql.Composable
    condition: sql.Composable
    options: sql.Composable

    def query(self) -> sql.Composed:
        """The statement without COPY."""
        return sql.SQL("SELECT {} FROM {} t WHERE {}").format(self.columns, self.relation, self.condition)

    def copy(self, first: int | None = None, end: int | None = None) -> sql.Composed:
        """COPY of the rows from page `first` until before page `end`."""
        query = self.query()
        if first is not None:
            query += sql.SQL(" AND t.ctid >= {}::tid").format(sql.Literal(f"({first:d},0)"))
        if end is not None:
            query += sql.SQL(" AND t.ctid < {}::tid").format(sql.Literal(f"({end:d},0)"))
        return sql.SQL("COPY ({}) TO STDOUT {}").format(query, self.options)


def read(
    conninfo: str, rows: Rows, expect: Callable[[int], None], is_stopped: Callable[[], bool]
) -> Generator[tuple[bytes, int]]:
    """The rows of one moment as pieces of text with the number of rows in each.

    `expect` is told how many rows the database's planner believes in. Raises `psycopg.Error`.
    """
    with ExitStack() as stack:
        db = stack.enter_context(psycopg.connect(conninfo))
        db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        plan = _plan(db, rows)
        expect(int(plan["Plan Rows"]))
        pages = _pages(db, rows)
        if plan["Node Type"] != "Seq Scan" or pages < _WORTH_IT_PAGES:
            yield from copy_out(db, rows.copy().as_bytes(db), is_stopped)
            return
        second = stack.enter_context(psycopg.connect(conninfo))
        snapshot: Any = db.execute("SELECT pg_export_snapshot()").fetchone()
        second.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        second.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot[0])))
        starts = range(0, pages, _PAGES)
        # The last stretch has no end: rows that the snapshot sees may stand behind the pages that were counted.
        statements = [rows.copy(first, first + _PAGES if first != starts[-1] else None) for first in starts]
        readers = [_Reader(each, statements[n::2], is_stopped) for n, each in enumerate((db, second))]
        with readers[0], readers[1]:
            for number in range(len(statements)):
                yield from readers[number % 2].stretch()


def _plan(db: _Connection, rows: Rows) -> dict[str, Any]:
    found: Any = db.execute(sql.SQL("EXPLAIN (FORMAT JSON) {}").format(rows.query())).fetchone()
    return found[0][0]["Plan"]


def _pages(db: _Connection, rows: Rows) -> int:
    query = sql.SQL("SELECT pg_relation_size({}::regclass) / current_setting('block_size')::int")
    found: Any = db.execute(query.format(sql.Literal(rows.relation.as_string(db)))).fetchone()
    return found[0]


class _Reader:
    """A thread that reads stretches over its connection, a little ahead of who takes them."""

    def __init__(self, db: _Connection, statements: list[sql.Composed], is_stopped: Callable[[], bool]) -> None:
        self._db = db
        self._statements = statements
        self._given_up = threading.Event()
        self._is_stopped = lambda: self._given_up.is_set() or is_stopped()
        self._pieces: queue.Queue[tuple[bytes, int] | Exception | None] = queue.Queue(_PIECES)
        self._thread = threading.Thread(target=self._work, name="export reader")

    def stretch(self) -> Iterator[tuple[bytes, int]]:
        """The next stretch. Raises what the thread has met."""
        while (piece := self._pieces.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    def _work(self) -> None:
        try:
            for statement in self._statements:
                for piece in copy_out(self._db, statement.as_bytes(self._db), self._is_stopped):
                    if not self._put(piece):
                        return
                self._put(None)
        except Exception as error:  # noqa: BLE001 - it is raised by who takes the rows
            self._put(error)

    def _put(self, piece: tuple[bytes, int] | Exception | None) -> bool:
        """Hand a piece over when there is room; whether anybody still wants it."""
        while not self._given_up.is_set():
            try:
                self._pieces.put(piece, timeout=_LOOK_EVERY_S)
            except queue.Full:
                continue
            return True
        return False

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._given_up.set()
        self._thread.join()
