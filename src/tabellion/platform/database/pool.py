"""The pool of connections that API processes and workers take theirs from.

Behind pgbouncer in transaction mode this works with two provisos: pgbouncer is 1.21 or later, so that it carries
prepared statements along (`max_prepared_statements`), and it has `ignore_startup_parameters = options`, which drops the
session settings below: give them to the role instead (`ALTER ROLE ... SET statement_timeout = '30s'`, and so on).
LISTEN and session-level advisory locks need a direct connection.
"""

import asyncio
import select
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from itertools import cycle
from time import monotonic
from typing import Any

from psycopg import AsyncConnection, OperationalError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool

STATEMENT_TIMEOUT = timedelta(seconds=30)
LOCK_TIMEOUT = timedelta(seconds=5)
IDLE_IN_TRANSACTION_TIMEOUT = timedelta(seconds=60)
# A queue longer than this could not be served within the wait; better to say so at once.
_MAX_WAITING = 2000
# Statements of user-defined tables differ per table; a prepared read costs the server some 26 KB, a write 190 KB.
_PREPARED_PER_CONNECTION = 400
# Some times what planning a write costs; whoever runs longer than that does not hold others up.
_FAVOURITE_WITHIN_S = 0.01


class Connection(AsyncConnection[tuple[Any, ...]]):
    """A connection with a place in its pool."""

    place: int = 0


class Pool(AsyncConnectionPool[Connection]):
    """A pool that knows its connections: which are still open, and which has met a licence's statements before.

    Connections closed by the server, as after its restart, are noticed before a caller does; the pool's own `check` would
    wait a second or more for each of them, and cost a round trip at each use.

    Statements of user-defined tables differ per licence, and to plan one costs more than to run it. A connection keeps a
    bounded number of them, so each licence has its favourite connection: a thousand licences share the room of all
    connections, instead of driving each other's statements out of each.
    """

    _places: int
    _users: list[int]
    _wanted: defaultdict[int, deque[asyncio.Future[None]]]

    def spread(self, places: int) -> None:
        """Expect this many connections, at places counted from 0."""
        self._places = places
        self._users = [0] * places
        self._wanted = defaultdict(deque)

    @asynccontextmanager
    async def of(self, licence_id: int) -> AsyncGenerator[Connection]:
        """An open connection, given back at the end: the licence's favourite, or one of its neighbours.

        While another licence has the favourite, it is waited for; to wait for oneself would be to go one by one.
        """
        favourite = licence_id % self._places
        if self._users[favourite] not in {0, licence_id}:
            await self._wait_for(favourite)
        self._bring_forward(favourite)
        async with self.connection() as connection:
            place = connection.place
            self._users[place] = licence_id
            try:
                yield connection
            finally:
                self._users[place] = 0

    def _bring_forward(self, favourite: int) -> None:
        """See to it that the idle connection that comes first after a place is the next one to be given out."""
        idle = self._pool
        if len(idle) > 1:
            best = min(idle, key=lambda connection: (connection.place - favourite) % self._places)
            if best is not idle[0]:
                idle.remove(best)
                idle.appendleft(best)

    async def _wait_for(self, place: int) -> None:
        given_back: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wanted[place].append(given_back)
        with suppress(TimeoutError):
            await asyncio.wait_for(given_back, _FAVOURITE_WITHIN_S)

    async def putconn(self, conn: Connection) -> None:
        """Take a connection back, and wake the first of those who wait for it."""
        await super().putconn(conn)
        wanted = self._wanted[conn.place]
        while wanted:
            given_back = wanted.popleft()
            if not given_back.done():
                given_back.set_result(None)
                return

    async def getconn(self, timeout: float | None = None) -> Connection:  # noqa: ASYNC109 - theirs
        """A connection that was open a moment ago; give it back with `putconn`. `connection()` does both.

        Raises `psycopg_pool.PoolTimeout` after `timeout` seconds (default: the pool's).
        """
        deadline = monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            connection = await super().getconn(deadline - monotonic())
            if _is_open(connection):
                return connection
            await self.putconn(connection)  # discards it and begins to make a new one


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
    conninfo = with_settings(
        url,
        {
            "TimeZone": "UTC",
            "statement_timeout": _milliseconds(statement_timeout),
            "lock_timeout": _milliseconds(lock_timeout),
            "idle_in_transaction_session_timeout": _milliseconds(IDLE_IN_TRANSACTION_TIMEOUT),
            # What is prepared finds its rows by keys: the first plan is the best one, and planning costs more than running.
            "plan_cache_mode": "force_generic_plan",
        },
        application_name=application_name,
    )
    pool = Pool(
        conninfo,
        connection_class=Connection,
        kwargs={"autocommit": True},
        min_size=min_size,
        max_size=max_size,
        name=application_name,
        configure=_Configuration(max_size),
        timeout=wait_s,
        max_waiting=_MAX_WAITING,
        max_lifetime=3600,
        max_idle=300,
        reconnect_timeout=30,
        open=False,
    )
    pool.spread(max_size)
    try:
        await pool.open(wait=True, timeout=wait_s)
    except BaseException:
        await pool.close()
        raise
    return pool


def with_settings(url: str, settings: Mapping[str, str], *, application_name: str) -> str:
    """The connection string with session settings put into its `options`; settings already there are kept."""
    given = str(conninfo_to_dict(url).get("options") or "")
    ours = [f"-c {name}={value}" for name, value in settings.items() if name.lower() not in given.lower()]
    return make_conninfo(
        url, options=" ".join([given, *ours]).strip(), application_name=application_name, connect_timeout=10
    )


class _Configuration:
    """Gives each new connection its place: the next one in turn; what matters is that places are spread evenly."""

    def __init__(self, places: int) -> None:
        self._next = cycle(range(places))

    async def __call__(self, connection: Connection) -> None:
        connection.place = next(self._next)
        connection.prepared_max = _PREPARED_PER_CONNECTION


def _is_open(connection: AsyncConnection[Any]) -> bool:
    """Whether the server has left the connection open; no round trip.

    Nothing is expected on an idle connection, so what can be read is mostly the server's farewell.
    """
    try:
        poll = select.poll()
        poll.register(connection.pgconn.socket, select.POLLIN)
        while poll.poll(0):
            connection.pgconn.consume_input()
    except OperationalError:
        return False
    return True


def _milliseconds(duration: timedelta) -> str:
    return str(duration // timedelta(milliseconds=1))
