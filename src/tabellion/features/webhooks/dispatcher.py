"""Delivers events for as long as it runs: a task beside the job library, in every worker process.

One loop does all that touches the database, on one connection: it writes down how attempts ended, fans events out, closes
blocks, and claims what is due. The attempts run beside it. The database is asked at short intervals: a notification would
cost every writer, and a look at an empty outbox costs next to nothing. Whoever lives renews the leases of what it is
sending; a worker that dies leaves its deliveries claimed until the lease ends. They are then sent again, under the same id.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import msgspec
import psycopg

from tabellion.features.webhooks import queue, rendering, service, signing, store
from tabellion.features.webhooks.fanout import fan_out
from tabellion.features.webhooks.model import ATTEMPTS, HELD_FOR, Claimed, Outcome, is_own_header, next_attempt
from tabellion.kit.outage import Outage
from tabellion.platform.database.connection import Database
from tabellion.platform.database.pool import with_limits
from tabellion.platform.egress import Client, Reply, Undelivered

_log = logging.getLogger(__name__)
_LONGEST_PAUSE_S = 5.0
# In the time of a lease: a look may be late by most of it.
_RENEWALS = 3
_HONOURED = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_INTERRUPTED = "the worker ended during the attempts"


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How the dispatcher works; the numbers of a server.

    `look_every_s`: pause between looks at the database. `lease`: longer than any look takes. `at_once`: attempts of one
    subscription at the same time (1 while it fails); `most`: attempts of the process, of which one half is kept for
    subscriptions that have none under way.
    """

    look_every_s: float = 0.2
    lease: timedelta = timedelta(seconds=15)
    at_once: int = 8
    most: int = 500


