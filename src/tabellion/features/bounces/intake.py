"""The door that bounces, complaints and unsubscriptions come in by: an SMTP server that takes nothing else.

It takes mails to return paths and to addresses of `List-Unsubscribe` that this server has sealed, and feedback reports
to `abuse` and `fbl`, whatever their domain: which ones reach it is said elsewhere. A mail is answered with 250 when what it
means is committed; whoever does not hear that sends it again, which changes nothing.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

import psycopg
import psycopg_pool
from aiosmtpd.smtp import SMTP, Envelope, Session

from tabellion.features.bounces import service
from tabellion.features.bounces.model import Kind, Rules
from tabellion.features.delivery import Forgotten, Token, read_leaving_address, read_return_path
from tabellion.platform.database.connection import Database
from tabellion.platform.database.pool import Pool

_log = logging.getLogger(__name__)
# A bounce may hold the whole mail that it returns, as large as most providers take them. What it means, and the seals of a
# complaint, stand at its beginning: the rest is not kept.
_MOST_BYTES, _MOST_KEPT, _MOST_LINE = 50 * 1024 * 1024, 1024 * 1024, 64 * 1024
_MOST_CONNECTIONS, _MOST_OF_PEER, _MOST_RECIPIENTS = 40, 10, 10
# Of a connection: all that it may send, how long it may take for a command or a mail, and how long it may last.
_MOST_TRAFFIC, _STEP_S, _LIFE_S = 120 * 1024 * 1024, 120.0, 900.0
_COMMANDS = {"*": 50, "MAIL": 100, "RCPT": 200, "DATA": 100, "RSET": 200}
_COMPLAINTS_TO = frozenset({"abuse", "fbl"})
_LATER = "451 4.3.0 not now, try again later"
Leave = Callable[[Database, Token, datetime], Awaitable[object]]


class Intake:
    """Takes bounces, complaints and unsubscriptions.

    `clock` gives aware UTC moments; `leave` takes whom a mail went to out of what it was sent for; `name` is how the server
    calls itself.
    """

    def __init__(
        self, pool: Pool, clock: Callable[[], datetime], rules: Rules, leave: Leave, name: str = "localhost"
    ) -> None:
        self._pool, self._clock, self._rules, self._leave, self._name = pool, clock, rules, leave, name
        self.peers: Counter[str] = Counter()
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self, host: str, port: int, stop: asyncio.Event, *, closing_s: float = 5.0) -> None:
        """Listen until `stop`; mails that are being taken then get `closing_s` seconds. Raises `OSError`."""
        # It tells of every command.
        logging.getLogger("mail.log").setLevel(logging.WARNING)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Line(self, self._name, loop), host, port)
        try:
            await stop.wait()
        finally:
            server.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), closing_s)

    def enter(self, peer: str) -> bool:
        """Whether one more connection of a peer is taken."""
        if self.peers.total() >= _MOST_CONNECTIONS or self.peers[peer] >= _MOST_OF_PEER:
            return False
        self.peers[peer] += 1
        return True

    def leave(self, peer: str) -> None:
        """A connection has ended."""
        self.peers[peer] -= 1
        if not self.peers[peer]:
            del self.peers[peer]

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it so
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        """Take the recipients that are ours."""
        if len(envelope.rcpt_tos) >= _MOST_RECIPIENTS:
            return "452 4.5.3 too many recipients"
        if not (read_return_path(address) or read_leaving_address(address) or _is_for_complaints(address)):
            return "550 5.1.1 no such address here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - the same
        """Take a mail."""
        raw = envelope.content if isinstance(envelope.content, bytes) else b""
        sender = (envelope.mail_from or "").strip("<>")
        self._busy += 1
        self._idle.clear()
        try:
            return await self._take(list(envelope.rcpt_tos), raw, sender)
        except (psycopg.OperationalError, psycopg_pool.PoolTimeout, psycopg_pool.TooManyRequests) as error:
            _log.warning("a mail has to come again: the database does not answer (%s)", type(error).__name__)
        except Exception:  # noqa: BLE001 - whatever it is, the mail is not lost, and others come in
            _log.exception("a mail has to come again")
        finally:
            self._busy -= 1
            if not self._busy:
                self._idle.set()
        return _LATER

    async def _take(self, recipients: list[str], raw: bytes, sender: str) -> str:
        strange = False
        async with self._pool.connection() as db:
            for address in recipients:
                desk = service.Desk(db, self._rules, self._clock())
                if leaving := read_leaving_address(address):
                    # Whatever it says: this is all that the address is for.
                    with suppress(Forgotten):
                        await self._leave(db, leaving, desk.now)
                    _log.info("taken: an unsubscription")
                    continue
                if _is_for_complaints(address):
                    finding = await service.was_reported(desk, raw)
                    strange = strange or finding is None
                else:
                    finding = await service.came_back(desk, address, raw, sender)
                if finding is not None and finding.kind is not Kind.OTHER:
                    _log.info("taken: %s %s", finding.kind, finding.status)
        if strange and len(recipients) == 1:
            return "550 5.6.0 this address takes feedback reports (RFC 5965) about mails of this server, and nothing else"
        return "250 2.0.0 noted"


class _Line(SMTP):
    """One connection, with limits that the library does not have."""

    line_length_limit = _MOST_LINE

    def __init__(self, intake: Intake, name: str, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            intake, data_size_limit=_MOST_BYTES, enable_SMTPUTF8=True, hostname=name, ident="Tabellion", loop=loop,
            timeout=_STEP_S, command_call_limit=_COMMANDS,
        )  # fmt: skip
        self._intake = intake
        self._peer: str | None = None
        self._octets = 0
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Let a peer in, if there is room."""
        found = transport.get_extra_info("peername")
        peer = str(found[0]) if found else ""
        if not self._intake.enter(peer):
            transport.write(b"421 4.7.0 too many connections, try again later\r\n")
            transport.close()
            return
        self._peer = peer
        self._end = self.loop.call_later(_LIFE_S, transport.abort)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Make room."""
        if self._peer is None:
            return
        if self._end is not None:
            self._end.cancel()
        self._intake.leave(self._peer)
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Take what comes, up to a limit: the library keeps a line that does not end for ever."""
        if self._peer is None:
            return
        self._octets += len(data)
        if self._octets > _MOST_TRAFFIC and isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()
            return
        super().data_received(data)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - aiosmtpd calls it so
        """Take a mail, of which the beginning is kept: the library keeps all of it."""
        if await self.check_helo_needed():
            return
        if self.session is None or self.envelope is None or not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 RCPT comes first")
            return
        if arg:
            await self.push("501 5.5.4 DATA takes nothing")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        kept, octets = await self._mail()
        if octets > _MOST_BYTES:
            answer = f"552 5.3.4 a mail may have {_MOST_BYTES} octets"
        else:
            self.envelope.content = self.envelope.original_content = kept
            answer = await self._intake.handle_DATA(self, self.session, self.envelope)
        self._set_post_data_state()
        await self.push(answer)

    async def _mail(self) -> tuple[bytes, int]:
        """The beginning of a mail, up to `_MOST_KEPT`, and how many octets it has."""
        kept, octets, at_start = bytearray(), 0, True
        while True:
            try:
                piece = await self._reader.readuntil(b"\r\n")
            except asyncio.LimitOverrunError as error:
                piece = await self._reader.read(error.consumed)
            if at_start and piece == b".\r\n":
                return bytes(kept), octets
            octets += len(piece)
            if len(kept) < _MOST_KEPT:
                kept += piece[1:] if at_start and piece[:1] == b"." else piece
            at_start = piece.endswith(b"\r\n")

    def eof_received(self) -> bool | None:
        """Nothing more comes."""
        return None if self._peer is None else super().eof_received()


def _is_for_complaints(address: str) -> bool:
    return address.partition("@")[0].lower() in _COMPLAINTS_TO
