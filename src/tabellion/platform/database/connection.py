"""Connections that run prepared statements with as little around them as can be.

A cursor of the driver takes a new look at its statement, its parameters and its result with each execution, and watches
the socket anew for each answer; for a look-up by key that costs more than the rest (docs/adr/0015-short-ways.md). `fetch`
uses the driver's own parts (libpq, adaptation of values, errors) and remembers what stays the same. Everything else goes
through cursors, as with any connection of the driver.
"""

import asyncio
import os
import re
import socket
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple, Self

from psycopg import AsyncConnection, OperationalError, errors
from psycopg.abc import Buffer, PQGen
from psycopg.adapt import AdaptersMap, PyFormat, Transformer
from psycopg.pq import ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.types.numeric import Int8BinaryDumper, Int8Dumper

Row = tuple[Any, ...]
# What stores and use cases work with: a connection of a pool, or one of its own.
Database = AsyncConnection[Row]
Parameters = Mapping[str, Any] | Sequence[Any]

_PLACEHOLDER = re.compile(rb"%(?:\((\w+)\))?s|%%")
_DONE = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)
_FLUSH_AGAIN_S = 0.001
# A statement, and the types of the values that it was prepared for.
_Key = tuple[bytes, tuple[int, ...]]


class _Text(NamedTuple):
    """A statement as the server reads it; `names` of its parameters in their order, None where they have none."""

    query: bytes
    names: tuple[str, ...] | None
    formats: tuple[PyFormat, ...]


class _Adaptation:
    """How values are written, as drivers' objects see it: integers all in eight bytes.

    By itself the driver writes an integer as short as it is, and a statement is prepared for each length of each value.
    Lists it writes as text, and remembers how for as long as the connection lives: integers as text are therefore of
    eight bytes, too. Else the first list would say how large the integers of all later ones may be.
    """

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self.connection = connection
        self.adapters = AdaptersMap(connection.adapters)
        self.adapters.register_dumper(int, Int8Dumper)
        self.adapters.register_dumper(int, Int8BinaryDumper)  # the last one is used where both would do


