"""Mails on their way out, as many at a time as there are connections.

A relay is first asked whether it takes the mail (sender, recipient, DATA). Only then is it committed that the mail leaves,
together with all others whose relays have said yes meanwhile, and then its first octet is written. So what a crash leaves in
doubt are mails that were being written or whose last answer was awaited, and none that waited for its turn.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic

import msgspec

from tabellion.features.delivery.composing import Ready
from tabellion.features.delivery.favour import Favour
from tabellion.features.delivery.model import (
    DECLINED,
    UNCERTAIN,
    Claimed,
    Ending,
    Policy,
    State,
    in_doubt,
    next_attempt,
    own_failure,
    put_back,
    words_of,
)
from tabellion.features.delivery.patience import Patience
from tabellion.features.delivery.transport import Exit, Way
from tabellion.platform.mail import Fate, Reply

_log = logging.getLogger(__name__)
# Mails that are ready while all connections are busy.
_AHEAD = 200
# A mail that was about to leave for longer than this (the process was stopped) does not leave: others may have given it up.
_STALE_S = 20.0
# So many errors of our own in a row are not the mails'.
TOO_MANY = 20


class Orders(msgspec.Struct, frozen=True):
    """What handing over needs from others.

    `begin` commits that mails leave and answers the ids of those that may (None: the sending is held); `give_back` has the
    others looked at afresh; `tell` hears what came of each, `stumbled` of errors of our own; `stopping` says that nothing
    more is to begin.
    """

    begin: Callable[[Sequence[Claimed]], Awaitable[set[int] | None]]
    give_back: Callable[[Sequence[Claimed]], Awaitable[None]]
    tell: Callable[[Ending], None]
    stumbled: Callable[[Exception], object]
    stopping: Callable[[], bool]
    clock: Callable[[], datetime]
    policy: Policy
    patience: Patience
    licence_id: int
    favour: Favour = msgspec.field(default_factory=Favour)


class NotCommittedError(Exception):
    """The database did not say that a mail may leave; `__cause__` is why."""


class Handing:
    """Mails are `put`; `end` waits for those that have begun and gives back the others.

    `halted`: no more are wanted; `failed`: nor will be.
    """

    def __init__(self, way: Way, orders: Orders) -> None:
        self._way, self._orders = way, orders
        # Each with the edition of its contents, of which only the latest leaves.
        self._ready: asyncio.Queue[tuple[int, Ready] | None] = asyncio.Queue(_AHEAD)
        self._asking: list[tuple[int, Claimed, asyncio.Future[bool]]] = []
        self._edition = 0
        self._committing: asyncio.Task[None] | None = None
        self._left: list[Claimed] = []
        self._error: BaseException | None = None
        self._leaving: set[int] = set()
        self._stumbles = 0
        self._open = 0
        self._nothing_open = asyncio.Event()
        self._nothing_open.set()
        self.halted = False
        self._slots: list[asyncio.Task[None]] = []
        self._exits: set[Exit] = set()
        self.use(way)

    def use(self, way: Way) -> None:
        """Hand mails over to these relays from now on: to others, only those that were asked already. None: halt."""
        self._way = way
        self.halted = self.halted or not way.posts
        # Those of a relay that was known before may all wait for it.
        new = way.exits - self._exits
        self._exits |= new
        self._slots += [asyncio.create_task(self._slot()) for exit_ in new for _ in range(exit_.post.relay.connections)]

    @property
    def failed(self) -> bool:
        """Whether something is wrong that `end` raises."""
        return self._error is not None

    async def put(self, mails: Sequence[Ready]) -> None:
        """Have mails handed over; waits while enough of them wait."""
        for mail in mails:
            self._open += 1
            self._nothing_open.clear()
            await self._ready.put((self._edition, mail))

    async def settled(self, within_s: float) -> bool:
        """Whether of all mails that were put it is known what becomes of them, or is so soon."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._nothing_open.wait(), within_s)
        return self._nothing_open.is_set()

    def renew(self) -> None:
        """The sending has other contents: what was put until now begins no more, though a relay was asked for it already."""
        self._edition += 1

    def resume(self, way: Way) -> None:
        """Go on, by these relays."""
        self.use(way)
        self.halted = False

    async def give_back(self) -> None:
        """Have those looked at afresh that could not begin."""
        left, self._left = self._left, []
        if left:
            await self._orders.give_back(left)

    async def end(self) -> None:
        """Wait for what has begun. Raises what kept the others from it."""
        for _ in self._slots:
            await self._ready.put(None)
        await asyncio.wait(self._slots)
        await self.give_back()
        if self._error is not None:
            raise self._error

    async def _slot(self) -> None:
        """One connection's worth of work. Without the database it ends, but not before all know of their mails."""
        while (put := await self._ready.get()) is not None:
            edition, mail = put
            try:
                if self.halted or self._orders.stopping() or edition != self._edition:
                    self._left.append(mail.claimed)
                else:
                    await self._deliver(mail, edition)
            except NotCommittedError as error:
                self._error = self._error or error.__cause__
                self.halted = True
            except Exception as error:  # noqa: BLE001 - the others are not to wait for this one
                self._stumble(mail.claimed, error)
            finally:
                self._leaving.discard(mail.claimed.id)
                self._open -= 1
                if not self._open:
                    self._nothing_open.set()

    def _stumble(self, claimed: Claimed, error: Exception) -> None:
        """An error of our own: it is this mail's, unless all have it. Once its octets may be written, nobody knows."""
        orders = self._orders
        orders.stumbled(error)
        if claimed.id in self._leaving:
            orders.tell(self._ending(claimed, Reply(Fate.UNCERTAIN, words_of(error)), hold=False))
        else:
            orders.tell(own_failure(claimed, error, orders.clock()))
        self._stumbles += 1
        if self._stumbles >= TOO_MANY:
            self._error = self._error or error
            self.halted = True

    async def _deliver(self, mail: Ready, edition: int) -> None:
        orders, claimed = self._orders, mail.claimed
        if rest_s := orders.patience.rest_s(orders.licence_id, claimed.domain):
            # To the second, so that many of them are one look.
            due_at = orders.clock().replace(microsecond=0) + timedelta(seconds=int(rest_s) + 1)
            orders.tell(put_back(claimed, due_at))
            return
        reply, relay = await self._way.deliver(
            mail.sender, mail.recipient, mail.raw, lambda exit_: self._may_leave(claimed, exit_, edition), orders.favour
        )
        self._stumbles = 0
        if relay is None or not reply.reached:
            # It is no fault of the mail's: it waits with the others until a relay can be reached.
            self._left.append(claimed)
            self.halted = self.halted or self._way.is_blocked or self._way.rests_s(orders.favour) > 0
            return
        if reply.fate is not Fate.WITHHELD:
            hold = orders.patience.hears(orders.licence_id, claimed.domain, reply)
            ending = self._ending(claimed, reply, hold=hold)
            for each in orders.favour.weigh(relay, reply, ending, orders.clock()):
                orders.tell(each)

    async def _may_leave(self, claimed: Claimed, exit_: Exit, edition: int) -> bool:
        """Commit that a mail leaves, together with those that come while another commit is under way.

        Not by a relay that was taken away while it was asked: it may have been for what it does with mails.
        """
        asked_at = monotonic()
        if self.halted or edition != self._edition or exit_ not in self._way.exits:
            self._left.append(claimed)
            return False
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asking.append((edition, claimed, future))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit())
        try:
            leaves = await future
        except Exception as error:
            raise NotCommittedError from error
        if not leaves:
            self._left.append(claimed)
            return False
        if monotonic() - asked_at > _STALE_S:
            self._orders.tell(put_back(claimed, self._orders.clock()))
            return False
        self._leaving.add(claimed.id)
        return True

    async def _commit(self) -> None:
        while self._asking:
            asking, self._asking = self._asking, []
            try:
                latest = [claimed for edition, claimed, _ in asking if edition == self._edition]
                begun = await self._orders.begin(latest) if latest else set[int]()
            except BaseException as error:  # noqa: BLE001 - each of them hears of it
                for _, _, future in asking:
                    future.set_exception(error if isinstance(error, Exception) else RuntimeError("interrupted"))
            else:
                self.halted = self.halted or begun is None
                for _, claimed, future in asking:
                    future.set_result(begun is not None and claimed.id in begun)
        self._committing = None

    def _ending(self, claimed: Claimed, reply: Reply, *, hold: bool) -> Ending:
        now = self._orders.clock()
        match reply.fate:
            case Fate.ACCEPTED:
                return Ending(claimed, State.ACCEPTED, reply=reply.text)
            case Fate.REJECTED if claimed.doubtful and not reply.no_mailbox:
                # This one is refused, for good; the earlier one may have arrived.
                return Ending(claimed, State.UNCERTAIN, UNCERTAIN, reply.text)
            case Fate.REJECTED:
                reason = "refused" if reply.no_mailbox else DECLINED
                return Ending(claimed, State.REJECTED, reason, reply.text, suppress=reply.no_mailbox)
            case Fate.UNCERTAIN if self._orders.policy is Policy.RESEND:
                return in_doubt(claimed, reply.text, now)
            case Fate.UNCERTAIN:
                return Ending(claimed, State.UNCERTAIN, UNCERTAIN, reply.text)
            case _ if claimed.doubtful:
                return in_doubt(claimed, reply.text, now, hold=hold)
            case _:
                due_at = next_attempt(claimed, now)
                state = State.DEFERRED if due_at else State.REJECTED
                return Ending(claimed, state, "deferred" if due_at else "expired", reply.text, due_at, hold=hold)
