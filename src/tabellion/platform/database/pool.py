"""The pool of connections that API processes and workers take theirs from.

A pooler of others, such as pgbouncer, cannot stand before the database: sessions have settings, LISTEN and advisory locks
(`schema.connect` refuses it).
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from time import monotonic
from types import TracebackType

from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from tabellion.platform.database.connection import Connection

STATEMENT_TIMEOUT = timedelta(seconds=30)
LOCK_TIMEOUT = timedelta(seconds=5)
IDLE_IN_TRANSACTION_TIMEOUT = timedelta(seconds=60)
# A queue longer than this could not be served within the wait; better to say so at once.
_MAX_WAITING = 2000
# Some times what planning a write costs; whoever runs longer than that does not hold others up.
_FAVOURITE_WITHIN_S = 0.01
# The driver's pool looks after its connections when they come back: so they do, now and then.
_KEPT_S = 300.0

# A host that has gone without a word is given up after half a minute; the system's own times are hours.
_NETWORK = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 4, "tcp_user_timeout": 30_000}

# Statements that the connections of a pool keep, together; a prepared read costs the server some 26 KB, a write 190 KB.
_PREPARED, _LEAST_PREPARED = 3200, 100

# None: look again, a place has become vacant.
_Waiter = asyncio.Future[Connection | None]


class Pool:
    """Connections of the driver's pool, kept at numbered places and lent from there without waiting for anything.

    The driver's pool makes connections, and makes new ones where they are lost; to take one out of it and put it back costs
    more than the look-up that it is for. Connections closed by the server, as after its restart, are noticed when that
    happens and not lent any more.

    Statements of user-defined tables differ per licence, and to plan one costs more than to run it. A connection keeps a
    bounded number of them, so each licence has its favourite connection: a thousand licences share the room of all
    connections, instead of driving each other's statements out of each. The more connections there are, the less often
    licences wait for each other's.
    """

    def __init__(self, source: AsyncConnectionPool[Connection], places: int) -> None:
        self._source = source
        self._places = places
        self._most_prepared = max(_PREPARED // places, _LEAST_PREPARED)
        # By place: who is there; who is and is idle; whom they serve (0: nobody in particular, None: nobody).
        self._there: list[Connection | None] = [None] * places
        self._idle: list[Connection | None] = [None] * places
        self._users: list[int | None] = [None] * places
        self._vacant = list(range(places - 1, -1, -1))
        self._queue: deque[_Waiter] = deque()
        self._wanted: list[deque[_Waiter]] = [deque() for _ in range(places)]
        self._closed = False

    async def open(self) -> None:
        """Connect to all places. Raises `psycopg_pool.PoolTimeout`."""
        await self._source.open(wait=True, timeout=self._source.timeout)
        for connection in [await self.getconn() for _ in range(self._source.min_size)]:
            await self.putconn(connection)

    async def close(self) -> None:
        """Close all connections; those that are lent, when they come back."""
        self._closed = True
        for place, connection in enumerate(self._idle):
            if connection is not None:
                self._idle[place] = None
                await self._source.putconn(connection)
        await self._source.close()

    def break_off(self) -> None:
        """Have all who wait for an answer of the server find their connections lost."""
        for connection in self._there:
            if connection is not None and connection.info.transaction_status == TransactionStatus.ACTIVE:
                connection.break_off()

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """An open connection, given back at the end."""
        return _Loan(self, 0)

    def of(self, licence_id: int) -> AbstractAsyncContextManager[Connection]:
        """The same for work on one licence's tables: its favourite, or one of its neighbours.

        While another licence has the favourite, it is waited for; to wait for oneself would be to go one by one.
        """
        return _Loan(self, licence_id)

    async def getconn(self, licence_id: int = 0, *, timeout: float | None = None) -> Connection:  # noqa: ASYNC109 - as theirs
        """A connection that was open a moment ago; give it back with `putconn`, or rather use `of`.

        Raises `psycopg_pool.PoolTimeout` after `timeout` seconds (default: the pool's), and `TooManyRequests`.
        """
        if self._closed:
            raise PoolClosed("the pool is closed")
        deadline = monotonic() + (self._source.timeout if timeout is None else timeout)
        favourite = licence_id % self._places
        if licence_id and self._idle[favourite] is None and self._users[favourite] not in {None, licence_id}:
            within = min(_FAVOURITE_WITHIN_S, deadline - monotonic())
            with suppress(PoolTimeout):
                connection = await self._wait(self._wanted[favourite], within)
                if connection is not None:
                    return self._lend(connection, licence_id)
        while True:
            connection = self._nearest(favourite)
            if connection is None and self._vacant:
                connection = await self._settle(deadline - monotonic())
            if connection is None:
                if len(self._queue) >= _MAX_WAITING:
                    raise TooManyRequests(f"{len(self._queue)} callers wait for a connection")
                connection = await self._wait(self._queue, deadline - monotonic())
            if connection is None:
                continue
            if not connection.closed:
                return self._lend(connection, licence_id)
            await self._dismiss(connection)

    def _nearest(self, favourite: int) -> Connection | None:
        """The idle connection that comes first after a place."""
        idle = self._idle
        for place in (*range(favourite, self._places), *range(favourite)):
            connection = idle[place]
            if connection is not None:
                idle[place] = None
                return connection
        return None

    def _lend(self, connection: Connection, licence_id: int) -> Connection:
        self._users[connection.place] = licence_id
        return connection

    async def _settle(self, timeout: float) -> Connection:  # noqa: ASYNC109 - as theirs
        """A connection for a vacant place."""
        place = self._vacant.pop()
        try:
            connection = await self._source.getconn(max(timeout, 0.0))
        except BaseException:
            self._vacant.append(place)
            raise
        connection.place = place
        self._there[place] = connection
        connection.settled_at = monotonic()
        connection.most_prepared = self._most_prepared
        return connection

    async def _dismiss(self, connection: Connection) -> None:
        """Give a connection back to the driver's pool, which closes it or makes it ready; its place is vacant."""
        self._users[connection.place] = self._there[connection.place] = None
        self._vacant.append(connection.place)
        try:
            await self._source.putconn(connection)
        finally:
            _serve(self._queue, None)

    async def _wait(self, queue: deque[_Waiter], timeout: float) -> Connection | None:  # noqa: ASYNC109 - as theirs
        """The next connection that is given back; None: there is a vacant place. Raises `PoolTimeout`."""
        loop = asyncio.get_running_loop()
        waiter: _Waiter = loop.create_future()
        queue.append(waiter)
        timer = loop.call_later(timeout, _expire, waiter)
        try:
            return await waiter
        except BaseException:
            # The caller has gone, perhaps after it was served.
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                given = waiter.result()
                if given is not None:
                    self._pass_on(given)
                else:
                    _serve(self._queue, None)
            raise
        finally:
            timer.cancel()

    async def putconn(self, connection: Connection) -> None:
        """Give a connection back."""
        if connection.closed or not connection.idle or self._closed or monotonic() - connection.settled_at > _KEPT_S:
            await self._dismiss(connection)
        else:
            self._pass_on(connection)

    def _pass_on(self, connection: Connection) -> None:
        """Lend a connection to whoever waits for it, or for any; else it is idle, and watched."""
        if _serve(self._wanted[connection.place], connection) or _serve(self._queue, connection):
            return
        self._users[connection.place] = None
        self._idle[connection.place] = connection
        connection.watch()


class _Loan(AbstractAsyncContextManager[Connection]):
    """A connection of the pool for a while."""

    __slots__ = ("_connection", "_licence_id", "_pool")

    def __init__(self, pool: Pool, licence_id: int) -> None:
        self._pool, self._licence_id = pool, licence_id

    async def __aenter__(self) -> Connection:
        self._connection = await self._pool.getconn(self._licence_id)
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.putconn(self._connection)


def _serve(queue: deque[_Waiter], connection: Connection | None) -> bool:
    """Answer the first who still waits; whether there is one."""
    while queue:
        waiter = queue.popleft()
        if not waiter.done():
            waiter.set_result(connection)
            return True
    return False


def _expire(waiter: _Waiter) -> None:
    if not waiter.done():
        waiter.set_exception(PoolTimeout("no connection became free in time"))


async def open_pool(
    url: str,
    *,
    min_size: int = 2,
    max_size: int = 10,
    application_name: str = "tabellion",
    statement_timeout: timedelta = STATEMENT_TIMEOUT,
    lock_timeout: timedelta = LOCK_TIMEOUT,
    wait_s: float = 10.0,
) -> Pool:
    """Open a pool of autocommit connections in UTC and wait until it is full to `min_size`.

    `wait_s` is how long a caller waits for a free connection, and this function for the first ones, before
    `psycopg_pool.PoolTimeout` is raised (for callers of the API: 503). Close the pool with `await pool.close()`.
    """
    conninfo = with_limits(
        url,
        {
            "idle_in_transaction_session_timeout": _milliseconds(IDLE_IN_TRANSACTION_TIMEOUT),
            # What is prepared finds its rows by keys: the first plan is the best one, and planning costs more than running.
            "plan_cache_mode": "force_generic_plan",
        },
        application_name=application_name,
        statement_timeout=statement_timeout,
        lock_timeout=lock_timeout,
    )
    source = AsyncConnectionPool(
        conninfo,
        connection_class=Connection,
        min_size=min_size,
        max_size=max_size,
        name=application_name,
        timeout=wait_s,
        max_waiting=_MAX_WAITING,
        max_lifetime=3600,
        max_idle=300,
        reconnect_timeout=30,
        open=False,
    )
    pool = Pool(source, max_size)
    try:
        await pool.open()
    except BaseException:
        await pool.close()
        raise
    return pool


def with_limits(
    url: str,
    settings: Mapping[str, str] | None = None,
    *,
    application_name: str,
    statement_timeout: timedelta = STATEMENT_TIMEOUT,
    lock_timeout: timedelta = LOCK_TIMEOUT,
) -> str:
    """`with_settings` for sessions in UTC whose statements, and whose waits for locks, are ended after a time."""
    limits = {
        "TimeZone": "UTC",
        "statement_timeout": _milliseconds(statement_timeout),
        "lock_timeout": _milliseconds(lock_timeout),
    }
    return with_settings(url, limits | dict(settings or {}), application_name=application_name)


def with_settings(url: str, settings: Mapping[str, str], *, application_name: str) -> str:
    """The connection string with session settings put into its `options`, and ours for a network that loses things.

    Settings already there are kept.
    """
    parts = conninfo_to_dict(url)
    given = str(parts.get("options") or "")
    ours = [f"-c {name}={value}" for name, value in settings.items() if name.lower() not in given.lower()]
    network = {name: value for name, value in _NETWORK.items() if name not in parts}
    options = " ".join([given, *ours]).strip()
    return make_conninfo(url, options=options, application_name=application_name, connect_timeout=10, **network)


def _milliseconds(duration: timedelta) -> str:
    return str(duration // timedelta(milliseconds=1))
