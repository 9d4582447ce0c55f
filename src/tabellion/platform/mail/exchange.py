"""One mail after the other over a connection that is open, greeted and logged in (RFC 5321), and how far each came.

Where the relay announces PIPELINING (RFC 2920), sender, recipient and DATA leave in one piece; the mail itself only when the
relay has asked for it, and the caller agrees. So what is known of a mail is the same with and without: until its octets are
written, everything is certain.
"""

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from tabellion.platform.mail.octets import Lines, finder
from tabellion.platform.mail.waits import Waits

_MAX_REPLY_BYTES = 64 * 1024
# A mail is written in such pieces; the next one when the connection has taken the one before.
_BLOCK_BYTES = 64 * 1024
_END = b"\r\n.\r\n"
_LINE_ENDS = re.compile(rb"\r\n|\r|\n")
_INJECTION = re.compile(r"[\x00-\x20\x7f<>]")
# Where a line begins with a dot, which would end the mail.
_dotted = finder(rb"\r\n\.")
_OK = range(200, 300)
_GO_ON = 354
_REFUSAL = 400


# Asked when the relay waits for the mail: whether it may leave now.
MayLeave = Callable[[], Awaitable[bool]]


class Answer(NamedTuple):
    """A reply of the relay; lines of a long one are joined by blanks."""

    code: int
    text: str


class Broken(ConnectionError):
    """The connection ended, was silent for too long, or spoke another language than SMTP."""


class Outcome(NamedTuple):
    """What a relay said in the end. `at`: the command that it said it to: MAIL, RCPT, DATA or the mail's end (`.`)."""

    answer: Answer
    at: str

    @property
    def accepted(self) -> bool:
        """Whether it took the mail over."""
        return self.at == "." and self.answer.code in _OK


