"""The connections of a sender to the database."""

from time import monotonic
from weakref import WeakKeyDictionary

from psycopg_pool import AsyncConnectionPool

from tabellion.platform.database.connection import Database

_MOST = 6
# A connection that was well so short a while ago is lent as it is: each commit takes one, and to ask it is a round trip.
_WELL_FOR_S = 1.0


Connections = AsyncConnectionPool[Database]


def connections(conninfo: str) -> Connections:
    """A pool of them, not yet open."""
    return Connections(conninfo, min_size=1, max_size=_MOST, open=False, kwargs={"autocommit": True}, check=_Doctor().check)


class _Doctor:
    """Looks whether connections of a pool are well, once in a while."""

    def __init__(self) -> None:
        self._well_at: WeakKeyDictionary[Database, float] = WeakKeyDictionary()

    async def check(self, db: Database) -> None:
        """Raises what is wrong with a connection."""
        if monotonic() - self._well_at.get(db, 0.0) >= _WELL_FOR_S:
            await Connections.check_connection(db)
            self._well_at[db] = monotonic()
