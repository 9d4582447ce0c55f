"""The gate without its database, with one that hangs, and with a clock that was put back."""

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tabellion.features.licences import Credential, Unauthorized
from tabellion.features.usage import Batcher, store
from tabellion.features.usage import batcher as batching
from tabellion.features.usage.errors import TooManyCalls
from tabellion.kit.clock import utc_now
from tabellion.platform.database.errors import Unavailable
from tests.features.usage.conftest import GRACE, Bed, until_taken_up
from tests.support.database_proxy import DatabaseProxy, proxied


async def test_without_the_database_nothing_is_let_in(bed: Bed) -> None:
    await bed.licence()
    gate = await bed.gate()
    held = [await gate.admit(bed.credential, "") for _ in range(3)]
    held.pop().release()
    ((_, batcher),) = bed.gates
    async with bed.pool.connection() as db:
        await db.execute(
            "INSERT INTO tabellion.access_token SELECT 'old', id, now() - interval '1 hour' FROM tabellion.api_user"
        )
    # Who is refused, or only looked up, holds nothing.
    with pytest.raises(Unauthorized):
        await gate.admit(Credential("t", b"old"), "")
    assert await batcher.ask(("k", bed.credential.digest, 0, 0, 0)) is not None
    await asyncio.sleep(0.05)
    async with bed.pool.connection() as db, batcher._turn:
        # Two on the way, one of whom leaves, and one that waits for them.
        leaving, *asking = (asyncio.create_task(gate.admit(bed.credential, "")) for _ in range(2))
        await until_taken_up(batcher)
        leaving.cancel()
        asking.append(asyncio.create_task(gate.admit(bed.credential, "")))
        while not batcher._waiting:  # noqa: ASYNC110 - the same
            await asyncio.sleep(0)
        await db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tabellion gate' "
            "AND datname = current_database()"
        )
    async with asyncio.timeout(5):
        refused = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(each) for each in refused] == [Unavailable, Unavailable]

    outcomes: Counter[str] = Counter()
    deadline = time.monotonic() + 10
    while outcomes["admitted"] < 5 and time.monotonic() < deadline:
        try:
            (await gate.admit(bed.credential, "")).release()
            outcomes["admitted"] += 1
        except Exception as error:
            outcomes[type(error).__name__] += 1
            await asyncio.sleep(0.05)

    assert set(outcomes) <= {"admitted", "Unavailable"}
    assert outcomes["admitted"] == 5
    # What is held is held of the new connection, too, and nothing else.
    query = "SELECT sum(in_flight) FROM tabellion.usage_slot WHERE process_id = %s"
    async with asyncio.timeout(5), bed.pool.connection() as db:
        for left in (2, 1, 0):
            while await (await db.execute(query, (batcher._process,))).fetchone() != (left,):  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.005)
            if held:
                held.pop().release()


async def test_a_database_that_hangs_is_said_to_be_away_and_asked_again_by_another_connection(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "_ANSWERS_WITHIN_S", 0.5)
    await bed.licence()
    gate = await bed.gate()
    (await gate.admit(bed.credential, "")).release()
    hanging = await bed.session()
    os.kill(hanging, signal.SIGSTOP)
    try:
        async with asyncio.timeout(10):
            with pytest.raises(Unavailable):
                await gate.admit(bed.credential, "")
            while True:
                with contextlib.suppress(Unavailable):
                    (await gate.admit(bed.credential, "")).release()
                    break
                await asyncio.sleep(0.05)
    finally:
        os.kill(hanging, signal.SIGCONT)


async def test_calls_wait_no_longer_where_a_heartbeat_is_the_first_to_meet_a_database_that_hangs(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "_ANSWERS_WITHIN_S", 0.5)
    monkeypatch.setattr(batching, "HEARTBEAT_S", 0.02)
    await bed.licence()
    gate = await bed.gate()
    turn = bed.gates[0][1]._turn  # pyright: ignore[reportPrivateUsage]
    hanging = await bed.session()
    os.kill(hanging, signal.SIGSTOP)
    try:
        async with asyncio.timeout(10):
            while not turn.locked():  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.001)
        # The driver, when it is told to wait no longer, asks the database to cancel the statement and waits five seconds more.
        async with asyncio.timeout(3):
            with pytest.raises(Unavailable):
                await gate.admit(bed.credential, "")
    finally:
        os.kill(hanging, signal.SIGCONT)


@pytest.fixture
def proxy(database_url: str, tmp_path: Path) -> Iterator[DatabaseProxy]:
    with proxied(database_url, tmp_path) as made:
        yield made


async def test_calls_under_way_are_broken_off_when_the_database_hangs_for_long(
    proxy: DatabaseProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "_ANSWERS_WITHIN_S", 0.2)
    monkeypatch.setattr(batching, "_HANGS_S", 0.5)
    hung = asyncio.Event()
    batcher = Batcher(proxy.url, GRACE, hung.set)
    await batcher.start()
    try:
        proxy.hang()
        async with asyncio.timeout(10):
            await hung.wait()
    finally:
        await batcher.stop()


@pytest.mark.parametrize("on_excess", ["SLOW_DOWN", "REJECT"])
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_clock_that_was_put_back_keeps_nobody_out(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, on_excess: str, restarted: bool
) -> None:
    monkeypatch.setattr(batching, "HEARTBEAT_S", 0.02)
    await bed.licence(calls_per_minute=20, window_seconds=1, max_wait_seconds=1, on_excess=on_excess, max_concurrent=1)
    gate = await bed.gate()
    (await gate.admit(bed.credential, "")).release()
    hour = timedelta(hours=1)
    async with bed.pool.connection() as db:
        # As it stands when the clock is put back by an hour, also of a process that was killed with a call on its way.
        killed = await store.register(db, batching.LEASE, [1])
        await db.execute("UPDATE tabellion.usage_process SET alive_until = alive_until + %s WHERE id = %s", (hour, killed))
        await db.execute("UPDATE tabellion.usage_state SET arrival = arrival + 3600")
        await db.execute("UPDATE tabellion.usage_call SET at = at + %s", (hour,))
    if restarted:
        gate = await bed.gate()
    else:
        bed.gates[0][1]._beat_at = utc_now() + hour  # pyright: ignore[reportPrivateUsage]
    until = time.monotonic() + 5
    async with bed.pool.connection() as db:
        while time.monotonic() < until:
            cursor = await db.execute(
                "SELECT (SELECT max(arrival) < extract(epoch FROM clock_timestamp()) + 3 FROM tabellion.usage_state) AND "
                "NOT EXISTS (SELECT FROM tabellion.usage_call WHERE at > clock_timestamp()) AND "
                "(SELECT max(alive_until) < clock_timestamp() + %s FROM tabellion.usage_process)",
                (2 * batching.LEASE,),
            )
            if (await cursor.fetchone()) == (True,):
                break
            await asyncio.sleep(0.01)
        else:
            pytest.fail("what is ahead was not brought back")
        await store.farewell(db, killed)
    while True:
        try:
            (await gate.admit(bed.credential, "")).release()
        except TooManyCalls:
            assert time.monotonic() < until
            await asyncio.sleep(0.05)
        else:
            break
