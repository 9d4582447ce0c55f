"""What came of the mails of one round, written down together, until it stands in the database."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import datetime
from time import monotonic

import msgspec

from tabellion.features.delivery import limits_store, news, recipient_store, store, suppression_store
from tabellion.features.delivery.model import DOUBTS, SOFT_REASONS, Ending, Sending, State
from tabellion.features.delivery.setbacks import Setbacks, passes
from tabellion.platform.database.connection import Database

_log = logging.getLogger(__name__)


class Ledger:
    """Outcomes are told, and written at most `every_s` later, or as soon as there are `at`; `run` ends after `close`.

    Nothing that was told is ever dropped: a mail of which nobody wrote that it had left would be sent again. Where the
    worker ends before the database is back, the log tells of it. `held` hears that domains want no mails for now.
    """

    def __init__(
        self, database: Callable[[], AbstractAsyncContextManager[Database]], sending: Sending, worker: int,
        clock: Callable[[], datetime], *, every_s: float, at: int, held: Callable[[], None],
    ) -> None:  # fmt: skip
        self._database, self._sending, self._worker, self._clock = database, sending, worker, clock
        self._every_s, self._at, self._held = every_s, at, held
        self._endings: list[Ending] = []
        self._closed, self._wanted = asyncio.Event(), asyncio.Event()
        self._listeners: dict[str, list[str]] = {}
        self._asked_at = 0.0
        what = f"what came of mails of the sending {sending.id} could not be written down yet"
        self._setbacks = Setbacks(what, first_s=0.2, longest_s=10.0)

    def tell(self, ending: Ending) -> None:
        """Have an outcome written down."""
        self._endings.append(ending)
        if len(self._endings) >= self._at:
            self._wanted.set()

    def close(self) -> None:
        """Nothing more will be told."""
        self._closed.set()
        self._wanted.set()

    async def run(self) -> None:
        """Write until it is closed and all stands in the database."""
        try:
            await self._run()
        except asyncio.CancelledError:
            if self._endings:
                known = ", ".join(f"{count} {state}" for state, count in Counter(e.state for e in self._endings).items())
                told = "what came of %d mails of the sending %d could not be written down (%s): others find them uncertain"
                _log.warning(told, len(self._endings), self._sending.id, known)
            raise

    async def _run(self) -> None:
        while not self._closed.is_set() or self._endings:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), self._every_s)
            self._wanted.clear()
            endings = self._endings[:]
            if not endings:
                continue
            try:
                await self.write(endings)
                del self._endings[: len(endings)]
                self._setbacks.over()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                pause_s = self._setbacks.happened(error)
                if not passes(error):
                    # Of one of them, perhaps: the others need not wait for it.
                    await self._write_apart(endings)
                if self._endings:
                    await asyncio.sleep(pause_s)

    async def _write_apart(self, endings: Sequence[Ending]) -> None:
        for ending in endings:
            # The fate counts; the words of a relay can be done without.
            for form in (ending, msgspec.structs.replace(ending, reply=None)):
                try:
                    await self.write([form])
                except Exception as error:  # noqa: BLE001 - it stays among those to be written
                    if passes(error):
                        return
                else:
                    self._endings.remove(ending)
                    break

    async def write(self, endings: list[Ending]) -> None:
        """Write outcomes down at once, all or none of them."""
        sending, now = self._sending, self._clock()
        # Of a mail that was put off and has come to its end meanwhile, the end.
        endings = list({ending.claimed.id: ending for ending in endings}.values())
        async with self._database() as db, db.transaction():
            told = await recipient_store.end(db, sending, self._worker, endings, now)
            await self.announce(db, endings, told, now)
            if doubtful := [e.claimed.id for e in endings if e.claimed.id in told and e.reason in DOUBTS]:
                await news.settle_heard(db, sending.licence_id, doubtful, now)
            gone = [ending.claimed.address for ending in endings if ending.suppress and ending.claimed.id in told]
            if gone:
                await suppression_store.suppress(db, sending.licence_id, gone, "HARD_BOUNCE", now)
            if held := [(ending.claimed.domain, ending.reply or "") for ending in endings if ending.hold]:
                await limits_store.hold_domains(db, sending.licence_id, held, now)
                self._held()
            # In one order: who enters the same moment waits for the other.
            for due_at in sorted({ending.due_at for ending in endings if ending.due_at is not None}):
                await store.look_for_a_while(db, sending.id, due_at)

    async def announce(self, db: Database, endings: Sequence[Ending], told: set[int], now: datetime) -> None:
        """News of mails that left, or were refused, for whoever listens; asked for once a second."""
        if monotonic() >= self._asked_at:
            for kind in (news.SENT, news.HARD_BOUNCE, news.SOFT_BOUNCE):
                self._listeners[kind] = await news.listeners(db, self._sending.licence_id, kind)
            self._asked_at = monotonic() + 1.0
        for kind, subjects in self._listeners.items():
            found = [e for e in endings if e.claimed.id in told and _kind(e) == kind] if subjects else []
            if found:
                said = [news.MailNews(e.claimed.id, detail=None if kind == news.SENT else e.reply) for e in found]
                await news.tell_subjects(db, self._sending.licence_id, subjects, kind, said, now)


def _kind(ending: Ending) -> str | None:
    """What is told of an ending."""
    if ending.state is State.REJECTED:
        return news.SOFT_BOUNCE if ending.reason in SOFT_REASONS else news.HARD_BOUNCE
    return news.SENT if ending.state is State.ACCEPTED else None
