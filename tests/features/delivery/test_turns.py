"""Whose turn it is: a sender works on some sendings at a time, and those that are looked at all the time keep nobody waiting."""

import asyncio
from datetime import datetime
from pathlib import Path

from tabellion.features.delivery import Pace, Sender, Sending, store
from tabellion.features.delivery.model import Message
from tabellion.platform import secrets
from tabellion.platform.database.connection import Database
from tabellion.platform.templates import Cages
from tests.features.delivery.conftest import START, Post

MESSAGES = {"en": Message("Hello", "<p>Hello</p>", "Hello")}
PACE = Pace(look_every_s=0.01)


async def test_campaigns_that_wait_for_triggers_do_not_keep_a_mass_campaign_waiting(
    post: Post, worker_database_url: str, tmp_path: Path
) -> None:
    secrets.use_key("of the tests", tmp_path)
    await post.guests(["ann@example.com"])
    for _ in range(PACE.sendings + 1):
        older = await post.sending("CONTINUOUS", messages=MESSAGES)
        await store.look_at(post.db, older.id, START, None)
    mass = await post.sending(messages=MESSAGES)
    stop, over = asyncio.Event(), asyncio.Event()

    async def gather(db: Database, sending: Sending, now: datetime) -> bool:
        raise AssertionError("its audience is frozen")

    async def ended(db: Database, sending: Sending, now: datetime) -> None:
        if sending.id == mass.id:
            over.set()

    async with Cages(1) as cages:
        sender = Sender(worker_database_url, cages, lambda: START, gather=gather, ended=ended, pace=PACE)
        running = asyncio.create_task(sender.run(stop))
        try:
            await asyncio.wait_for(over.wait(), 15)
        finally:
            stop.set()
            await running
    assert await post.fates(mass) == {("ACCEPTED", None): 1}
