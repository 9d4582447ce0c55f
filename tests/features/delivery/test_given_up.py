"""A worker that others have given up: whatever it still does, nobody's mail is held by it for ever."""

import asyncio
from datetime import timedelta
from itertools import count
from pathlib import Path

import msgspec
import pytest

from tabellion.features.delivery import Delivery, Limits, recipient_store, store, worker_store
from tabellion.features.delivery.model import DIED, Ending, Policy, State
from tabellion.features.delivery.silences import Silences
from tabellion.platform.database.scalars import scalar
from tests.features.delivery.conftest import START, Post, after, seen
from tests.features.delivery.test_slow_relays import ended, slow_relay
from tests.features.delivery.working import MESSAGES, PACE, at_work, relay_at
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
    silent, lost = timedelta(minutes=6), timedelta(hours=1)

    async def found() -> bool:
        return dead in await worker_store.dead_workers(post.db, post.worker, silent, lost, Silences())

    async with await connect(worker_database_url) as life:
        dead = await worker_store.enter_worker(life)
        await seen(life, dead, timedelta(hours=-1))
        assert not await found(), "it has its lock"
    async with asyncio.timeout(10):
        # The connection's end is the database's to notice.
        while not await found():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.01)


async def test_one_that_lives_is_not_given_up_by_another_machine_whose_clock_is_ahead(
    post: Post, worker_database_url: str, tmp_path: Path
) -> None:
    await post.guests(["ann@example.com"])
    sending = await post.sending(messages=MESSAGES, policy=Policy.RESEND)
    await store.look_at(post.db, sending.id, START, None)
    enter = "INSERT INTO tabellion.mail_worker (seen_at) VALUES ('2020-01-01') RETURNING id"
    gone = "SELECT NOT EXISTS (SELECT FROM tabellion.mail_worker WHERE id = %s)"
    gives_nobody_up = msgspec.structs.replace(PACE, silent=timedelta(days=9999), beat_every_s=0.05)
    async with slow_relay() as relay:
        await relay_at(post, relay.port)
        async with at_work(worker_database_url, tmp_path, pace=gives_nobody_up) as sender:
            await relay.holds(1)
            async with at_work(worker_database_url, tmp_path, clock=lambda: after(90)), asyncio.timeout(15):
                # Once it has found this one, it has judged the other as well.
                dead = await scalar(post.db, enter)
                while not await scalar(post.db, gone, (dead,)):  # noqa: ASYNC110 - nobody tells of it
                    await asyncio.sleep(0.01)
                assert not await scalar(post.db, gone, (sender.worker,))
                relay.goes_on.set()
                await ended(post, sending, 1)
    assert relay.taken == {"ann@example.com": 1}


@pytest.mark.parametrize("lives", [True, False])
async def test_one_is_dead_when_it_is_gone_and_silent_or_silent_for_very_long(
    lives: bool, post: Post, worker_database_url: str
) -> None:
    silent, lost = timedelta(minutes=6), timedelta(hours=1)
    async with await connect(worker_database_url) as life:
        worker = await worker_store.enter_worker(life)
        if not lives:
            await life.execute("SELECT pg_advisory_unlock_all()")
        for minutes, dead in (
            (0, False),
            (5, False),
            (7, not lives),
            (59, not lives),
            (61, True),
            (-5, False),
            (-7, not lives),
        ):
            await seen(life, worker, timedelta(minutes=minutes))
            # As long as the process that judges has looked for a while itself.
            looks = Silences(count(step=silent.total_seconds()).__next__)
            for _ in range(2):
                found = await worker_store.dead_workers(post.db, post.worker, silent, lost, looks)
            assert (worker in found, post.worker in found) == (dead, False), minutes
        await seen(life, worker, timedelta(hours=2))
        assert worker not in await worker_store.dead_workers(post.db, worker, silent, lost, looks)
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND objid = %s"
        assert await (await post.db.execute(held, (worker,))).fetchone() == (0,), "who is back could not enter"
        await worker_store.give_up(post.db, worker, START)


async def _waits(post: Post, pid: int) -> bool:
    row = await (await post.db.execute(_WAITS, (pid,))).fetchone()
    return bool(row and row[0])


async def test_when_the_clock_of_the_database_jumps_ahead_those_that_live_are_not_given_up(
    post: Post, worker_database_url: str
) -> None:
    silent, lost = timedelta(minutes=6), timedelta(hours=1)
    now_s = [0.0]
    silences = Silences(lambda: now_s[0])
    async with await connect(worker_database_url) as life:
        worker = await worker_store.enter_worker(life)
        dead: list[bool] = []
        for minutes, beats in ((0, False), (5, False), (6, True), (7, False), (12, False), (13, False)):
            now_s[0] = minutes * 60.0
            if not minutes or beats:
                # Another moment each time, of before the clock was put ahead.
                await seen(life, worker, timedelta(hours=2, minutes=-minutes))
            dead.append(worker in await worker_store.dead_workers(post.db, post.worker, silent, lost, silences))
        await worker_store.give_up(post.db, worker, START)
    assert dead == [False, False, False, False, True, True]
