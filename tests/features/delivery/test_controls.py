"""Campaigns that are paused, resumed and cancelled while two senders are at work: who gets the mail is who is said to have got it.

The suite has 25 sequences; `TABELLION_CONTROLS=1000` has as many as that.
"""

import asyncio
import os
import random
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from tabellion.features import delivery
from tabellion.features.delivery import Sending, store
from tabellion.platform.database.connection import Database
from tests.features.delivery.conftest import START, Post, after
from tests.features.delivery.working import MESSAGES, at_work, relay_at
from tests.support.gap_sink import GapSink

SEQUENCES = int(os.environ.get("TABELLION_CONTROLS", "25"))
SEED = int(os.environ.get("TABELLION_SEED", "20261128"))
GUESTS = [f"g{n}@example.com" for n in range(80)]
# A bound for a busy machine: that the pause holds is seen in "paused midway" (mails are left over) and in the journal.
PAUSED_WITHIN_S = 20.0
IN_HAND = {"CLAIMED", "SENDING"}


@pytest.mark.timeout(60 + 4 * SEQUENCES)
async def test_who_got_the_mail_is_who_is_said_to_have_whatever_is_called_meanwhile(
    post: Post, worker_database_url: str, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    seen: Counter[str] = Counter()
    await post.guests(GUESTS)
    with GapSink() as sink:
        sink.answer_after_s = 0.02
        await relay_at(post, sink.port)
        async with at_work(worker_database_url, tmp_path), at_work(worker_database_url, tmp_path):
            for number in range(SEQUENCES):
                sink.journal.clear()
                sending = await post.sending(messages=MESSAGES)
                await store.look_at(post.db, sending.id, START, None)
                cancelled = await _called(post, sending, sink, chance, seen)
                await _at_most(60.0, post, sending, {"PLANNED", "DEFERRED", *IN_HAND})
                fates = await post.fates(sending)
                wanted = {("ACCEPTED", None), ("EXCLUDED", "cancelled")} if cancelled else {("ACCEPTED", None)}
                assert set(fates) <= wanted, (SEED, number, fates)
                assert fates.total() == len(GUESTS)
                assert sink.journal == Counter(await _accepted(post, sending)), (SEED, number)
    # Calls came while mails were leaving, or nothing was tried.
    assert min(seen["paused midway"], seen["resumed midway"], seen["cancelled midway"]) >= SEQUENCES // 10, seen


async def test_what_was_put_off_does_not_begin_because_somebody_had_found_it_due(
    post: Post, worker_database_url: str, tmp_path: Path
) -> None:
    """Who looks for what is due holds no campaign meanwhile; here a sender hears of one that is due no more."""
    later, *others = [await post.sending(messages=MESSAGES) for _ in range(3)]
    for each in (later, *others):
        await store.set_state(post.db, each.id, "GATHERING", START)
        await delivery.reschedule(post.db, each, after(3600))
    begun: asyncio.Queue[int] = asyncio.Queue()

    async def gather(db: Database, sending: Sending, now: datetime) -> bool:
        begun.put_nowait(sending.id)
        return True

    async with at_work(worker_database_url, tmp_path, gather):
        for each in others:
            await store.announce(post.db, later.id)
            await delivery.reschedule(post.db, each, START)
            assert await asyncio.wait_for(begun.get(), 60) == each.id
    assert begun.empty()
    assert await store.find(post.db, later.id) == msgspec.structs.replace(later, state="GATHERING")


async def _called(post: Post, sending: Sending, sink: GapSink, chance: random.Random, seen: Counter[str]) -> bool:
    """A few calls at odd moments; whether the last one was to cancel."""
    for _ in range(chance.randrange(1, 4)):
        await asyncio.sleep(chance.uniform(0, 0.15))
        begun = sink.journal.total()
        await delivery.pause(post.db, sending, START)
        if chance.random() < 0.7:
            # Else it goes on before anybody may have seen it.
            await _at_most(PAUSED_WITHIN_S, post, sending, IN_HAND)
            held = sink.journal.copy()
            await asyncio.sleep(chance.uniform(0, 0.1))
            assert sink.journal == held, (SEED, "a mail left while the campaign was paused")
            assert held == Counter(await _accepted(post, sending))
            seen["paused midway"] += 0 < held.total() < len(GUESTS)
        if chance.random() < 0.3:
            return await _cancel(post, sending, sink, seen)
        await delivery.resume(post.db, sending, sending.document, START)
        seen["resumed midway"] += 0 < begun < len(GUESTS)
    if chance.random() < 0.4:
        await asyncio.sleep(chance.uniform(0, 0.15))
        return await _cancel(post, sending, sink, seen)
    return False


async def _cancel(post: Post, sending: Sending, sink: GapSink, seen: Counter[str]) -> bool:
    seen["cancelled midway"] += 0 < sink.journal.total() < len(GUESTS)
    await delivery.stop(post.db, sending, START)
    return True


async def _at_most(seconds: float, post: Post, sending: Sending, states: set[str]) -> None:
    """Wait until nobody is in one of these states any more."""
    deadline = time.monotonic() + seconds
    while any(state in states for state, _ in await post.fates(sending)):
        assert time.monotonic() < deadline, (SEED, await post.fates(sending))
        await asyncio.sleep(0.005)


async def _accepted(post: Post, sending: Sending) -> list[str]:
    query = f"SELECT address FROM l{post.licence_id}.recipient WHERE sending_id = %s AND state = 'ACCEPTED'".encode()
    return [row[0] for row in await (await post.db.execute(query, (sending.id,))).fetchall()]