class Connection(AsyncConnection[Row]):
    """A connection with a place in its pool (since `settled_at`, a monotonic moment), and with `fetch`.

    It keeps up to `most_prepared` statements.
    """

    place: int = 0
    settled_at: float = 0.0
    most_prepared: int = 400

    def __init__(self, pgconn: PGconn, *args: Any, **kwargs: Any) -> None:
        super().__init__(pgconn, *args, **kwargs)
        self._transformer = Transformer(_Adaptation(self))
        self._prepared_names: OrderedDict[_Key, bytes] = OrderedDict()
        # The types of a statement's values when it was run last.
        self._types: dict[bytes, tuple[int, ...]] = {}
        self._names_given = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._socket = -1
        self._waiting: asyncio.Future[None] | None = None
        self._results: list[PGresult] = []

    async def fetch(self, statement: bytes, parameters: Parameters) -> list[Row]:
        """All rows of a prepared statement with placeholders `%(name)s`, or `%s`. Raises as cursors do."""
        text = _read(statement)
        values: Any = parameters
        if text.names is not None and isinstance(parameters, Mapping):
            values = [parameters[name] for name in text.names]
        transformer = self._transformer
        dumped = transformer.dump_sequence(values, text.formats)
        types = transformer.types or ()
        known = self._types.get(statement)
        if known != types:
            if known is not None:
                # A null is of the type that the value had the last time: 2 ** n statements for n values would be many.
                types = tuple(map(_either, types, known))
            self._types[statement] = types
        key = (statement, types)
        result = await self._run(key, text.query, dumped, transformer.formats)
        transformer.set_pgresult(result)
        return transformer.load_rows(0, result.ntuples, tuple)

    async def _run(
        self, key: _Key, query: bytes, values: Sequence[Buffer | None], formats: Sequence[Format] | None
    ) -> PGresult:
        name = self._prepared_names.get(key)
        known = name is not None
        if name is None:
            name = await self._prepare(key, query)
        else:
            self._prepared_names.move_to_end(key)
        send = partial(self.pgconn.send_query_prepared, name, values, formats, Format.BINARY)
        try:
            return await self._result(send)
        except errors.FeatureNotSupported:
            # Its result has another shape since its table was changed.
            self._prepared_names.pop(key, None)
            raise
        except errors.InvalidSqlStatementName:
            # A pooler between us and the server, or somebody's DISCARD ALL: nothing was run.
            self._prepared_names.clear()
            if not known or not self.idle:
                raise
        return await self._run(key, query, values, formats)

    async def _prepare(self, key: _Key, query: bytes) -> bytes:
        if len(self._prepared_names) >= self.most_prepared:
            (statement, _), oldest = self._prepared_names.popitem(last=False)
            self._types.pop(statement, None)
            await self._result(partial(self.pgconn.send_close_prepared, oldest))
        self._names_given += 1
        name = b"t%d" % self._names_given
        await self._result(partial(self.pgconn.send_prepare, name, query, key[1]))
        self._prepared_names[key] = name
        return name

    async def _result(self, send: Callable[[], None]) -> PGresult:
        """The result of what is sent. Who does not wait for it leaves a closed connection behind. Raises its error."""
        assert self._waiting is None  # noqa: S101 - a connection serves one caller at a time
        self.watch()
        waiting = self._waiting = asyncio.get_running_loop().create_future()
        try:
            send()
            while self.pgconn.flush():  # noqa: ASYNC110 - the loop watches for what is read, and this is rare
                # More than the socket takes at once; what is in its way is read meanwhile.
                await asyncio.sleep(_FLUSH_AGAIN_S)
            await waiting
        except BaseException:
            self._waiting = None
            self._unwatch()
            self.pgconn.finish()
            raise
        results, self._results = self._results, []
        for result in results:
            # A statement has one result; an error of its commit comes after it.
            if result.status not in _DONE:
                raise errors.error_from_result(result, encoding=self.info.encoding)
        return results[0]

    def break_off(self) -> None:
        """Have whoever waits for the server find the connection lost."""
        if not self.closed:
            with socket.socket(fileno=os.dup(self.pgconn.socket)) as ours:
                ours.shutdown(socket.SHUT_RDWR)

    def watch(self) -> None:
        """Have the event loop tell when the server says something: an answer, or that it goes away."""
        if self._loop is None:
            # Nothing is remembered of a socket that is lost: its number may belong to another connection by now.
            self._socket = self.pgconn.socket
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._socket, self._readable)

    def _unwatch(self) -> None:
        if self._loop is not None:
            # By its number: a connection that is lost has closed its socket already.
            self._loop.remove_reader(self._socket)
            self._loop = None

    def _readable(self) -> None:
        pgconn, waiting = self.pgconn, self._waiting
        try:
            pgconn.consume_input()
            if waiting is None or not self._is_whole():
                # libuv tells once that a socket has an error, and does not watch it any more: so it begins anew.
                self._unwatch()
                self.watch()
                return
        except OperationalError as error:
            self._waiting = None
            self._results = []
            self._unwatch()
            pgconn.finish()
            if waiting is not None and not waiting.done():
                waiting.set_exception(error)
            return
        self._waiting = None
        if not waiting.done():
            waiting.set_result(None)

    def _is_whole(self) -> bool:
        """Whether the results of a statement are all there, as far as they have come."""
        while not self.pgconn.is_busy():
            result = self.pgconn.get_result()
            if result is None:
                return True
            self._results.append(result)
        return False

    @property
    def idle(self) -> bool:
        """Whether nothing is under way: no statement and no transaction."""
        return self.pgconn.transaction_status == TransactionStatus.IDLE

    @classmethod
    async def connect(cls, conninfo: str = "", **options: Any) -> Self:  # pyright: ignore[reportIncompatibleMethodOverride] - by name
        """See `AsyncConnection.connect`; in autocommit mode.

        The driver prepares nothing by itself: if it does, it forgets all that is prepared after each change of a table.
        """
        options.update(autocommit=True, prepare_threshold=None)
        return await super().connect(conninfo, **options)

    # The driver watches the socket in its own way while one of its cursors waits.

    async def wait(self, gen: PQGen[Any], *args: Any, **kwargs: Any) -> Any:
        """See `AsyncConnection.wait`."""
        self._unwatch()
        return await super().wait(gen, *args, **kwargs)

    async def close(self) -> None:
        """See `AsyncConnection.close`."""
        self._unwatch()
        await super().close()


async def fetch(db: AsyncConnection[Row], statement: bytes, parameters: Parameters) -> list[Row]:
    """The same over whatever connection there is."""
    if isinstance(db, Connection):
        return await db.fetch(statement, parameters)
    cursor = db.cursor(binary=True)
    await cursor.execute(statement, parameters, prepare=True)
    return await cursor.fetchall()


def _either(one: int, other: int) -> int:
    return one or other


@lru_cache(maxsize=20_000)
def _read(statement: bytes) -> _Text:
    names: list[str] = []
    unnamed = 0

    def numbered(found: re.Match[bytes]) -> bytes:
        nonlocal unnamed
        if found[0] == b"%%":
            return b"%"
        if found[1] is None:
            unnamed += 1
            return b"$%d" % unnamed
        name = found[1].decode()
        if name not in names:
            names.append(name)
        return b"$%d" % (names.index(name) + 1)

    query = _PLACEHOLDER.sub(numbered, statement)
    if names and unnamed:
        raise ValueError("named and unnamed placeholders in one statement")
    return _Text(query, tuple(names) if names else None, (PyFormat.AUTO,) * (len(names) or unnamed))