class Dispatcher:
    """`clock` gives aware UTC moments; attempts are made with `client`."""

    def __init__(self, url: str, client: Client, clock: Callable[[], datetime], pace: Pace | None = None) -> None:
        self._conninfo = with_limits(url, application_name="tabellion webhooks")
        self._client = client
        self._clock = clock
        self._pace = pace or Pace()
        self._chance = random.Random()  # noqa: S311 - spreads attempts, hides nothing
        self._running: dict[asyncio.Task[None], Claimed] = {}
        # Until when this process leaves subscriptions alone.
        self._held: dict[int, datetime] = {}
        self._renewed_at = clock()
        self._outcomes: list[Outcome] = []
        self._something_ended = asyncio.Event()

    async def run(self, stop: asyncio.Event, *, closing_s: float = 4.0) -> None:
        """Deliver until `stop`; attempts under way then get `closing_s` seconds to end."""
        pause_s, away = 0.1, Outage(_log)
        while not stop.is_set():
            try:
                async with await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True) as db:
                    await store.seal_unsealed(db)
                    while not stop.is_set():
                        busy = await self.step(db)
                        pause_s = 0.1
                        away.over("webhooks are delivered again")
                        await self._wait(stop, 0 if busy else self._pace.look_every_s)
                    await self._close(db, closing_s)
            except Exception as error:  # noqa: BLE001 - whatever it is, others wait for their news
                # Lost connections, a failover, a subscription deleted at the wrong moment: what was begun is begun again.
                gone = isinstance(error, psycopg.OperationalError)
                away.found(f"deliveries of webhooks are interrupted: {type(error).__name__}", trace=not gone)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def step(self, db: Database) -> bool:
        """One round; whether there is more to do at once."""
        await self._write_down(db)
        now = self._clock()
        await self._renew(db, now)
        events = await fan_out(db, now)
        for subscription_id, size in await queue.full_blocks(db, now):
            async with db.transaction():
                await queue.close_blocks(db, subscription_id, size, now)
        if len(self._running) < self._pace.most:
            busy = Counter(claimed.subscription.id for claimed in self._running.values())
            pace, but = self._pace, [id_ for id_, until in self._held.items() if until > now]
            found = await queue.claim(db, now, lease=pace.lease, busy=busy, but=but, at_once=pace.at_once, most=pace.most)
            unreadable, blocks = list[Claimed](), list[Claimed]()
            for claimed in found:
                if claimed.subscription.unreadable:
                    unreadable.append(claimed)
                elif claimed.was_gathered:
                    blocks.append(claimed)
                else:
                    self._begin(claimed)
            await self._hold(db, unreadable, now)
            if blocks:
                async with db.transaction():
                    await queue.take_apart(db, blocks, now)
        return events > 0

    async def idle(self) -> None:
        """Wait until no attempt is under way; for those who drive `step` themselves."""
        while self._running:
            await asyncio.wait(self._running)

    def _begin(self, claimed: Claimed) -> None:
        if self._held.pop(claimed.subscription.id, None) is not None:
            _log.info("webhook subscription %d is delivered again", claimed.subscription.id)
        task = asyncio.create_task(self._attempt(claimed))
        self._running[task] = claimed
        task.add_done_callback(self._ended)

    async def _hold(self, db: Database, claimed: list[Claimed], now: datetime) -> None:
        """Leave alone, for a while, all of the subscriptions whose secrets this process cannot read."""
        for subscription in {each.subscription.id: each.subscription for each in claimed}.values():
            if subscription.id not in self._held:
                told = "webhook subscription %d of licence %d is held: %s"
                _log.warning(told, subscription.id, subscription.licence_id, service.HELD)
            self._held[subscription.id] = now + HELD_FOR
        if claimed:
            await service.hold(db, claimed, now)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._something_ended.set()

    async def _wait(self, stop: asyncio.Event, seconds: float) -> None:
        """Until the next look: an attempt that ends makes room for the next one."""
        if seconds == 0 or stop.is_set():
            await asyncio.sleep(0)
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._something_ended.wait(), seconds)
            # Others are about to end as well; their results are written down together.
            await asyncio.sleep(0.01)
        self._something_ended.clear()

    async def _close(self, db: Database, closing_s: float) -> None:
        if self._running:
            await asyncio.wait(self._running, timeout=closing_s)
        for task in list(self._running):
            task.cancel()
        await self._write_down(db)

    async def _write_down(self, db: Database) -> None:
        outcomes = self._outcomes[:]
        if outcomes:
            await service.conclude(db, outcomes, self._clock())
            del self._outcomes[: len(outcomes)]

    async def _renew(self, db: Database, now: datetime) -> None:
        # Ahead of now it is where the clock was put back.
        if not timedelta(0) <= now - self._renewed_at < self._pace.lease / _RENEWALS:
            await queue.renew(db, list(self._running.values()), now, self._pace.lease)
            self._renewed_at = now

    async def _attempt(self, claimed: Claimed) -> None:
        if claimed.attempts > len(ATTEMPTS):
            self._outcomes.append(Outcome(claimed, error=_interrupted(claimed.last_error)))
            return
        try:
            body = rendering.body(claimed)
            reply = await self._client.post(claimed.subscription.target_url, self._headers(claimed, body), body)
        except Undelivered as error:
            self._outcomes.append(Outcome(claimed, error=str(error), due_at=self._next(claimed)))
        except Exception:  # noqa: BLE001 - whatever it is, it is this delivery's alone
            _log.exception("an attempt to deliver %s failed by our own fault", claimed.id)
            self._outcomes.append(Outcome(claimed, error="an error of the server", due_at=self._next(claimed)))
        else:
            self._outcomes.append(self._outcome(claimed, reply))

    def _outcome(self, claimed: Claimed, reply: Reply) -> Outcome:
        status = reply.status
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return Outcome(claimed, status)
        gone = status == HTTPStatus.GONE
        wish = self._retry_after(reply) if status in _HONOURED else None
        due_at = None if gone else self._next(claimed, wish)
        return Outcome(claimed, status, f"HTTP {status}", due_at, gone)

    def _next(self, claimed: Claimed, wish: timedelta | None = None) -> datetime | None:
        return next_attempt(claimed.planned_at, claimed.attempts, self._clock(), self._chance, wish)

    def _retry_after(self, reply: Reply) -> timedelta | None:
        """Seconds or a date (RFC 9110, section 10.2.3)."""
        text = reply.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return timedelta(seconds=min(int(text[:9]), ATTEMPTS[-1] // timedelta(seconds=1)))
        try:
            return max(parsedate_to_datetime(text) - self._clock(), timedelta(0)) if text else None
        except (ValueError, TypeError, OverflowError):
            return None

    def _headers(self, claimed: Claimed, body: bytes) -> dict[str, str]:
        subscription = claimed.subscription
        now = self._clock()
        timestamp = int(now.timestamp())
        own = {name: value for name, value in subscription.headers.items() if not is_own_header(name)}
        return own | {
            "Content-Type": "application/json",
            "User-Agent": "Tabellion",
            "webhook-id": claimed.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signing.signature(subscription.secrets(now), claimed.id, timestamp, body),
        }


def _interrupted(told: str | None) -> str:
    """Why a delivery is given up whose last attempt ended its worker: `told` before, maybe once given up and replayed."""
    first = (told or "").partition("; then ")[0]
    return _INTERRUPTED if first in {"", _INTERRUPTED} else f"{first}; then {_INTERRUPTED}"
