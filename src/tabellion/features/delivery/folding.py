"""Adds what was noted of campaigns to the sums of their reports, for as long as it runs: a task in every worker process.

Reports are right without it; it keeps short what they have to add up themselves. Licences in which nothing happens are
looked at less and less often. What has no sums yet, or was asked to be counted anew, is counted from its mails here.
"""

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from time import monotonic

import msgspec
import psycopg

from tabellion.features.delivery import sums
from tabellion.features.delivery.setbacks import Setbacks
from tabellion.features.delivery.store import in_schema
from tabellion.platform.database.advisory import AdvisoryLock
from tabellion.platform.database.connection import Database
from tabellion.platform.database.pool import with_limits
from tabellion.platform.database.scalars import scalar

_log = logging.getLogger(__name__)
# To count a campaign of many millions takes minutes; nobody waits for it.
_STATEMENT_TIMEOUT = timedelta(hours=1)
# Those that may send. Of sendings there are very many after some years.
_LICENCES = "SELECT l.id FROM tabellion.licence l WHERE EXISTS (SELECT FROM tabellion.campaign c WHERE c.licence_id = l.id)"
_HELD = """
SELECT campaign_id, count(*) + coalesce(sum(cardinality(sent)), 0)::bigint FROM {l}.report_change GROUP BY 1 ORDER BY 2 DESC
"""


class FoldingPace(msgspec.Struct, frozen=True, kw_only=True):
    """How often licences are looked at, from the busiest to the idlest. `enough`: so many changes of a campaign are added up
    at once; fewer wait for `at_last_s`.
    """

    look_every_s: float = 5.0
    idle_s: float = 60.0
    enough: int = 2000
    at_last_s: float = 60.0


class Folder:
    """Of all licences of a database."""

    def __init__(self, url: str, pace: FoldingPace | None = None) -> None:
        self._conninfo = with_limits(url, application_name="tabellion reports", statement_timeout=_STATEMENT_TIMEOUT)
        self._pace = pace or FoldingPace()
        self._setbacks = Setbacks("the sums of reports could not be brought up to date", first_s=1.0, longest_s=60.0)
        # By licence: when it is looked at next, and the pause before that; since when few changes wait, by campaign.
        self._next: dict[int, tuple[float, float]] = {}
        self._waiting: dict[int, dict[int, float]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`."""
        while not stop.is_set():
            pause_s = self._pace.look_every_s
            try:
                async with await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True) as db:
                    while not stop.is_set():
                        await self.step(db, stop)
                        self._setbacks.over()
                        await _wait(stop, self._pace.look_every_s)
            except Exception as error:  # noqa: BLE001 - whatever it is, reports add up what was not
                pause_s = self._setbacks.happened(error)
            await _wait(stop, pause_s)

    async def step(self, db: Database, stop: asyncio.Event | None = None) -> None:
        """One round over the licences whose turn it is; on a connection in autocommit mode."""
        rows = await (await db.execute(_LICENCES)).fetchall()
        known = {row[0] for row in rows}
        self._next = {licence: self._next.get(licence, (0.0, 0.0)) for licence in known}
        self._waiting = {licence: campaigns for licence, campaigns in self._waiting.items() if licence in known}
        for licence in sorted(known, key=lambda each: (self._next[each][0], each)):
            at, pause_s = self._next[licence]
            if at > monotonic() or (stop is not None and stop.is_set()):
                continue
            # Should it fail, the others are next.
            self._next[licence] = (monotonic() + self._pace.look_every_s, pause_s)
            with suppress(psycopg.errors.UndefinedTable):  # deleted meanwhile
                busy = await self._alone(db, licence)
                pause_s = self._pace.look_every_s if busy else min(pause_s * 2 or self._pace.look_every_s, self._pace.idle_s)
                self._next[licence] = (monotonic() + pause_s, pause_s)

    async def _alone(self, db: Database, licence: int) -> bool:
        """The same for one licence, unless another process is about it; whether there was something."""
        lock = (AdvisoryLock.REPORT_SUMS, licence)
        if not await scalar(db, "SELECT pg_try_advisory_lock(%s, %s)", lock):
            return True
        try:
            return await self._licence(db, licence)
        finally:
            await db.execute("SELECT pg_advisory_unlock(%s, %s)", lock)

    async def _licence(self, db: Database, licence: int) -> bool:
        # One at a time: others are not to wait for all that were there before an upgrade.
        query = """
SELECT campaign_id FROM tabellion.report_recount WHERE licence_id = %s ORDER BY usable, campaign_id DESC LIMIT 1
"""
        asked = await (await db.execute(query, (licence,))).fetchone()
        if asked is not None:
            await self._count_anew(db, licence, asked[0])
        changes = await (await db.execute(in_schema(licence, _HELD))).fetchall()
        # Others may have folded what waited here: of that nothing is kept.
        before = self._waiting.get(licence, {})
        waiting = self._waiting[licence] = {campaign: before.get(campaign, monotonic()) for campaign, _ in changes}
        for campaign, size in changes:
            if size >= self._pace.enough or monotonic() - waiting[campaign] >= self._pace.at_last_s:
                async with db.transaction():
                    await sums.settle(db)
                    await sums.fold(db, licence, campaign)
                del waiting[campaign]
        return asked is not None or bool(changes)

    async def _count_anew(self, db: Database, licence: int, campaign: int) -> None:
        async with db.transaction():
            await db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            await sums.settle(db)
            wrong = await sums.count_anew(db, licence, campaign)
        if wrong:
            _log.error(
                "the sums of the report of campaign %d differed from its mails in %d lines; they are put right",
                campaign,
                wrong,
            )


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
