"""Statements by the short way: the same results and errors as cursors give, and a connection that is as good afterwards."""

import asyncio
import contextlib
import os
import select
import socket
import tempfile
import threading
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabellion.platform.database.connection import Connection
from tabellion.platform.database.pool import Pool


@pytest.fixture
async def db(pool: Pool) -> AsyncIterator[Connection]:
    async with pool.connection() as found:
        yield found


async def test_values_come_back_as_they_went(db: Connection) -> None:
    values = {
        "text": "Zoë 'x' %s", "number": Decimal("3.50"), "day": date(2027, 3, 1), "moment": datetime(2027, 3, 1, 8, tzinfo=UTC),
        "flag": True, "many": ["a", None, "b"], "ids": [1, 2**40], "nothing": None, "raw": b"\x00\xff",
    }  # fmt: skip
    casts = {
        "text": "text", "number": "numeric", "day": "date", "moment": "timestamptz", "flag": "boolean", "many": "text[]",
        "ids": "bigint[]", "nothing": "integer", "raw": "bytea",
    }  # fmt: skip
    statement = "SELECT " + ", ".join(f"%({name})s::{cast}" for name, cast in casts.items()) + ", 7 %% 4, %(text)s::text"

    rows = await db.fetch(statement.encode(), values)

    assert rows == [(*values.values(), 3, "Zoë 'x' %s")]


async def test_unnamed_placeholders_are_taken_in_their_order(db: Connection) -> None:
    assert await db.fetch(b"SELECT %s::int, %s::text", (1, "two")) == [(1, "two")]


async def test_values_of_other_types_are_prepared_apart(db: Connection) -> None:
    for value in (1, "1", 1):
        assert await db.fetch(b"SELECT %(v)s::bigint", {"v": value}) == [(1,)]


async def test_integers_of_any_size_and_nulls_share_what_is_prepared(db: Connection) -> None:
    values = [(1, 2), (None, 2**62), (40_000, None), (2**40, 3), (None, None), (-(2**63), 70_000)]

    for pair in values:
        assert await db.fetch(b"SELECT %s::bigint, %s::bigint", pair) == [pair]

    cursor = await db.execute(
        "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT $1::bigint, $2::bigint'"
    )
    assert await cursor.fetchone() == (1,)


async def test_lists_of_integers_of_any_size_follow_each_other(db: Connection) -> None:
    """How wide the integers of the first list are says nothing about those of the next."""
    lists = [[1, 2], [2**31 - 1], [5, 2**62], [], [-(2**63)], [None, 40_000], [3]]

    for numbers in lists:
        assert await db.fetch(b"SELECT %s::bigint[], 'lists'", (numbers,)) == [(numbers, "lists")]

    cursor = await db.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT $1::bigint[], %'")
    assert await cursor.fetchone() == (1,)


async def test_what_was_null_first_is_prepared_for_its_type_later(db: Connection) -> None:
    statement = b"SELECT coalesce(%s::int, 7) + coalesce(%s::int, 0)"

    rows = [await db.fetch(statement, pair) for pair in ((None, None), (1, None), (None, 1), (1, 1), (None, None))]

    assert [row[0][0] for row in rows] == [7, 1, 8, 2, 7]
    cursor = await db.execute(
        "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT coalesce($1::int, 7)%'"
    )
    assert await cursor.fetchone() == (3,)


async def test_an_error_is_the_drivers_and_the_connection_goes_on(db: Connection) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        await db.fetch(b"SELECT 1 / %s::int", (0,))
    with pytest.raises(psycopg.errors.UndefinedTable):
        await db.fetch(b"SELECT * FROM nowhere", ())

    assert await db.fetch(b"SELECT 1 / %s::int", (1,)) == [(1,)]


