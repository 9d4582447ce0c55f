"""An SMTP server that has one fault, at its first mail, and what came of the mails that were handed to it.

What is said to be accepted has arrived once, what is said to be refused or put off has not, and the mails behind come whole
and under their own names.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from tabellion.features.delivery.composing import Ready
from tabellion.features.delivery.handing import Handing, Orders
from tabellion.features.delivery.model import Claimed, Ending, Policy, State
from tabellion.features.delivery.patience import Patience
from tabellion.features.delivery.transport import Exit, Way
from tabellion.kit.clock import utc_now
from tabellion.platform.mail import Post, Relay, Waits
from tests.support.wire import bare_line_end

GOOD = {"GREETING": "220 ready", "EHLO": "250 here", "DATA": "354 go on"}
# Not an answer that counts: it breaks off, or is none.
BROKEN = ("hang up", "reset", "silence", "late", "no code", "binary", "zero", "blank", "endless", "half", "other code")
CUTS = ("RST", "FIN without close_notify", "close_notify")
SLOW = ("slow bytes", "several lines", "many lines", "bare LF", "tabs")
LATER = ("421 4.3.2 closing", "451 4.7.1 later", "452")
REFUSED = ("554 5.7.1 no", "550 no", "500 5.5.1 what")
SILENT = {"silence", "late", "half"}
MAILS = 3


class Case(NamedTuple):
    """One server, and how mails in doubt are treated."""

    stage: str
    fault: str
    pipelining: bool
    policy: Policy

    @property
    def is_doubtful(self) -> bool:
        """Whether the first mail may have arrived, and nobody knows."""
        return self.stage in {"BODY", "."} and self.fault in (*BROKEN, *CUTS)

    @property
    def state(self) -> State | None:
        """What becomes of the first mail; None: there is no connection, and it waits with the others."""
        if self.fault in SLOW:
            return State.ACCEPTED
        if self.stage == "GREETING" or (self.stage == "MAIL" and self.fault.startswith("421")):
            return None
        if self.stage == "EHLO":
            # Who does not know EHLO is asked by HELO.
            return (
                None
                if (self.fault in (*BROKEN, *CUTS) and self.fault != "other code") or self.fault.startswith("421")
                else State.ACCEPTED
            )
        if self.is_doubtful:
            return State.UNCERTAIN if self.policy is Policy.HOLD else State.DEFERRED
        return State.REJECTED if self.fault in REFUSED else State.DEFERRED


class Server:
    """`arrived`: recipients and contents of the mails that it took over, also where it did not say so."""

    security = "NONE"
    tls: ssl.SSLContext | None = None

    def __init__(self, case: Case, patience_s: float) -> None:
        self.case, self.patience_s = case, patience_s
        self.arrived: list[tuple[str, bytes]] = []
        self._faulty = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if await self._answer(writer, "GREETING"):
                await self.dialogue(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def dialogue(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What follows the greeting."""
        recipient, is_open = "", False
        while line := await reader.readline():
            word = line[:4].decode(errors="replace").strip().upper()
            if word == "RCPT":
                recipient = line.decode().partition("<")[2].partition(">")[0]
            if word == "MAIL" and is_open:
                # One mail after the other: what was refused has to be taken back (RSET) first.
                writer.write(b"503 5.5.1 nested MAIL\r\n")
                continue
            said = await self._answer(writer, word)
            is_open = said.startswith("250") if word == "MAIL" else is_open and word not in {"RSET", "DATA"}
            if word == "DATA" and said == GOOD["DATA"]:
                content = await self.content(reader, writer)
                if not content:
                    return
                takes = not (self._faulty and self.case.stage == "." and self.case.fault in {*LATER, *REFUSED})
                # Whose sender or recipient was refused in one piece with DATA sends a mail without content (RFC 2920).
                if takes and content != b".\r\n":
                    self.arrived.append((recipient, content))
                said = await self._answer(writer, ".")
            if not said:
                return

    async def content(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """A mail; empty: the connection is over."""
        content = b""
        while not content.endswith(b"\r\n.\r\n") and content != b".\r\n":
            content += await reader.readuntil(b"\r\n")
        return content

    async def _answer(self, writer: asyncio.StreamWriter, stage: str) -> str:  # noqa: PLR0912 - one for each fault
        """Answer, well or with the fault; empty: the connection is over."""
        good = GOOD.get(stage, "250 ok")
        if stage == "EHLO" and self.case.pipelining:
            good = "250-here\r\n250 PIPELINING"
        if stage != self.case.stage or not self._faulty:
            writer.write(f"{good}\r\n".encode())
            return good
        self._faulty = False
        code = good[:3]
        match self.case.fault:
            case "hang up":
                return ""
            case "reset":
                writer.transport.abort()
                return ""
            case "silence" | "late" | "half":
                writer.write(code.encode() if self.case.fault == "half" else b"")
                await asyncio.sleep(self.patience_s)
                writer.write(f"{good}\r\n".encode() if self.case.fault == "late" else b"")
                return ""
            case "slow bytes":
                for octet in f"{good}\r\n".encode():
                    writer.write(bytes([octet]))
                    await asyncio.sleep(0)
            case "several lines":
                writer.write(f"{code}-one\r\n{code}-\r\n".encode())
                await asyncio.sleep(0.001)
                writer.write(f"{good}\r\n".encode())
            case "many lines":
                writer.write(f"{code}-more\r\n".encode() * 100 + f"{good}\r\n".encode())
            case "bare LF":
                writer.write(good.replace("\r\n", "\n").encode() + b"\n")
            case "tabs":
                writer.write(f"{good}\tand\x01\x7f more\r\n".encode())
            case "endless":
                while True:
                    writer.write(f"{code}-more\r\n".encode() * 1000)
                    await writer.drain()
            case fault:
                other = {"no code": b"what?", "binary": b"\x80\xff\x16\x03\x01", "zero": b"\0\0\0 ", "blank": b""}
                other["other code"] = b"250 ok" if stage == "DATA" else b"354 go on"
                writer.write(other.get(fault, fault.encode()) + b"\r\n")
                return fault
        return good


@asynccontextmanager
async def listening(server: Server) -> AsyncGenerator[int]:
    """The port of a server."""
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=server.tls) as made:
        yield made.sockets[0].getsockname()[1]


