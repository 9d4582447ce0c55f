"""The end of an execution from outside, by a call or a verb: told of the same way for ETLs and exports."""

from datetime import datetime
from typing import Protocol

from tabellion.features.bulk.imports import Status
from tabellion.features.bulk.news import FINISHED, Links, Ran, tell
from tabellion.platform.database.connection import Database


class Executions(Protocol):
    """The store of a kind of executions."""

    async def end(self, db: Database, number: int, status: Status, now: datetime) -> bool:
        """End one; False: it has ended already."""
        ...

    async def execution(self, db: Database, number: int) -> Ran | None:
        """One of them."""
        ...


async def stop(db: Database, store: Executions, links: Links, number: int, status: Status, now: datetime) -> bool:
    """End an execution; whoever was told of its start is told of that. False: it has ended already.

    In the caller's transaction.
    """
    if not await store.end(db, number, status, now):
        return False
    ended = await store.execution(db, number)
    if ended is not None and ended.attempt:
        await tell(db, links, FINISHED, ended, now)
    return True
