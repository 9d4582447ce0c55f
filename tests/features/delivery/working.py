"""A sender at work on the sendings of a test, and where its relay is."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from tabellion.features.delivery import Pace, Sender, Sending, Ways
from tabellion.features.delivery.model import Message
from tabellion.features.delivery.sender import Audience
from tabellion.platform import secrets
from tabellion.platform.database.connection import Database
from tabellion.platform.templates import Cages
from tests.features.delivery.conftest import START, Post

MESSAGES = {"en": Message("Hello", "<p>Hello</p>", "Hello")}
PACE = Pace(look_every_s=0.01, retry_s=0.05)


async def frozen(db: Database, sending: Sending, now: datetime) -> bool:
    raise AssertionError("its audience is frozen")


async def nothing(db: Database, sending: Sending, now: datetime) -> None:
    pass


@asynccontextmanager
async def at_work(
    url: str, folder: Path, gather: Audience = frozen, clock: Callable[[], datetime] = lambda: START, pace: Pace = PACE,
    ways: Ways | None = None, closing_s: float = 8.0,
) -> AsyncGenerator[Sender]:  # fmt: skip
    """A sender."""
    secrets.use_key("of the tests", folder)
    stop = asyncio.Event()
    async with Cages(1) as cages:
        sender = Sender(url, cages, clock, gather=gather, ended=nothing, pace=pace, ways=ways)
        running = asyncio.create_task(sender.run(stop, closing_s=closing_s))
        try:
            yield sender
        finally:
            stop.set()
            await running


async def relay_at(post: Post, port: int) -> None:
    await post.db.execute(
        "INSERT INTO tabellion.relay (licence_id, host, port, security, connections) VALUES (%s, '127.0.0.1', %s, 'NONE', 4)",
        (post.licence_id, port),
    )
