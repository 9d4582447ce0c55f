"""Handing mails over to a relay (SMTP, RFC 5321), over connections that are kept, and saying exactly what came of each.

A mail whose end was sent and not answered is UNCERTAIN: the relay may have it. Everything before that point, and every
answer, is certain.
"""

import asyncio
import time
from enum import StrEnum
from functools import partial
from typing import Self, cast

import aiosmtplib
import msgspec

from tabellion.platform.mail.exchange import Broken, Exchange, MayLeave, Outcome
from tabellion.platform.mail.opening import Relay, UnreachableError, in_one_line, opened, said, turned_away
from tabellion.platform.mail.refusals import Refusal, judge
from tabellion.platform.mail.refusals.status import tells_of_domain, tells_of_recipient
from tabellion.platform.mail.turns import Turns
from tabellion.platform.mail.waits import Waits

_IDLE_S = 20.0
# All connections are busy, and none has come to an end for so long: mails had better leave by others.
_STUCK_S = 5.0
_MAILS_PER_CONNECTION = 500
_CLOSING_CHANNEL = 421
# To a sender: whoever it is. RFC 4954 and 3207 have the second for "log in first" and "TLS first".
_NOT_OVER_THIS = frozenset({_CLOSING_CHANNEL, 530})
_TRANSIENT, _PERMANENT = 400, 500
_MOST_DIGITS = 16


class Fate(StrEnum):
    """What came of handing a mail over."""

    ACCEPTED = "ACCEPTED"
    DEFERRED = "DEFERRED"
    REJECTED = "REJECTED"
    UNCERTAIN = "UNCERTAIN"
    # The caller did not let it leave.
    WITHHELD = "WITHHELD"


class Reply(msgspec.Struct, frozen=True):
    """The fate of one mail and what the relay said.

    `no_mailbox`: it said that nobody lives at the address. `of_us`: it refused for whom the mail is from or what it is,
    whoever it is for. `of_domain`: "later" was said, and may be what the recipient's domain says.
    `reached` false: there was no connection that takes mails, so that nothing has left. `busy`: all of them were stuck.
    """

    fate: Fate
    text: str
    no_mailbox: bool = False
    of_us: bool = False
    of_domain: bool = False
    reached: bool = True
    busy: bool = False


class Post:
    """Connections to one relay. Use as `async with Post(relay) as post`. `stuck_s`: see `is_stuck`."""

    def __init__(self, relay: Relay, *, waits: Waits | None = None, stuck_s: float = _STUCK_S) -> None:
        self.relay = relay
        self._waits, self._stuck_s = waits or Waits(), stuck_s
        self._free: list[_Line] = []
        self._slots = asyncio.Semaphore(relay.connections)
        self._moved_at = time.monotonic()
        # How many mails the relay waits for, because whoever hands them over is still being asked whether they may leave.
        self._withheld = 0
        self._closed = False
        self._turns = Turns()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        # What is on its way comes to its end, and its connection is not kept.
        self._closed = True
        while self._free:
            self._free.pop().close()

    @property
    def is_stuck(self) -> bool:
        """Whether all connections are busy and the relay has brought none of them to an end for `stuck_s`."""
        return self._slots.locked() and self._stuck_in_s <= 0

    @property
    def _stuck_in_s(self) -> float:
        """For how long the relay may still bring nothing to an end; while it waits for us, that time does not pass."""
        return self._stuck_s if self._withheld else self._moved_at + self._stuck_s - time.monotonic()

    @property
    def _there(self) -> int:
        """Connections that are open or being opened."""
        return self._turns.busy + len(self._free)

    async def deliver(
        self, sender: str, recipient: str, raw: bytes, may_leave: MayLeave | None = None, *, patient: bool = True
    ) -> Reply:
        """Hand one mail over. Raises nothing of the relay's: a failure is a fate.

        `may_leave` is asked when the relay waits for the mail; what it raises is raised. Who is not `patient` does not wait
        for a connection of a relay that is stuck.
        """
        if not await self._take_slot(patient=patient):
            return Reply(Fate.DEFERRED, "all connections of the relay are stuck", reached=False, busy=True)
        try:
            fresh = False
            while True:
                line = self._kept()
                if line is None:
                    if not self._turns.may_open():
                        await self._turns.wait()
                        continue
                    try:
                        with self._turns.taken():
                            line, fresh = await self._connect(), True
                    except UnreachableError as error:
                        if not error.full or not self._there:
                            return Reply(Fate.DEFERRED, str(error), reached=False)
                        self._turns.refused(self._there)
                        continue
                    self._turns.opened(self._there + 1)
                reply = await self._deliver(line, sender, recipient, raw, may_leave)
                if fresh or not line.is_over:
                    break
            if line.turned_away:
                return msgspec.structs.replace(
                    reply, fate=Fate.DEFERRED, text=turned_away(self.relay, reply.text), reached=False
                )
            return reply
        finally:
            self._give_slot()

    async def _deliver(self, line: "_Line", sender: str, recipient: str, raw: bytes, may_leave: MayLeave | None) -> Reply:
        with self._turns.taken():
            try:
                return await line.deliver(sender, recipient, raw, may_leave and partial(self._ask, may_leave))
            finally:
                self._keep(line)

    async def _ask(self, may_leave: MayLeave) -> bool:
        """Whether a mail may leave; meanwhile it is not the relay that is waited for."""
        self._withheld += 1
        try:
            return await may_leave()
        finally:
            self._withheld -= 1
            self._moved_at = time.monotonic()

    def _keep(self, line: "_Line") -> None:
        if line.usable and not self._closed:
            self._free.append(line)
        else:
            line.close()

    async def reach(self) -> str | None:
        """Open a connection and keep it, unless one is kept; what is wrong when that is not possible."""
        await self._take_slot(patient=True)
        try:
            self._free.append(self._kept() or await self._connect())
        except UnreachableError as error:
            return str(error)
        finally:
            self._give_slot()
        return None

    async def _take_slot(self, *, patient: bool) -> bool:
        while not patient and self._slots.locked():
            if self.is_stuck:
                return False
            try:
                async with asyncio.timeout(max(self._stuck_in_s, 0.0)):
                    await self._slots.acquire()
            except TimeoutError:
                continue
            break
        else:
            await self._slots.acquire()
        self._moved_at = time.monotonic()
        return True

    def _give_slot(self) -> None:
        self._moved_at = time.monotonic()
        self._slots.release()

    def _kept(self) -> "_Line | None":
        while self._free:
            line = self._free.pop()
            if line.exchange.idle and time.monotonic() - line.used_at < _IDLE_S:
                return line
            line.close()
        return None

    async def _connect(self) -> "_Line":
        """A new connection. Raises `UnreachableError`."""
        client = await opened(self.relay, self._waits.opening_s)
        if client.transport is None:
            raise UnreachableError(self.relay, "the relay hung up")
        pipelining = client.supports_extension("pipelining")
        exchange = Exchange(cast("asyncio.Transport", client.transport), pipelining=pipelining, waits=self._waits)
        size = client.esmtp_extensions.get("size", "")
        return _Line(client, exchange, int(size) if size.isdecimal() and len(size) < _MOST_DIGITS else 0)


