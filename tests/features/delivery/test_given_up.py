"""A worker that others have given up: whatever it still does, nobody's mail is held by it for ever."""

import asyncio
from datetime import timedelta

import pytest

from tabellion.features.delivery import Delivery, Limits, recipient_store, worker_store
from tabellion.features.delivery.model import DIED, Ending, State
from tests.features.delivery.conftest import START, Post
from tests.support.structure import Connection, connect

_PACED = Delivery(per_minute=6000)
_WAITS = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"


async def test_it_claims_nothing_any_more(post: Post) -> None:
    await post.guests(["ann@example.com"])
    sending = await post.sending()
    await worker_store.give_up(post.db, post.worker, START)
    assert await post.plain_claim(sending) == ([], None)
    assert await post.claim(sending, Limits(), _PACED) == []
    assert await post.fates(sending) == {("PLANNED", None): 1}


async def test_what_it_was_just_claiming_is_planned_again(post: Post, worker_database_url: str) -> None:
    await post.guests(["ann@example.com", "bob@example.com"])
    sending = await post.sending()
    async with await connect(worker_database_url) as late, await connect(worker_database_url) as other:
        async with late.transaction():
            claimed, _ = await post.plain_claim(sending, db=late)
            giving_up = asyncio.create_task(worker_store.give_up(other, post.worker, START))
            await _until_waiting(post, other, giving_up)
        assert await giving_up == (2, 0)
    assert len(claimed) == 2
    assert await post.fates(sending) == {("PLANNED", None): 2}


async def test_what_it_held_of_a_deleted_campaign_is_held_no_more(post: Post) -> None:
    await post.guests(["ann@example.com", "bob@example.com"])
    sending = await post.sending()
    claimed, _ = await post.plain_claim(sending)
    await recipient_store.begin(post.db, sending, post.table, post.worker, claimed[:1])
    await post.db.execute("DELETE FROM tabellion.campaign WHERE id = %s", (sending.campaign_id,))
    assert await worker_store.give_up(post.db, post.worker, START) == (1, 1)
    assert await post.fates(sending) == {("PLANNED", None): 1, ("UNCERTAIN", DIED): 1}


@pytest.mark.parametrize("step", [1, -1])
async def test_what_it_writes_down_does_not_cross_those_who_give_it_up(
    step: int, post: Post, worker_database_url: str
) -> None:
    await post.guests(["ann@example.com", "bob@example.com"])
    sending = await post.sending()
    claimed, _ = await post.plain_claim(sending)
    await recipient_store.begin(post.db, sending, post.table, post.worker, claimed)
    async with await connect(worker_database_url) as late, await connect(worker_database_url) as other:
        async with late.transaction():
            ordered = claimed[::step]
            for each in ordered:
                await recipient_store.end(late, sending, post.worker, [Ending(each, State.ACCEPTED)], START)
                if each is ordered[0]:
                    giving_up = asyncio.create_task(worker_store.give_up(other, post.worker, START))
                    await _until_waiting(post, other, giving_up)
        assert await giving_up == (0, 0)
    assert await post.fates(sending) == {("ACCEPTED", None): 2}


async def _until_waiting(post: Post, other: Connection, giving_up: asyncio.Task[tuple[int, int]]) -> None:
    async with asyncio.timeout(10):
        while not await _waits(post, other.info.backend_pid):
            assert not giving_up.done(), "it was given up over its head"
            await asyncio.sleep(0.01)


async def test_one_that_died_before_the_clock_was_put_back_is_dead(post: Post, worker_database_url: str) -> None:
    silent, lost = timedelta(seconds=6), timedelta(minutes=1)

    async def found() -> bool:
        return dead in await worker_store.dead_workers(post.db, post.worker, START, silent, lost)

    async with await connect(worker_database_url) as life:
        dead = await worker_store.enter_worker(life, START + timedelta(hours=1))
        assert not await found(), "it has its lock"
    async with asyncio.timeout(10):
        # The connection's end is the database's to notice.
        while not await found():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("lives", [True, False])
async def test_one_is_dead_when_it_is_gone_and_silent_or_silent_for_very_long(
    lives: bool, post: Post, worker_database_url: str
) -> None:
    silent, lost = timedelta(seconds=6), timedelta(minutes=1)
    async with await connect(worker_database_url) as life:
        worker = await worker_store.enter_worker(life, START)
        if not lives:
            await life.execute("SELECT pg_advisory_unlock_all()")
        for seconds, dead in (
            (0, False),
            (6, False),
            (7, not lives),
            (60, not lives),
            (61, True),
            (-6, False),
            (-7, not lives),
        ):
            now = START + timedelta(seconds=seconds)
            found = await worker_store.dead_workers(post.db, post.worker, now, silent, lost)
            assert (worker in found, post.worker in found) == (dead, False), seconds
        assert worker not in await worker_store.dead_workers(post.db, worker, START + timedelta(hours=1), silent, lost)
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND objid = %s"
        assert await (await post.db.execute(held, (worker,))).fetchone() == (0,), "who is back could not enter"
        await worker_store.give_up(post.db, worker, START)


async def _waits(post: Post, pid: int) -> bool:
    row = await (await post.db.execute(_WAITS, (pid,))).fetchone()
    return bool(row and row[0])
