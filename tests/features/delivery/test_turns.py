"""Whose turn it is: a sender works on some sendings at a time, and those that are looked at all the time keep nobody waiting."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

from tabellion.features.delivery import Pace, Sender, Sending, store
from tabellion.features.delivery.model import Message
from tabellion.features.delivery.store import Due
from tabellion.features.delivery.turns import Turns
from tabellion.platform import secrets
from tabellion.platform.database.connection import Database
from tabellion.platform.templates import Cages
from tests.features.delivery.conftest import START, Post
from tests.features.delivery.working import at_work

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


async def test_audiences_that_are_frozen_keep_no_triggered_mail_waiting(
    post: Post, worker_database_url: str, tmp_path: Path
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def gather(db: Database, sending: Sending, now: datetime) -> bool:
        begun.set()
        await go_on.wait()
        return True

    await post.guests(["ann@example.com"])
    booked = await post.sending("TRANSACTIONAL", messages=MESSAGES)
    for _ in range(3):
        mass = await post.sending(messages=MESSAGES)
        await store.set_state(post.db, mass.id, "GATHERING", START)
    pace = Pace(look_every_s=0.01, sendings=2)
    async with at_work(worker_database_url, tmp_path, gather, pace=pace):
        await asyncio.wait_for(begun.wait(), 10)
        await post.trigger(booked, "ann@example.com", START)
        try:
            await until(lambda: sent(post, booked, 1))
        finally:
            go_on.set()


async def test_a_large_campaign_gives_way_to_a_small_one(post: Post, worker_database_url: str, tmp_path: Path) -> None:
    await post.guests(["ann@example.com"])
    small = await post.sending(messages=MESSAGES)
    await store.set_state(post.db, small.id, "PAUSED", START)
    await post.guests(f"guest{number}@example.com" for number in range(400))
    large = await post.sending(messages=MESSAGES)
    pace = Pace(look_every_s=0.01, sendings=1, turn_s=0.0, batch=1)
    async with at_work(worker_database_url, tmp_path, pace=pace):
        await until(lambda: sent(post, large, 1))
        await store.set_state(post.db, small.id, "RUNNING", START)
        await until(lambda: sent(post, small, 1))
        assert (await post.fates(large))["PLANNED", None] > 0


async def sent(post: Post, sending: Sending, least: int) -> bool:
    return (await post.fates(sending))["ACCEPTED", None] >= least


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(15):
        while not await condition():  # noqa: ASYNC110 - it is in the database
            await asyncio.sleep(0.01)


class Office:
    """Sendings by licence, and a clock that is moved by hand."""

    def __init__(self, *due: tuple[int, int, str, bool]) -> None:
        self.due = [Due(*each) for each in due]
        self.now = 1000.0
        self.turns = Turns(2, 2.0, lambda: self.now)
        self.working: list[int] = []

    def look(self) -> list[int]:
        for each in self.turns.order(self.due, self.working):
            if each not in self.working and self.turns.begins(each, self.working):
                self.working.append(each)
        return self.working

    def end(self, sending_id: int) -> None:
        self.working.remove(sending_id)
        self.turns.over(sending_id)


def test_places_go_from_those_that_have_several_to_who_has_none() -> None:
    office = Office((1, 1, "RUNNING", False), (2, 1, "RUNNING", False))
    assert office.look() == [1, 2]
    office.due.append(Due(3, 2, "RUNNING", False))
    assert office.look() == [1, 2]
    assert not any(office.turns.gives_way(each) for each in office.working)
    office.now += 2
    # One is enough, and it stays with that.
    assert [office.turns.gives_way(each) for each in (1, 2, 1)] == [True, False, True]
    office.end(1)
    assert office.look() == [2, 3]
    office.now += 2
    # The two of the first licence take turns with its one place; the other licence keeps its own.
    assert office.look() == [2, 3]
    assert [office.turns.gives_way(each) for each in (3, 2)] == [False, True]


def test_triggered_mass_and_long_work_have_places_of_their_own() -> None:
    office = Office(
        *((number, 1, "RUNNING", False) for number in (1, 2, 3)),
        *((number, 1, "GATHERING", False) for number in (4, 5, 6)),
        *((number, 1, "RUNNING", True) for number in (7, 8, 9)),
    )
    assert office.look() == [1, 2, 4, 5, 7, 8]
    office.due.append(Due(10, 2, "RUNNING", True))
    office.look()
    office.now += 2
    assert [each for each in office.working if office.turns.gives_way(each)] == [1, 4, 7, 8]