class Exchange(asyncio.Protocol):
    """Takes the place of the protocol that opened the connection.

    `begun`: the mail's end may have been written. `heard`: the relay has answered something about this mail.
    """

    def __init__(self, transport: asyncio.Transport, *, pipelining: bool, waits: Waits) -> None:
        self._transport, self._pipelining, self._waits = transport, pipelining, waits
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._lines: list[str] = []
        self._answers: deque[Answer] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._lost: Broken | None = None
        self._full = False
        self.begun = self.heard = False
        transport.set_write_buffer_limits(high=_BLOCK_BYTES)
        transport.set_protocol(self)

    @property
    def idle(self) -> bool:
        """Whether the connection is open and the relay has said nothing that it was not asked."""
        return self._lost is None and not self._answers and not self._lines and not self._buffer

    async def hand_over(self, sender: str, recipient: str, raw: bytes, may_leave: MayLeave | None = None) -> Outcome | None:
        """Hand over one mail; None: it may not leave after all, and the connection is gone, as there is no other way out.

        Raises `Broken`; whether the mail may have arrived is then said by `begun`. Raises what `may_leave` does.
        """
        self.begun = self.heard = False
        if _INJECTION.search(sender) or _INJECTION.search(recipient):
            raise ValueError("an address with blanks, brackets or control characters")
        commands = (f"MAIL FROM:<{sender}>\r\n".encode(), f"RCPT TO:<{recipient}>\r\n".encode(), b"DATA\r\n")
        refused = await self._envelope(commands)
        if refused is not None:
            return refused
        if may_leave is not None:
            leaves = False
            try:
                leaves = await may_leave()
            finally:
                if not leaves:
                    self._break("the mail was withheld")
            if not leaves:
                return None
        self._expect_nothing()
        return await self._write(stuffed(raw))

    async def _write(self, mail: bytes) -> Outcome:
        """Write a mail piece by piece. What breaks before the last piece is known not to have arrived."""
        for start in range(0, len(mail), _BLOCK_BYTES):
            while self._full and self._lost is None and not self._answers:
                await self._wait(self._loop.time() + self._waits.block_s, f"it took nothing for {self._waits.block_s:g} s")
            if self._answers:
                # It has heard enough. Whatever it says, it has no mail; and what it takes the rest for, nobody knows.
                answer = self._answers.popleft()
                self._break("it answered in the middle of a mail")
                if answer.code >= _REFUSAL:
                    return Outcome(answer, "DATA")
            if self._lost is not None:
                raise self._lost
            self.begun = start + _BLOCK_BYTES > len(mail) - len(_END)
            self._transport.write(mail[start : start + _BLOCK_BYTES])
        return Outcome(await self._answer(self._waits.end_s), ".")

    async def reset(self) -> bool:
        """Have the relay forget a mail that it refused; False: the connection is of no use any more."""
        try:
            self._expect_nothing()
            self._transport.write(b"RSET\r\n")
            return (await self._answer(self._waits.reset_s)).code in _OK
        except Broken:
            return False

    def leave(self) -> None:
        """Say good-bye; the answer is not waited for."""
        if self.idle:
            self._transport.write(b"QUIT\r\n")
        self._transport.close()

    async def _envelope(self, commands: tuple[bytes, ...]) -> Outcome | None:
        """The first refusal; None: the relay waits for the mail."""
        waits = self._waits
        if self._pipelining:
            self._transport.write(b"".join(commands))
        refused: Outcome | None = None
        for (name, wait_s), command in zip(
            (("MAIL", waits.envelope_s), ("RCPT", waits.envelope_s), ("DATA", waits.data_s)), commands, strict=True
        ):
            if not self._pipelining:
                self._expect_nothing()
                self._transport.write(command)
            try:
                answer = await self._answer(wait_s)
                if refused is not None and name == "DATA" and answer.code == _GO_ON:
                    # It wants a mail for nobody: it gets one without content (RFC 2920, section 3.1).
                    self._transport.write(b".\r\n")
                    await self._answer(waits.reset_s)
            except Broken:
                # A relay that refuses may hang up before it has answered the rest.
                if refused is None:
                    raise
                return refused
            asks = name == "DATA" and answer.code == _GO_ON
            if refused is None and not asks and (name == "DATA" or answer.code not in _OK):
                refused = Outcome(answer, name)
                if not self._pipelining:
                    return refused
        return refused

    def _expect_nothing(self) -> None:
        """An answer that comes before its question is another one's. Raises `Broken`: the two are out of step."""
        if not self.idle:
            self._break("it said something that it was not asked")
            if self._lost is not None:
                raise self._lost

    async def _answer(self, within_s: float) -> Answer:
        until = self._loop.time() + within_s
        while not self._answers:
            if self._lost is not None:
                raise self._lost
            await self._wait(until, f"no answer within {within_s:g} s")
        self.heard = True
        return self._answers.popleft()

    async def _wait(self, until: float, why: str) -> None:
        """Until something has changed; then the connection is given up, and `why` says why."""
        self._waiter = self._loop.create_future()
        timer = self._loop.call_at(until, self._break, why)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _break(self, why: str) -> None:
        if self._lost is None:
            self._lost = Broken(why)
        # What has not left yet is not to leave later.
        self._transport.abort()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # --- called by the transport ---

    def data_received(self, data: bytes) -> None:
        """More of what the relay says."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            code = line[:3]
            if not code.isdigit() or line[3:4] not in {b" ", b"-", b"", b"\r"}:
                self._break(f"an answer that is none: {line[:80].decode(errors='replace')}")
                return
            self._lines.append(line[4:].decode(errors="surrogateescape").strip())
            if line[3:4] != b"-":
                self._answers.append(Answer(int(code), " ".join(self._lines)))
                self._lines = []
        if len(self._buffer) + sum(map(len, self._lines)) > _MAX_REPLY_BYTES:
            self._break("an answer without end")
        elif self._answers:
            self._wake()

    def pause_writing(self) -> None:
        """The connection has enough for now."""
        self._full = True

    def resume_writing(self) -> None:
        """It takes more."""
        self._full = False
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        if self._lost is None:
            self._lost = Broken(str(exc) if exc else "the relay hung up")
        self._wake()


def stuffed(raw: bytes) -> bytes:
    """A mail as it goes over the wire: lines end with CRLF whatever ended them, and none of them is the end of the mail."""
    if not isinstance(raw, Lines) and not raw.count(b"\n") == raw.count(b"\r") == raw.count(b"\r\n"):
        raw = _LINE_ENDS.sub(b"\r\n", raw)
    if not raw.endswith(b"\r\n"):
        raw += b"\r\n"
    if raw.startswith(b"."):
        raw = b"." + raw
    if _dotted(raw):
        raw = raw.replace(b"\r\n.", b"\r\n..")
    return raw + b".\r\n"