async def test_an_error_of_the_commit_is_told(db: Connection) -> None:
    await db.execute("CREATE TEMP TABLE parent (id int PRIMARY KEY)")
    await db.execute("CREATE TEMP TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")

    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        await db.fetch(b"INSERT INTO child VALUES (%s::int) RETURNING id", (1,))

    assert await db.fetch(b"SELECT count(*) FROM child", ()) == [(0,)]


async def test_a_statement_larger_than_a_socket_takes(db: Connection) -> None:
    text = "x" * 20_000_000
    assert await db.fetch(b"SELECT %s::text, length(%s::text)", (text, text)) == [(text, len(text))]


async def test_it_takes_turns_with_cursors_and_transactions(db: Connection) -> None:
    for number in range(3):
        async with db.transaction():
            assert await db.fetch(b"SELECT %s::int", (number,)) == [(number,)]
            assert await (await db.execute("SELECT %s::int", (number,))).fetchone() == (number,)
            assert not db.idle
        assert db.idle


async def test_what_was_used_longest_ago_is_forgotten(db: Connection) -> None:
    db.most_prepared = 3
    for number in (1, 2, 3, 1, 4, 1, 2):
        assert await db.fetch(f"SELECT {number} + %s::int".encode(), (1,)) == [(number + 1,)]

    kept = await db.fetch(b"SELECT statement FROM pg_prepared_statements ORDER BY prepare_time", ())
    assert [row[0] for row in kept[:-1]] == ["SELECT 1 + $1::int", "SELECT 2 + $1::int"]


async def test_a_statement_whose_table_has_changed_is_prepared_anew(db: Connection) -> None:
    await db.execute("CREATE TEMP TABLE changing (value text)")
    await db.execute("INSERT INTO changing VALUES ('7')")
    assert await db.fetch(b"SELECT value FROM changing", ()) == [("7",)]
    await db.execute("ALTER TABLE changing ALTER value TYPE int USING value::int")

    with pytest.raises(psycopg.errors.FeatureNotSupported):
        await db.fetch(b"SELECT value FROM changing", ())

    assert await db.fetch(b"SELECT value FROM changing", ()) == [(7,)]


async def test_changes_of_tables_by_cursors_leave_what_is_prepared(db: Connection) -> None:
    await db.execute("CREATE TEMP TABLE other (value text)", prepare=True)
    assert await db.fetch(b"SELECT %s::int", (1,)) == [(1,)]
    for change in ("ALTER TABLE other ADD b int", "DROP TABLE other"):
        await db.execute(change)
        async with db.transaction():
            assert await db.fetch(b"SELECT %s::int", (1,)) == [(1,)]


async def test_what_the_server_has_forgotten_is_prepared_again(db: Connection) -> None:
    assert await db.fetch(b"SELECT %s::int", (1,)) == [(1,)]
    await db.execute("DEALLOCATE ALL")
    assert await db.fetch(b"SELECT %s::int", (1,)) == [(1,)]
    await db.execute("DEALLOCATE ALL")
    async with db.transaction():
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            await db.fetch(b"SELECT %s::int", (1,))
        raise psycopg.Rollback
    assert await db.fetch(b"SELECT %s::int", (1,)) == [(1,)]


async def test_who_does_not_wait_leaves_no_answer_for_the_next(pool: Pool) -> None:
    """A caller that went away: its connection is closed, and the pool has another one."""
    async with pool.connection() as db:
        waiting = asyncio.create_task(db.fetch(b"SELECT 1 FROM pg_sleep(60)", ()))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert db.closed
    for _ in range(4):
        async with pool.connection() as db:
            assert await db.fetch(b"SELECT 2", ()) == [(2,)]


async def test_a_server_that_goes_away_meanwhile_is_told(pool: Pool, database_url: str) -> None:
    async with pool.connection() as db:
        waiting = asyncio.create_task(db.fetch(b"SELECT 1 FROM pg_sleep(60)", ()))
        pid = db.info.backend_pid
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as killer:
            await killer.execute("SELECT pg_terminate_backend(%s)", (pid,))
        with pytest.raises(psycopg.OperationalError):
            await waiting
    async with pool.connection() as db:
        assert await db.fetch(b"SELECT 2", ()) == [(2,)]


