"""The process's one connection to the gate: whoever asks while a question is on its way is asked with the next one.

Slots that became free ride along, and are handed in at once when nobody asks. A heartbeat keeps the process's slots valid;
when the process dies, its lease runs out and they are free.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import NamedTuple

import psycopg

from tabellion.features.usage import store
from tabellion.features.usage.model import Verdict
from tabellion.kit.outage import Outage
from tabellion.platform.database.connection import Connection
from tabellion.platform.database.errors import Unavailable
from tabellion.platform.database.pool import with_settings

_log = logging.getLogger(__name__)

LEASE = timedelta(seconds=6)
HEARTBEAT_S = 2.0
MAX_BATCH = 200
_SETTINGS = {
    "TimeZone": "UTC",
    "statement_timeout": "5000",
    "synchronous_commit": "off",
    # The gate looks rows up by their primary keys, however large its tables were when its statements were planned.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
# A database that has not even ended the statement by then hangs, and may do so for long.
_ANSWERS_WITHIN_S = 8.0
# When it has answered nobody for so much longer, no statement of anybody can still be in time.
_HANGS_S = 30.0
# Freed slots wait at most this long for a question to ride with.
_LINGER_S = 0.001
_RELEASE_LINGERS = 3
_MOST_TURNS = 10
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0

_NEVER = datetime.min.replace(tzinfo=UTC)

Request = tuple[str, bytes, int, int, int]


class _Waiting(NamedTuple):
    request: Request
    answer: asyncio.Future[Verdict | None]


def _credential(waiting: _Waiting) -> tuple[str, bytes, int, int]:
    return waiting.request[:4]


class Batcher:
    """Puts requests to the gate in batches. One per process and event loop. `hangs` is called while the database does."""

    def __init__(self, url: str, grace: timedelta, hangs: Callable[[], None] = lambda: None) -> None:
        self._hangs = hangs
        self._conninfo = with_settings(url, _SETTINGS, application_name="tabellion gate")
        self._grace = grace
        self._waiting: list[_Waiting] = []
        self._released: list[int] = []
        self._refused: Counter[int] = Counter()
        self._held: Counter[int] = Counter()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._database: Connection | None = None
        self._process = 0
        # On the gate's clock, which is the database's.
        self._beat_at = _NEVER
        self._turn = asyncio.Lock()
        self._away = Outage(_log)
        self.connected = False

    async def start(self) -> None:
        """Connect and register. Raises psycopg.OperationalError."""
        await self._connect()
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._beat())]

    async def stop(self) -> None:
        """Hand in what is held and leave."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._database is not None:
            with contextlib.suppress(psycopg.Error):
                await store.farewell(self._database, self._process)
            await self._database.close()

    async def ask(self, request: Request) -> Verdict | None:
        """The gate's verdict; None for unknown credentials. Raises `Unavailable`."""
        if not self.connected:
            raise Unavailable("the database is not reachable; repeat the call in a moment")
        answer: asyncio.Future[Verdict | None] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(request, answer)
        self._waiting.append(waiting)
        self._wake.set()
        try:
            return await answer
        except asyncio.CancelledError:
            self._give_up(waiting)
            raise

    def release(self, licence_id: int) -> None:
        """Hand a slot in; never waits."""
        self._released.append(licence_id)
        self._wake.set()

    def count_refusal(self, licence_id: int) -> None:
        """Count a call that was let in and refused later, by another limit; written with the next question. Never waits."""
        self._refused[licence_id] += 1
        self._wake.set()

    def _give_up(self, waiting: _Waiting) -> None:
        """The caller has gone: an answer that came meanwhile, or still comes, must not keep its slot."""
        with contextlib.suppress(ValueError):
            self._waiting.remove(waiting)
            return
        answer = waiting.answer
        if answer.done() and not answer.cancelled() and answer.exception() is None:
            self._take_back(waiting.request, answer.result())

    def _take_back(self, request: Request, verdict: Verdict | None) -> None:
        if verdict is not None and verdict.verdict == "admit" and request[4] & 2:
            self.release(verdict.licence_id)

    async def _run(self) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            await self._wake.wait()
            await self._linger()
            self._wake.clear()
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            released, self._released = self._released, []
            if self._waiting:
                self._wake.set()
            try:
                async with self._turn:
                    hangs = self._broken_off_later()
                    try:
                        await self._put(batch, released)
                    finally:
                        hangs.cancel()
                self._away.over("the gate can be asked again")
                pause = _FIRST_PAUSE_S
            except Exception as error:  # noqa: BLE001 - whatever it was: a gate that nobody asks any more stops every call
                self._refuse(batch, error)
                await self._reconnect(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)

    def _broken_off_later(self) -> asyncio.TimerHandle:
        """Have whoever waits for the database find the connection lost when it hangs; to be cancelled when it has answered.

        `asyncio.timeout` would cost three times as much with each question, and end a wait later: the driver then asks the
        database to cancel the statement, and waits for that, too.
        """
        return asyncio.get_running_loop().call_later(_ANSWERS_WITHIN_S, self._break_off)

    def _break_off(self) -> None:
        if self._database is not None:
            self._database.break_off()

    async def _linger(self) -> None:
        """Let freed slots wait a little for a question to ride with, and let whoever is ready to ask do so.

        A turn of the event loop runs what is ready and never waits, so under load the batches grow and nothing is idle.
        """
        for _ in range(_RELEASE_LINGERS):
            if self._waiting:
                break
            await asyncio.sleep(_LINGER_S)
        asked = 0
        for _ in range(_MOST_TURNS):
            if len(self._waiting) == asked:
                break
            asked = len(self._waiting)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def _put(self, batch: list[_Waiting], released: list[int]) -> None:
        if self._database is None:
            raise psycopg.OperationalError("not connected")
        while self._refused:
            licence_id, times = next(iter(self._refused.items()))
            await store.count_refusals(self._database, licence_id, times)
            self._refused -= Counter({licence_id: times})
        freed = Counter(released)
        self._held.subtract(freed)
        batch.sort(key=_credential)
        verdicts = await store.ask(self._database, self._process, freed, [w.request for w in batch], self._grace)
        by_request = {verdict.request: verdict for verdict in verdicts}
        for number, waiting in enumerate(batch, start=1):
            verdict = by_request.get(number)
            if verdict is not None and verdict.verdict == "admit" and waiting.request[4] & 2:
                self._held[verdict.licence_id] += 1
            if waiting.answer.done():
                self._take_back(waiting.request, verdict)
            else:
                waiting.answer.set_result(verdict)

    def _refuse(self, batch: list[_Waiting], error: Exception) -> None:
        self._away.found(f"the gate cannot be asked: {type(error).__name__}")
        for waiting in [*batch, *self._waiting]:
            if not waiting.answer.done():
                waiting.answer.set_exception(Unavailable("the database is not reachable; repeat the call in a moment"))
        self._waiting = []

    async def _reconnect(self, pause: float) -> None:
        self.connected = False
        answered_at = monotonic()
        while True:
            await asyncio.sleep(pause)
            try:
                async with self._turn, asyncio.timeout(_ANSWERS_WITHIN_S):
                    await self._connect()
            except Exception as error:  # noqa: BLE001 - as above
                if not isinstance(error, TimeoutError):
                    answered_at = monotonic()
                elif monotonic() - answered_at > _HANGS_S:
                    self._hangs()
                pause = min(pause * 2, _LONGEST_PAUSE_S)
            else:
                return

    async def _connect(self) -> None:
        if self._database is not None:
            await self._database.close()
        self._database = await Connection.connect(self._conninfo)
        # The clock may have been put back while nobody looked.
        await self._bring_back(self._database)
        # A new identity; the old one's lease runs out by itself. What is still held is stated anew.
        self._process = await store.register(self._database, LEASE, list((+self._held).elements()))
        self.connected = True

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            database = self._database
            if database is None or not self.connected:
                continue
            try:
                async with self._turn:
                    hangs = self._broken_off_later()
                    try:
                        moment = await store.heartbeat(database, self._process, LEASE)
                        if moment is not None and moment < self._beat_at:
                            await self._bring_back(database)
                    finally:
                        hangs.cancel()
                    if moment is None:
                        async with asyncio.timeout(_ANSWERS_WITHIN_S):
                            await self._connect()
                    self._beat_at = moment or _NEVER
            except Exception:  # noqa: BLE001 - as above
                # The connection is broken: the run loop notices with the next question, and reconnects.
                await database.close()
                self._wake.set()

    async def _bring_back(self, database: Connection) -> None:
        licences = await store.bring_back(database, LEASE)
        if licences:
            _log.warning("the database's clock was put back: the limits of %d licences go on from now", licences)
