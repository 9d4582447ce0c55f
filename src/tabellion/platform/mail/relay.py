"""Handing mails over to a relay (SMTP, RFC 5321), over connections that are kept, and saying exactly what came of each.

A mail whose end was sent and not answered is UNCERTAIN: the relay may have it. Everything before that point, and every
answer, is certain.
"""

import asyncio
import re
import ssl
import time
from enum import StrEnum
from typing import Self

import aiosmtplib
import msgspec

_IDLE_S, _TIMEOUT_S = 20.0, 60.0
_MAILS_PER_CONNECTION = 500
_CLOSING_CHANNEL = 421
_PERMANENT = 500
_ENHANCED = re.compile(r"\s*(\d\.\d{1,3}\.\d{1,3})\b")
# What says that there is no such mailbox (RFC 3463), or only the basic codes for it.
_NO_MAILBOX = re.compile(r"5\.1\.[0-36]|5\.1\.10|5\.2\.1")
_NO_MAILBOX_CODES = frozenset({550, 551, 553})


class Relay(msgspec.Struct, frozen=True, kw_only=True):
    """A server that takes mails. `security`: NONE, STARTTLS or TLS. `connections`: the most that a process keeps."""

    host: str
    port: int
    security: str = "NONE"
    user: str = ""
    password: str = ""
    connections: int = 10
    verify: bool = True


class Fate(StrEnum):
    """What came of handing a mail over."""

    ACCEPTED = "ACCEPTED"
    DEFERRED = "DEFERRED"
    REJECTED = "REJECTED"
    UNCERTAIN = "UNCERTAIN"


class Reply(msgspec.Struct, frozen=True):
    """The fate of one mail and what the relay said. `no_mailbox`: it said that nobody lives at the address."""

    fate: Fate
    text: str
    no_mailbox: bool = False


class Post:
    """Connections to one relay. Use as `async with Post(relay) as post`."""

    def __init__(self, relay: Relay, *, timeout_s: float = _TIMEOUT_S) -> None:
        self.relay = relay
        self._timeout_s = timeout_s
        self._free: list[_Line] = []
        self._slots = asyncio.Semaphore(relay.connections)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        while self._free:
            self._free.pop().client.close()

    async def deliver(self, sender: str, recipient: str, raw: bytes) -> Reply:
        """Hand one mail over. Raises nothing of the relay's: a failure is a fate."""
        async with self._slots:
            line = self._kept()
            try:
                if line is None:
                    line = _Line(await self._connect())
            except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
                return Reply(Fate.DEFERRED, f"no connection to {self.relay.host}:{self.relay.port}: {_said(error)}")
            reply = await line.deliver(sender, recipient, raw)
            if line.usable:
                self._free.append(line)
            else:
                line.client.close()
            return reply

    def _kept(self) -> "_Line | None":
        while self._free:
            line = self._free.pop()
            if line.client.is_connected and time.monotonic() - line.used_at < _IDLE_S:
                return line
            line.client.close()
        return None

    async def _connect(self) -> aiosmtplib.SMTP:
        relay = self.relay
        context = ssl.create_default_context()
        if not relay.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client = aiosmtplib.SMTP(
            hostname=relay.host,
            port=relay.port,
            use_tls=relay.security == "TLS",
            start_tls=relay.security == "STARTTLS",
            username=relay.user or None,
            password=relay.password or None,
            timeout=self._timeout_s,
            tls_context=context if relay.security != "NONE" else None,
        )
        await client.connect()
        return client


class _Line:
    """One connection. `usable`: another mail may go over it."""

    def __init__(self, client: aiosmtplib.SMTP) -> None:
        self.client = client
        self.usable = True
        self.used_at = time.monotonic()
        self._mails = 0

    async def deliver(self, sender: str, recipient: str, raw: bytes) -> Reply:
        client, begun = self.client, False
        try:
            await client.mail(sender)
            await client.rcpt(recipient)
            begun = True
            answer = await client.data(raw)
        except aiosmtplib.SMTPResponseException as error:
            reply = _refused(error)
            await self._reset(error.code)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            self.usable = False
            return Reply(Fate.UNCERTAIN if begun else Fate.DEFERRED, f"the connection broke: {_said(error)}")
        else:
            reply = Reply(Fate.ACCEPTED, f"{answer.code} {_one_line(answer.message)}")
        self._mails += 1
        self.used_at = time.monotonic()
        self.usable = self.usable and self._mails < _MAILS_PER_CONNECTION
        return reply

    async def _reset(self, code: int) -> None:
        if code == _CLOSING_CHANNEL:
            self.usable = False
            return
        try:
            await self.client.rset()
        except (aiosmtplib.SMTPException, OSError, TimeoutError):
            self.usable = False


def _refused(error: aiosmtplib.SMTPResponseException) -> Reply:
    text = f"{error.code} {_one_line(error.message)}"
    if error.code < _PERMANENT:
        return Reply(Fate.DEFERRED, text)
    enhanced = _ENHANCED.match(error.message)
    of_recipient = isinstance(error, aiosmtplib.SMTPRecipientRefused)
    known = _NO_MAILBOX.fullmatch(enhanced[1]) is not None if enhanced else error.code in _NO_MAILBOX_CODES
    return Reply(Fate.REJECTED, text, of_recipient and known)


def _said(error: Exception) -> str:
    return _one_line(str(error) or type(error).__name__)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