@pytest.mark.parametrize("way", ["of sending", "of reading", "of a cursor"])
async def test_a_lost_connection_does_not_touch_the_socket_of_the_next(database_url: str, way: str) -> None:
    """The driver closes a socket that is lost, and the next connection gets its number."""
    lost = await Connection.connect(database_url)
    if way != "of a cursor":
        assert await lost.fetch(b"SELECT 1", ()) == [(1,)]
    number = lost.pgconn.socket
    with socket.socket(fileno=os.dup(number)) as wire:
        wire.shutdown(socket.SHUT_RDWR)  # as when the server is killed, and the event loop has not heard of it yet
    statement = b"SELECT 1 --" + b"x" * 40_000 if way == "of sending" else b"SELECT 1"  # much is sent at once
    with pytest.raises(psycopg.OperationalError):
        await (lost.execute(statement) if way == "of a cursor" else lost.fetch(statement, ()))
    async with asyncio.timeout(5), await Connection.connect(database_url) as following:
        assert following.pgconn.socket == number
        assert await following.fetch(b"SELECT 2", ()) == [(2,)]
        with pytest.raises(psycopg.OperationalError):
            await lost.fetch(b"SELECT 1", ())
        await lost.close()
        assert await following.fetch(b"SELECT 3", ()) == [(3,)]


@pytest.mark.parametrize("last_words", [b"", b"N\0\0\0\x10SWARNING\0Mx\0\0"], ids=["silent", "with last words"])
async def test_a_server_that_dies_over_a_statement_it_has_not_read_is_told(database_url: str, last_words: bytes) -> None:
    """The socket then has an error, which libuv tells once; what was said before it may be all that is read then."""
    async with _between(database_url) as (url, wire), await Connection.connect(url) as db:
        assert await db.fetch(b"SELECT 1", ()) == [(1,)]
        wire.deaf.set()
        waiting = asyncio.create_task(db.fetch(b"SELECT 1", ()))
        await wire.unread()
        wire.client.sendall(last_words)
        wire.client.close()
        async with asyncio.timeout(5):
            with pytest.raises(psycopg.OperationalError):
                await waiting


class _Wire(threading.Thread):
    """Carries octets between a client and the server, until it is `deaf` to the client."""

    def __init__(self, listening: socket.socket, server: str) -> None:
        super().__init__(daemon=True)
        self._listening, self._server = listening, server
        self.deaf = threading.Event()
        self.client: socket.socket

    def run(self) -> None:
        self.client, _ = self._listening.accept()
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(self._server)
            while not self.deaf.is_set():
                ready, _, _ = select.select([self.client, server], [], [], 0.01)
                for source in ready if not self.deaf.is_set() else ():
                    octets = source.recv(65536)
                    (server if source is self.client else self.client).sendall(octets)

    async def unread(self) -> None:
        """Until the client has said something that will not be read."""
        await asyncio.to_thread(self.join)
        await asyncio.to_thread(select.select, [self.client], [], [], 5)


@contextlib.asynccontextmanager
async def _between(database_url: str) -> AsyncIterator[tuple[str, _Wire]]:
    """A URL of the database that leads through a wire which can be cut."""
    known = conninfo_to_dict(database_url)
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{folder}/.s.PGSQL.5432")
        listening.listen()
        wire = _Wire(listening, f"{known['host']}/.s.PGSQL.5432")
        wire.start()
        yield make_conninfo(database_url, host=folder), wire


async def test_named_and_unnamed_placeholders_do_not_mix(db: Connection) -> None:
    with pytest.raises(ValueError, match="placeholders"):
        await db.fetch(b"SELECT %s::int, %(x)s::int", (1,))
