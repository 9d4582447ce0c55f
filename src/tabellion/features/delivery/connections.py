"""The connections of a sender to the database."""

import asyncio
from time import monotonic
from weakref import WeakKeyDictionary

from psycopg_pool import AsyncConnectionPool

from tabellion.platform.database.connection import Database

_MOST = 6
# A connection that was well so short a while ago is lent as it is: each commit takes one, and to ask it is a round trip.
_WELL_FOR_S = 1.0
# How long one is waited for by a sender that is to end: the database may be away.
_HURRIED_S = 2.0


class Connections(AsyncConnectionPool[Database]):
    """A pool of them, not yet open. Who waits for one in vain hears `PoolTimeout`, or once it is hurried `TimeoutError`."""

    def __init__(self, conninfo: str) -> None:
        kwargs = {"autocommit": True}
        super().__init__(conninfo, min_size=1, max_size=_MOST, open=False, kwargs=kwargs, check=_Doctor().check)
        self._waits: set[asyncio.Timeout] = set()
        self._hurried = False

    def hurry(self) -> None:
        """From now on nobody waits long, those who wait already included."""
        self._hurried = True
        for wait in self._waits:
            wait.reschedule(asyncio.get_running_loop().time() + _HURRIED_S)

    async def getconn(self, timeout: float | None = None) -> Database:  # noqa: ASYNC109 - as theirs
        """As theirs."""
        async with asyncio.timeout(_HURRIED_S if self._hurried else None) as wait:
            self._waits.add(wait)
            try:
                return await super().getconn(timeout)
            finally:
                self._waits.discard(wait)


class _Doctor:
    """Looks whether connections of a pool are well, once in a while."""

    def __init__(self) -> None:
        self._well_at: WeakKeyDictionary[Database, float] = WeakKeyDictionary()

    async def check(self, db: Database) -> None:
        """Raises what is wrong with a connection."""
        if monotonic() - self._well_at.get(db, 0.0) >= _WELL_FOR_S:
            await Connections.check_connection(db)
            self._well_at[db] = monotonic()