async def run(server: Server, timeout_s: float) -> str | None:
    """Hand mails to such a server; what is wrong with what came of them."""
    case = server.case
    endings: list[Ending] = []
    back: list[int] = []
    begun: list[int] = []
    errors: list[Exception] = []

    async def begin(held: Sequence[Claimed]) -> set[int]:
        begun.extend(each.id for each in held)
        return {each.id for each in held}

    async def give_back(held: Sequence[Claimed]) -> None:
        back.extend(each.id for each in held)

    async with (
        listening(server) as port,
        Post(
            Relay(host="127.0.0.1", port=port, connections=1, security=server.security), waits=Waits.all_of(timeout_s)
        ) as post,
    ):
        orders = Orders(begin, give_back, endings.append, errors.append, lambda: False, utc_now, case.policy, Patience(), 1)
        handing = Handing(Way([(1, Exit(post))]), orders)
        await handing.put([mail(n) for n in range(MAILS)])
        await handing.end()
    states = {each.claimed.id: each.state for each in endings}
    arrived = [recipient for recipient, _ in server.arrived]
    wrong: list[str] = []
    if errors:
        wrong.append(f"errors of our own: {errors}")
    if sorted([*(each.claimed.id for each in endings), *back]) != list(range(MAILS)):
        wrong.append("not one outcome each")
    if states.get(0) != case.state:
        wrong.append(f"the first one is {states.get(0)}, not {case.state}")
    for n in range(MAILS):
        count = arrived.count(f"g{n}@example.com")
        if states.get(n) is State.ACCEPTED and count != 1:
            wrong.append(f"{n} is accepted, and arrived {count} times")
        if count and (n not in begun or begun.count(n) != 1):
            wrong.append(f"{n} arrived without being committed once")
        doubtful = n == 0 and case.is_doubtful
        if states.get(n) is not State.ACCEPTED and count and not doubtful:
            wrong.append(f"{n} is {states.get(n)}, and arrived")
    for recipient, content in server.arrived:
        if f"Subject: {recipient}\r\n".encode() not in content or bare_line_end(content) is not None:
            wrong.append(f"what came for {recipient} is another mail's")
    # A domain that closed is left in peace; nobody is sent anything where there is no connection.
    behind = {states.get(n) for n in range(1, MAILS)}
    quiet = case.state is None or case.fault.startswith("421")
    if not quiet and behind != {State.ACCEPTED}:
        wrong.append(f"those behind are {behind}")
    return f"{case}: {'; '.join(wrong)}" if wrong else None


def mail(n: int) -> Ready:
    """The nth."""
    address = f"g{n}@example.com"
    raw = f"From: news@example.com\r\nSubject: {address}\r\n\r\nx\r\n.\r\n".encode()
    return Ready(Claimed(n, n, address, "en", 1, None), "news@example.com", address, "x", raw)
