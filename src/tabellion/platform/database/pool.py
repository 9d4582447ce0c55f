"""The pool of connections that API processes and workers take theirs from.

Behind pgbouncer in transaction mode this works with two provisos: pgbouncer is 1.21 or later, so that it carries
prepared statements along (`max_prepared_statements`), and it has `ignore_startup_parameters = options`, which drops the
session settings below: give them to the role instead (`ALTER ROLE ... SET statement_timeout = '30s'`, and so on).
LISTEN and session-level advisory locks need a direct connection.
"""

import select
from collections.abc import Mapping
from datetime import timedelta
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
# Statements of user-defined tables differ per table; each prepared one costs the server some 10 KB.
_PREPARED_PER_CONNECTION = 400


class Pool(AsyncConnectionPool[AsyncConnection[tuple[Any, ...]]]):
    """A pool that notices connections closed by the server, as after its restart, before a caller does.

    The pool's own `check` would wait a second or more for each of them, and cost a round trip at each use.
    """

    async def getconn(self, timeout: float | None = None) -> AsyncConnection[tuple[Any, ...]]:  # noqa: ASYNC109 - theirs
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
        },
        application_name=application_name,
    )
    pool = Pool(
        conninfo,
        connection_class=AsyncConnection[tuple[Any, ...]],
        kwargs={"autocommit": True},
        min_size=min_size,
        max_size=max_size,
        name=application_name,
        configure=_configure,
        timeout=wait_s,
        max_waiting=_MAX_WAITING,
        max_lifetime=3600,
        max_idle=300,
        reconnect_timeout=30,
        open=False,
    )
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


async def _configure(connection: AsyncConnection[Any]) -> None:
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
