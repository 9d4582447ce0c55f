"""Sends for as long as it runs: a task in every worker process. The protocol is in `model`.

A sending is worked on by any number of processes at once. Each claims batches, has them rendered, and hands mails over as
connections come free (`handing`); what came of them is written down together, at most 50 ms later. So what a crash leaves in
doubt are the mails that were being written or waited for an answer at that moment, and those of the last 50 ms.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from datetime import datetime
from time import monotonic

import psycopg

from tabellion.features.delivery import (
    ab_tests,
    attachment_store,
    recall_store,
    recipient_store,
    store,
    sums,
    worker_store,
)
from tabellion.features.delivery.batch import Batch
from tabellion.features.delivery.beside import Beside
from tabellion.features.delivery.connections import Connections
from tabellion.features.delivery.favours import Favours
from tabellion.features.delivery.model import Overtaken, Sending
from tabellion.features.delivery.pace import Pace
from tabellion.features.delivery.pacing import Pacing
from tabellion.features.delivery.patience import Patience
from tabellion.features.delivery.setbacks import Setbacks
from tabellion.features.delivery.silences import Silences
from tabellion.features.delivery.transport import Way, Ways
from tabellion.features.delivery.troubles import Trouble, Troubles, troubles_of
from tabellion.features.delivery.turns import Turns
from tabellion.platform.database.connection import Database
from tabellion.platform.database.pool import with_limits
from tabellion.platform.templates import Cages

_log = logging.getLogger(__name__)
# The longest time between two looks at the clock, and at whether to stop.
_HEAR_FOR_S = 0.1
_LONGEST_PAUSE_S = 5.0
# A failure after so long is not the next one in a row.
_WELL_AFTER_S = 60.0


Audience = Callable[[Database, Sending, datetime], Awaitable[bool]]
Ended = Callable[[Database, Sending, datetime], Awaitable[None]]


class Sender:
    """`clock` gives aware UTC moments. `gather(db, sending, now)` enters the recipients of a sending (False: it was held
    instead; raises `Overtaken`), `ended(db, sending, now)` hears that one has ended; both in the transaction that changes
    its state.
    """

    def __init__(
        self, url: str, cages: Cages, clock: Callable[[], datetime], *, gather: Audience, ended: Ended,
        pace: Pace | None = None, ways: Ways | None = None,
    ) -> None:  # fmt: skip
        self._conninfo = with_limits(url, application_name="tabellion mail")
        self.cages, self.clock, self.gather, self.ended = cages, clock, gather, ended
        self.pace = pace or Pace()
        self.ways = ways or Ways()
        self.pacing, self.patience = Pacing(), Patience()
        self.worker = 0
        self.stopping = False
        self._pool: Connections | None = None
        self._working: dict[int, asyncio.Task[None]] = {}
        self.turns = Turns(self.pace.sendings, self.pace.turn_s)
        self._renderings = asyncio.Semaphore(self.pace.renderings)
        self._quiet: dict[int, float] = {}
        self._again: set[int] = set()
        self._aside: set[int] = set()
        self._ways: dict[int, Way] = {}
        self._licences: set[tuple[int, int]] = set()
        retry_s = self.pace.retry_s
        self._setbacks: dict[int, Setbacks] = {}
        self.favours = Favours(self.pace.refusals_in_a_row)
        self._life = Setbacks("the sending of mails was interrupted", first_s=retry_s / 10, longest_s=_LONGEST_PAUSE_S)
        not_recalled = Setbacks("mails that were put off could not be looked at again", first_s=retry_s)
        not_tidied = Setbacks("what dead workers have left, or looks that are over, could not be tidied up", first_s=retry_s)
        self._recalling, self._tidying = Beside(self._recall, not_recalled), Beside(self._tidy, not_tidied)
        self._troubles, self._silences = Troubles(), Silences()
        self.stumbles = Setbacks("a mail could not be made or handed over")

    async def run(self, stop: asyncio.Event, *, closing_s: float = 8.0) -> None:
        """Send until `stop`; mails on their way then get `closing_s` seconds."""
        self._pool = pool = Connections(self._conninfo)
        async with pool:
            while not stop.is_set():
                try:
                    async with await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True) as life:
                        await self._enter(life)
                        await self._live(life, stop)
                except Exception as error:  # noqa: BLE001 - whatever it is, mails are to go on
                    with suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), self._life.happened(error))
            await self._close(pool, closing_s)
        await self.ways.close()

    async def _enter(self, life: Database) -> None:
        """Take up the worker's life, or begin another one when it was given up."""
        if self.worker:
            await worker_store.hold(life, self.worker)
            if await worker_store.beat(life, self.worker):
                return
        self.worker = await worker_store.enter_worker(life)

    async def _live(self, life: Database, stop: asyncio.Event) -> None:
        await store.listen(life)
        beaten_at = looked_at = 0.0
        while not stop.is_set():
            if monotonic() - beaten_at >= self.pace.beat_every_s:
                if not await worker_store.beat(life, self.worker):
                    _log.warning("this worker was silent for so long that others have given it up; beginning anew")
                    self.worker = await worker_store.enter_worker(life)
                await self._troubles.tell(life, self.worker, self._found_wrong())
                self._tidying.begin()
                self._recalling.begin()
                beaten_at = monotonic()
            if monotonic() - looked_at >= self.pace.look_every_s:
                await self._look(life)
                looked_at = monotonic()
            self.ways.watch()
            wait_s = min(looked_at + self.pace.look_every_s - monotonic(), _HEAR_FOR_S)
            for sending_id in await store.announced(life, max(wait_s, 0.0)):
                self._begin(sending_id, announced=True)
            self._life.over()

    async def _look(self, life: Database) -> None:
        due = await store.due(life, self.clock())
        now = monotonic()
        self._quiet = {sending_id: until for sending_id, until in self._quiet.items() if until > now}
        for sending_id in self.turns.order(due, self._at_work()):
            self._begin(sending_id)

    def _found_wrong(self) -> list[Trouble]:
        return [*troubles_of(self.ways.troubles(), self._setbacks), *self.favours.troubles(self.ways)]

    def _at_work(self) -> list[int]:
        return [each for each in self._working if not self._only_waits(each)]

    async def _tidy(self) -> None:
        """Give up dead workers, and forget looks that are over: this may have to wait for others, and mails not for it."""
        async with self.database() as db:
            now = self.clock()
            pace, silences = self.pace, self._silences
            for worker in await worker_store.dead_workers(db, self.worker, pace.silent, pace.lost, silences):
                again, uncertain = await worker_store.give_up(db, worker, now)
                if again or uncertain:
                    _log.warning("a worker is gone: %d mails go back, %d are uncertain", again, uncertain)
            await store.forget_due(db, now)
            await self.favours.forget(db, self._working)

    async def _recall(self) -> None:
        """Have mails looked at again that were put off under limits that were changed; millions take a while."""
        async with self.database() as db:
            while await recall_store.carry_out(db, self.clock()) is not None:
                pass

    def _begin(self, sending_id: int, *, announced: bool = False) -> None:
        if sending_id in self._working:
            if announced:
                # It may have made its last claim already.
                self._again.add(sending_id)
            return
        if self._quiet.get(sending_id, 0.0) > monotonic() or not self.turns.begins(sending_id, self._at_work()):
            return
        task = asyncio.create_task(self._work(sending_id))
        self._working[sending_id] = task
        task.add_done_callback(lambda _: self._done(sending_id))

    def _only_waits(self, sending_id: int) -> bool:
        """Whether others may have the place of a sending: for its next mail, or for a relay, it need not hold it."""
        way = self._ways.get(sending_id)
        return sending_id in self._aside or (way is not None and way.is_stuck)

    def _done(self, sending_id: int) -> None:
        self._working.pop(sending_id, None)
        self._ways.pop(sending_id, None)
        self.turns.over(sending_id)
        if sending_id in self._again and not self.stopping:
            self._again.discard(sending_id)
            self._begin(sending_id)

    async def _work(self, sending_id: int) -> None:
        begun_at = monotonic()
        try:
            async with self.database() as db:
                sending = await store.find(db, sending_id)
            if sending is None:
                return
            if sending.state == "GATHERING":
                await self._gather(sending)
            elif sending.state == "CLOSING":
                await self._take_back(sending)
            elif sending.state == "RUNNING":
                await Batch(self, sending, self.worker).run()
                if sending.document.transactional:
                    async with self.database() as db:
                        await attachment_store.forget_attachments(db, sending)
                if sending.document.ab_test is not None:
                    async with self.database() as db:
                        self.rest(sending_id, 1.0 if await ab_tests.waits(db, sending, self.clock()) else 0.0)
                await self._end(sending)
            self._setbacks.pop(sending_id, None)
        except Exception as error:  # noqa: BLE001 - whatever it is, others wait for their mails
            if monotonic() - begun_at > _WELL_AFTER_S:
                self._setbacks.pop(sending_id, None)
            fresh = Setbacks(f"the sending {sending_id} was interrupted", first_s=self.pace.retry_s)
            pause_s = self._setbacks.setdefault(sending_id, fresh).happened(error)
            self._quiet[sending_id] = monotonic() + pause_s

    async def _gather(self, sending: Sending) -> None:
        now = self.clock()
        # Who pauses the campaign, cancels it or takes it back need not wait: what was entered meanwhile is undone.
        with suppress(Overtaken):
            async with self.database() as db, db.transaction():
                if not await store.gathers(db, sending.id):
                    return
                fresh = await store.find(db, sending.id)
                # It may be to begin later only, which was said after this process had found it due.
                if fresh is None or fresh.state != "GATHERING" or not await store.is_due(db, sending.id, now):
                    return
                # A large audience takes its time; nobody waits for it.
                await db.execute("SET LOCAL statement_timeout = '1h'")
                if await self.gather(db, fresh, now):
                    await store.set_state(db, sending.id, "RUNNING", now)

    async def _take_back(self, sending: Sending) -> None:
        now = self.clock()
        async with self.database() as db, db.transaction():
            if await store.lock(db, sending) is not None:
                await db.execute("SET LOCAL statement_timeout = '1h'")
                await recipient_store.take_back(db, sending, now)
                await attachment_store.forget_attachments(db, sending)
        await self._end(sending)

    async def _end(self, sending: Sending) -> None:
        """End a sending when nobody's fate is open any more; a triggered one goes on until it is stopped."""
        if sending.document.triggered and sending.state == "RUNNING":
            return
        async with self.database() as db, db.transaction():
            await store.wait_for_plans(db, sending.id)
            locked = await store.lock(db, sending)
            if locked is None or locked.state not in {"RUNNING", "CLOSING"} or await recipient_store.is_open(db, locked):
                return
            now = self.clock()
            await store.set_state(db, sending.id, "ENDED", now)
            if not locked.document.test:
                await self.ended(db, locked, now)
                # Once everybody's fate is known, what was added up on the way is compared with the mails.
                await sums.ask_recount(db, locked.licence_id, locked.campaign_id, usable=True)

    async def _close(self, pool: Connections, closing_s: float) -> None:
        self.stopping = True
        # Only what came of mails is worth a longer wait for a database that is away: their ledgers try again and again.
        pool.hurry()
        if self._working:
            await asyncio.wait(list(self._working.values()), timeout=closing_s)
        for work in [*self._working.values(), self._recalling, self._tidying]:
            work.cancel()
        if self.worker:
            with suppress(Exception):
                # Nothing is held any more, or what is held is to be recovered by others at once.
                async with pool.connection() as db:
                    await worker_store.give_up(db, self.worker, self.clock())

    @asynccontextmanager
    async def database(self) -> AsyncGenerator[Database]:
        """A connection."""
        assert self._pool is not None  # noqa: S101 - it was opened by `run`
        async with self._pool.connection() as db:
            yield db

    def rendering(self, sending: Sending) -> AbstractAsyncContextManager[object]:
        """While mails of a sending are made."""
        return nullcontext() if sending.document.triggered else self._renderings

    def rest(self, sending_id: int, seconds: float) -> None:
        """Do not look at a sending for a while."""
        if seconds:
            self._quiet[sending_id] = monotonic() + seconds

    def leaves_by(self, sending_id: int, way: Way) -> None:
        """Know by which relays the mails of a sending leave."""
        self._ways[sending_id] = way

    @contextmanager
    def aside(self, sending_id: int) -> Generator[None]:
        """While a sending waits for its next mail, or for a relay to be opened: let others have the place."""
        self._aside.add(sending_id)
        try:
            yield
        finally:
            self._aside.discard(sending_id)

    async def works_for(self, db: Database, worker: int, licence_id: int) -> None:
        """Remember where the worker may hold recipients, before it does."""
        if (worker, licence_id) not in self._licences:
            await worker_store.works_for(db, worker, licence_id)
            self._licences.add((worker, licence_id))
