"""Calls that run at the same time: each holds a slot until it has ended, however it ends."""

import asyncio
import contextlib
import time

import pytest

from tabellion.features.usage.errors import LimitReached, TooManyConcurrent
from tabellion.features.usage.service import COUNTED, SLOT
from tests.features.usage.conftest import Bed, until_all_slots_are_free, until_taken_up


async def test_the_call_above_the_concurrent_limit_is_refused_quickly_and_others_go_on(bed: Bed) -> None:
    await bed.licence(max_concurrent=5)
    gates = [await bed.gate() for _ in range(2)]
    held = await asyncio.gather(*(gates[i % 2].admit(bed.credential, "") for i in range(5)))

    started = time.monotonic()
    with pytest.raises(TooManyConcurrent) as refusal:
        await gates[1].admit(bed.credential, "")
    assert time.monotonic() - started < 0.5
    assert refusal.value.violated_policies == ("conc",)
    assert refusal.value.headers["Retry-After"] == "1"
    assert "5 calls running" in str(refusal.value)

    held[0].release()
    held[0].release()
    admission = await gates[1].admit(bed.credential, "")
    with pytest.raises(TooManyConcurrent):
        await gates[0].admit(bed.credential, "")
    admission.release()
    async with bed.pool.connection() as db:
        cursor = await db.execute("SELECT calls, slowed_down, refused FROM tabellion.usage_state")
        # However often the gate was asked for those that were refused.
        assert await cursor.fetchall() == [(6, 0, 2)]


async def test_a_slot_freed_on_one_process_is_never_falsely_refused_on_another(bed: Bed) -> None:
    await bed.licence(max_concurrent=1)
    gates = [await bed.gate() for _ in range(2)]
    for turn in range(60):
        admission = await gates[turn % 2].admit(bed.credential, "")
        admission.release()


async def test_the_slots_of_a_dead_process_are_free_within_ten_seconds(bed: Bed) -> None:
    await bed.licence(max_concurrent=2)
    dying, living = await bed.gate(), await bed.gate()
    await dying.admit(bed.credential, "")
    await dying.admit(bed.credential, "")
    # As after kill -9: no farewell, no heartbeat.
    _, batcher = bed.gates.pop(0)
    for task in batcher._tasks:
        task.cancel()
    await batcher._database.close()

    started = time.monotonic()
    while time.monotonic() - started < 10:
        with contextlib.suppress(TooManyConcurrent):
            (await living.admit(bed.credential, "")).release()
            break
        await asyncio.sleep(0.2)
    else:
        pytest.fail("the slots were still taken after ten seconds")
    assert time.monotonic() - started > 2, "the slots were never taken"


async def test_a_cancelled_call_leaves_no_slot_behind(bed: Bed) -> None:
    await bed.licence(max_concurrent=3)
    gate = await bed.gate()
    for _ in range(30):
        task = asyncio.create_task(gate.admit(bed.credential, ""))
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, LimitReached):
            (await task).release()
    # While the gate is asked, too.
    ((_, batcher),) = bed.gates
    for _ in range(3):
        async with batcher._turn:
            task = asyncio.create_task(gate.admit(bed.credential, ""))
            await until_taken_up(batcher)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    (await gate.admit(bed.credential, "")).release()
    await until_all_slots_are_free(bed)


async def test_a_call_that_leaves_between_its_answer_and_its_turn_gives_back_what_it_took(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bed.licence(max_concurrent=1)
    gate = await bed.gate()
    ((_, batcher),) = bed.gates
    put = batcher._put

    async def left(flags: int, digest: bytes = bed.credential.digest) -> None:
        asking = asyncio.create_task(batcher.ask(("k", digest, 0, 0, flags)))

        async def put_and_cancel(*batch) -> None:
            await put(*batch)
            asking.cancel()

        monkeypatch.setattr(batcher, "_put", put_and_cancel)
        with pytest.raises(asyncio.CancelledError):
            await asking
        monkeypatch.setattr(batcher, "_put", put)

    await left(COUNTED | SLOT)
    await left(COUNTED | SLOT, b"nobody's")
    held = await gate.admit(bed.credential, "")
    # One took no slot, the other one was given none.
    for flags in (COUNTED, COUNTED | SLOT):
        await left(flags)
        with pytest.raises(TooManyConcurrent):
            await gate.admit(bed.credential, "")
    held.release()
    await until_all_slots_are_free(bed)


async def test_who_is_refused_for_running_calls_comes_back_when_a_call_is_let_in(bed: Bed) -> None:
    await bed.licence(calls_per_minute=2, window_seconds=60, max_concurrent=2)
    gate = await bed.gate()
    held = await asyncio.gather(*(gate.admit(bed.credential, "") for _ in range(2)))
    with pytest.raises(TooManyConcurrent) as refusal:
        await gate.admit(bed.credential, "")
    headers = refusal.value.headers
    assert 25 < int(headers["X-RateLimit-Reset"]) <= int(headers["Retry-After"])
    for admission in held:
        admission.release()
