"""A sender in this process, and an SMTP server that keeps a journal of what it accepted."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

import psycopg
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tabellion.features import campaigns, tracking
from tabellion.features.bounces import Rules
from tabellion.features.bounces.intake import Intake
from tabellion.features.delivery import Pace, Sender
from tabellion.kit.clock import utc_now
from tabellion.platform.database.pool import open_pool
from tabellion.platform.templates import Cages
from tests.support.api import free_port
from tests.support.beside import beside
from tests.support.waiting import until
from tests.support.wire import bare_line_end

FAST = Pace(look_every_s=0.02, beat_every_s=0.2)
_MOMENT = """
WITH c AS (
    UPDATE tabellion.campaign SET scheduled_at = now() + %s * interval '1 ms' WHERE id = %s RETURNING id, scheduled_at
)
UPDATE tabellion.mail_due d SET from_at = c.scheduled_at FROM c JOIN tabellion.sending s ON s.campaign_id = c.id
WHERE d.sending_id = s.id
"""


def begin_now(database: psycopg.Connection[Any], number: int, *, in_ms: int = 0) -> None:
    """Let the moment of a scheduled campaign come."""
    database.execute(_MOMENT, (in_ms, number))


def sending(url: str, *, pace: Pace = FAST, clock: Callable[[], Any] = utc_now) -> AbstractContextManager[Sender]:
    """A sender at work, as in a worker."""

    @asynccontextmanager
    async def at_work() -> AsyncIterator[Sender]:
        stop = asyncio.Event()
        async with Cages(1) as cages:
            sender = Sender(url, cages, clock, gather=campaigns.gather, ended=campaigns.ended, pace=pace)
            running = asyncio.create_task(sender.run(stop))
            yield sender
            stop.set()
            await running

    return beside(at_work())


class Sink:
    """Keeps every mail that it answered with 250, and in `offered` also those that it refused after it had read them. `refuse`
    says per recipient what to answer instead; `refused` counts that, by domain. A mail with a bare CR or LF is refused, and fails the
    test at its end.
    """

    def __init__(self) -> None:
        self.mails: list[Envelope] = []
        self.offered: list[Envelope] = []
        self.refuse: dict[str, str] = {}
        self.refuse_data: dict[str, str] = {}
        self.refused: Counter[str] = Counter()
        self.smuggling: list[str] = []
        self.port = free_port()

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if address in self.refuse:
            self.refused[address.rpartition("@")[2]] += 1
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.offered.append(envelope)
        raw = envelope.original_content or b""
        if (place := bare_line_end(raw)) is not None:
            self.smuggling.append(f"{envelope.rcpt_tos}: {raw[max(place - 40, 0) : place + 40]!r}")
            return "550 5.6.0 a line ends with CR LF"
        for address in envelope.rcpt_tos:
            if address in self.refuse_data:
                return self.refuse_data[address]
        self.mails.append(envelope)
        return "250 2.0.0 queued"

    def recipients(self) -> Counter[str]:
        """How often each address got a mail."""
        return Counter(address for mail in self.mails for address in mail.rcpt_tos)


@contextmanager
def smtp_sink(port: int = 0) -> Iterator[Sink]:
    """An SMTP server on loopback."""
    sink = Sink()
    sink.port = port or sink.port
    controller = Controller(sink, hostname="127.0.0.1", port=sink.port)
    controller.start()
    try:
        yield sink
    finally:
        controller.stop()
    assert not sink.smuggling, sink.smuggling[:3]


def taking_bounces(
    url: str, *, rules: Rules | None = None, clock: Callable[[], Any] = utc_now, wait_s: float = 10.0
) -> AbstractContextManager[int]:
    """The door for bounces, as `tabellion intake` opens it; its port. `wait_s`: for the database."""
    port = free_port()

    @asynccontextmanager
    async def open_door() -> AsyncIterator[int]:
        stop = asyncio.Event()
        pool = await open_pool(url, min_size=1, max_size=4, lock_timeout=timedelta(seconds=1), wait_s=wait_s)
        door = Intake(pool, clock, rules or Rules(), tracking.unsubscribe_by_mail)
        running = asyncio.create_task(door.run("127.0.0.1", port, stop))
        await asyncio.to_thread(until, lambda: running.done() or _listens(port))
        yield port
        stop.set()
        await running
        await pool.close()

    return beside(open_door())


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