class _Line:
    """One connection. `usable`: another mail may go over it.

    `turned_away`: the relay takes no mail over it, whoever it is from and for. `is_over`: it was so, or gone, before it was
    asked for this one, of which it knows nothing. `most`: octets that a mail may have, as the relay says (RFC 1870); 0: any.
    """

    def __init__(self, client: aiosmtplib.SMTP, exchange: Exchange, most: int) -> None:
        self.client, self.exchange, self._most = client, exchange, most
        self.usable = True
        self.is_over = self.turned_away = False
        self.used_at = time.monotonic()
        self._mails = 0

    def close(self) -> None:
        """Take leave, where the relay still listens, and close."""
        self.exchange.leave()
        self.client.close()

    async def deliver(self, sender: str, recipient: str, raw: bytes, may_leave: MayLeave | None) -> Reply:
        if 0 < self._most < len(raw):
            told = f"the mail has {len(raw):,} octets, and the relay takes {self._most:,} at most"
            return Reply(Fate.REJECTED, told, of_us=True)
        exchange, self.usable = self.exchange, False
        try:
            outcome = await exchange.hand_over(sender, recipient, raw, may_leave)
        except Broken as error:
            self.is_over = not exchange.heard
            return Reply(Fate.UNCERTAIN if exchange.begun else Fate.DEFERRED, f"the connection broke: {said(error)}")
        if outcome is None:
            return Reply(Fate.WITHHELD, "withheld")
        reply = _reply(outcome)
        # A limit of mails for a connection, say, or no login.
        self.is_over = self.turned_away = outcome.at == "MAIL" and outcome.answer.code in _NOT_OVER_THIS
        if reply.fate is Fate.UNCERTAIN or self.turned_away or outcome.answer.code == _CLOSING_CHANNEL:
            return reply
        if outcome.accepted or await exchange.reset():
            self._mails += 1
            self.used_at = time.monotonic()
            self.usable = self._mails < _MAILS_PER_CONNECTION
        return reply


def _reply(outcome: Outcome) -> Reply:
    answer = outcome.answer
    text = in_one_line(f"{answer.code} {answer.text}")
    if outcome.accepted:
        return Reply(Fate.ACCEPTED, text)
    if answer.code >= _PERMANENT:
        # Some look for the recipient when they have the mail; it has no other one.
        of_recipient = outcome.at == "RCPT" or (outcome.at == "." and tells_of_recipient(text))
        refusal = judge(text).refusal if of_recipient else Refusal.BLOCK
        return Reply(Fate.REJECTED, text, refusal is Refusal.HARD, refusal is Refusal.BLOCK)
    if answer.code >= _TRANSIENT or outcome.at != ".":
        return Reply(Fate.DEFERRED, text, of_domain=outcome.at != "MAIL" and tells_of_domain(text))
    # After the end of a mail there is no such answer: nobody knows what it means.
    return Reply(Fate.UNCERTAIN, text)
