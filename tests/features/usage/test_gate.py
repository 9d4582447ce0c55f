"""The gate against the real database: exact limits over several processes' worth of connections."""

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from tabellion.features import licences as use
from tabellion.features.licences import Authentication, Credential, Unauthorized
from tabellion.features.usage import Batcher, Gate, service, store
from tabellion.features.usage import batcher as batching
from tabellion.features.usage.errors import LimitReached, TooManyCalls, TooManyConcurrent
from tabellion.features.usage.service import COUNTED, SLOT
from tabellion.kit import keys
from tabellion.kit.clock import utc_now
from tabellion.platform.database.errors import Unavailable
from tabellion.platform.database.pool import Pool
from tests.support.database_proxy import DatabaseProxy, proxied
from tests.support.waiting import until_they_wait

GRACE = timedelta(seconds=60)


class Bed:
    """A licence and as many gates as a test wants."""

    def __init__(self, url: str, pool: Pool) -> None:
        self.url = url
        self.pool = pool
        self.gates: list[tuple[Gate, Batcher]] = []
        self.credential = Credential("k")

    async def licence(self, **limits) -> None:
        """One licence with these limits, and a user."""
        async with self.pool.connection() as db:
            now = utc_now()
            await use.create_licence(db, "harbour", now, preset="unlimited")
            await use.change_limits(db, "harbour", limits, now)
            await use.create_entity(db, "harbour", "hotels", now)
            user = await use.create_user(db, "harbour", "website", now)
        self.credential = Credential("k", keys.digest(user.api_key))

    async def gate(self) -> Gate:
        """Another gate, as another process has it."""
        batcher = Batcher(self.url, GRACE)
        await batcher.start()
        dbname = psycopg.conninfo.conninfo_to_dict(self.url)["dbname"]
        gate = Gate(batcher, Authentication(self.pool, utc_now), self.pool, dbname)
        self.gates.append((gate, batcher))
        return gate

    async def session(self) -> int:
        """The process that the database has for the one gate."""
        query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'tabellion gate' AND datname = current_database()"
        async with self.pool.connection() as db:
            (process,) = await (await db.execute(query)).fetchone() or (0,)
        return process


@pytest.fixture
async def bed(database_url: str, pool: Pool) -> AsyncIterator[Bed]:
    bed = Bed(database_url, pool)
    yield bed
    for _, batcher in bed.gates:
        await batcher.stop()


async def test_reject_mode_is_exact_over_several_processes(bed: Bed) -> None:
    await bed.licence(calls_per_minute=30, window_seconds=2, on_excess="REJECT")
    gates = [await bed.gate() for _ in range(3)]
    outcome: Counter[str] = Counter()
    until = time.monotonic() + 5

    async def client(gate: Gate) -> None:
        while time.monotonic() < until:
            try:
                admission = await gate.admit(bed.credential, "")
            except TooManyCalls as refusal:
                outcome["refused"] += 1
                assert int(refusal.headers["Retry-After"]) >= 1
                await asyncio.sleep(0.005)
            else:
                outcome["admitted"] += 1
                admission.release()

    await asyncio.gather(*(client(gate) for gate in gates for _ in range(10)))

    async with bed.pool.connection() as db:
        calls = [row[0] for row in await (await db.execute("SELECT at FROM tabellion.usage_call ORDER BY at")).fetchall()]
    assert outcome["refused"] > 100
    # Three windows at least were filled, and none was over-filled; no call was refused that had room.
    assert 60 <= outcome["admitted"] <= 90 + 30
    for first, last in zip(calls, calls[30:], strict=False):
        assert last - first >= timedelta(seconds=2)

    # Who waits for another process calls when that is done, not before.
    async with bed.pool.connection() as holding, bed.pool.connection() as db:
        async with holding.transaction():
            await holding.execute("DELETE FROM tabellion.usage_call")
            await holding.execute("SELECT FROM tabellion.usage_state FOR UPDATE")
            admitting = asyncio.create_task(gates[0].admit(bed.credential, ""))
            waits = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            while await (await db.execute(waits)).fetchone() is None:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.001)
            done = await (await db.execute("SELECT clock_timestamp()")).fetchone()
        (await admitting).release()
        called = await (await db.execute("SELECT at FROM tabellion.usage_call")).fetchone()
    assert called is not None
    assert done is not None
    assert called[0] > done[0]


async def test_no_false_refusal_below_the_limit_and_nobody_is_forgotten(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "MAX_BATCH", 10)
    await bed.licence(calls_per_minute=50, window_seconds=60, on_excess="REJECT")
    gates = [await bed.gate() for _ in range(2)]

    admissions = await asyncio.gather(*(gate.admit(bed.credential, "") for gate in gates for _ in range(25)))

    assert len(admissions) == 50
    with pytest.raises(TooManyCalls):
        await gates[0].admit(bed.credential, "")
    async with bed.pool.connection() as db:
        counted = await (await db.execute("SELECT calls, slowed_down, refused FROM tabellion.usage_state")).fetchone()
    assert counted == (50, 0, 1)


async def test_slow_down_paces_and_rejects_nothing(bed: Bed) -> None:
    await bed.licence(calls_per_minute=20, window_seconds=1, on_excess="SLOW_DOWN", max_concurrent=5)
    gates = [await bed.gate() for _ in range(2)]
    admitted: list[float] = []
    until = time.monotonic() + 4

    async def client(gate: Gate) -> None:
        while time.monotonic() < until:
            admission = await gate.admit(bed.credential, "")
            admitted.append(time.monotonic())
            admission.release()

    started = time.monotonic()
    # Five clients: as many as may run at the same time, so that none is refused.
    await asyncio.gather(client(gates[0]), client(gates[0]), client(gates[0]), client(gates[1]), client(gates[1]))

    took = max(admitted) - started
    assert len(admitted) == pytest.approx(20 + 20 * took, rel=0.10)
    settled = [moment for moment in admitted if moment - started > 1.5]
    assert len(settled) / (max(settled) - min(settled)) == pytest.approx(20, rel=0.10)


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


async def test_what_is_not_counted_or_has_expired_leaves_the_window_as_it_is(bed: Bed) -> None:
    await bed.licence(calls_per_minute=10, window_seconds=60, on_excess="REJECT", max_concurrent=1)
    gate = await bed.gate()
    async with bed.pool.connection() as db:
        await db.execute(
            "INSERT INTO tabellion.access_token SELECT 'old', id, now() - interval '1 hour' FROM tabellion.api_user"
        )
    remaining: list[int | None] = []
    for counted in (False, True, False, True):
        admission = await gate.admit(bed.credential, "", counted=counted)
        remaining.append(admission.limits.remaining)
        admission.release()
        with pytest.raises(Unauthorized) as refusal:
            await gate.admit(Credential("t", b"old"), "")
        assert refusal.value.code == "auth.expired"
    assert remaining == [10, 9, 9, 8]


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


async def test_who_waited_is_looked_up_again_is_counted_once_and_may_be_revoked_meanwhile(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_RECHECK_AFTER_MS", 10)
    await bed.licence(calls_per_minute=4, window_seconds=1, on_excess="SLOW_DOWN", max_concurrent=9)
    gate = await bed.gate()
    admissions = await asyncio.gather(*(gate.admit(bed.credential, "") for _ in range(6)))
    assert max(each.wait_ms for each in admissions) > 10
    async with bed.pool.connection() as db:
        used = "SELECT calls, (SELECT sum(in_flight) FROM tabellion.usage_slot) FROM tabellion.usage_state"
        assert await (await db.execute(used)).fetchone() == (6, 6)
        # As if others had called: there is a second to be revoked in.
        await db.execute("UPDATE tabellion.usage_state SET arrival = arrival + 1")
    for each in admissions:
        each.release()

    waiting = asyncio.create_task(gate.admit(bed.credential, ""))
    ((_, batcher),) = bed.gates
    while not batcher._waiting:  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(0)
    while batcher._waiting or batcher._turn.locked():  # noqa: ASYNC110 - the same
        await asyncio.sleep(0)
    async with bed.pool.connection() as db:
        await use.revoke_user(db, "harbour", "website", utc_now())

    with pytest.raises(Unauthorized):
        await waiting
    with pytest.raises(Unauthorized):
        await gate.admit(bed.credential, "")
    await until_all_slots_are_free(bed)


async def test_a_licence_that_is_deleted_meanwhile_costs_nobody_else_their_call(bed: Bed) -> None:
    await bed.licence(max_concurrent=9)
    async with bed.pool.connection() as db:
        await use.create_licence(db, "island", utc_now(), preset="unlimited")
        user = await use.create_user(db, "island", "website", utc_now())
    gate = await bed.gate()
    async with bed.pool.connection() as db:
        async with db.transaction():
            await use.delete_licence(db, "harbour", utc_now())
            asked = [
                asyncio.create_task(gate.admit(credential, ""))
                for credential in (bed.credential, Credential("k", keys.digest(user.api_key)))
            ]
            await until_it_waits(bed, "tabellion gate")
        with pytest.raises(Unauthorized):
            await asked[0]
        (await asked[1]).release()


async def test_who_deletes_a_licence_waits_for_the_gate_and_never_holds_what_it_needs(bed: Bed) -> None:
    await bed.licence(max_concurrent=9)
    await (await bed.gate()).admit(bed.credential, "")
    async with bed.pool.connection() as gate, bed.pool.connection() as db:
        async with gate.transaction():
            # As the gate of a process does that has no slot of the licence yet.
            await gate.execute("SELECT FROM tabellion.usage_state FOR UPDATE")
            await db.execute("SET application_name = 'deleter'")
            deleted = asyncio.create_task(use.delete_licence(db, "harbour", utc_now()))
            await until_it_waits(bed, "deleter")
            await gate.execute("INSERT INTO tabellion.usage_process VALUES (99, now())")
            await gate.execute("INSERT INTO tabellion.usage_slot SELECT licence_id, 99, 1 FROM tabellion.usage_state")
        await deleted


async def until_it_waits(bed: Bed, application: str) -> None:
    """Until the program waits for somebody's lock."""
    with psycopg.connect(bed.url, autocommit=True) as db:
        await asyncio.to_thread(until_they_wait, db, application)


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
            while not batcher._waiting:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0)
            while batcher._waiting:  # noqa: ASYNC110 - the same
                await asyncio.sleep(0)
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


async def until_all_slots_are_free(bed: Bed) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        async with bed.pool.connection() as db:
            row = await (await db.execute("SELECT coalesce(sum(in_flight), 0) FROM tabellion.usage_slot")).fetchone()
        if row == (0,):
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"slots are still taken: {row}")


async def test_the_numbers_of_the_two_header_families_agree(bed: Bed) -> None:
    await bed.licence(calls_per_minute=10, window_seconds=60, max_concurrent=5, bulk_per_day=12)
    gate = await bed.gate()
    for used in range(1, 11):
        admission = await gate.admit(bed.credential, "")
        headers = admission.limits.headers
        assert headers["RateLimit"] == f'"permin";r={10 - used};t={headers["X-RateLimit-Reset"]}'
        assert headers["X-RateLimit-Remaining"] == str(10 - used)
        assert headers["X-RateLimit-Limit"] == "10"
        assert headers["RateLimit-Policy"] == '"permin";q=10;w=60, "conc";q=5;qu="concurrent-requests"'
        policies = [dict(admission.limits.raw_headers(bulk=bulk))[b"ratelimit-policy"] for bulk in (False, True)]
        own = headers["RateLimit-Policy"].encode()
        assert policies == [own, own + b', "bulkday";q=12;w=86400']
        admission.release()


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


async def test_who_has_waited_hears_what_is_left_to_wait(bed: Bed) -> None:
    await bed.licence(calls_per_minute=3, window_seconds=2, on_excess="SLOW_DOWN")
    gate = await bed.gate()
    for _ in range(4):
        admission = await gate.admit(bed.credential, "")
        admission.release()
    assert admission.wait_ms > 500
    assert (admission.limits.remaining, admission.limits.reset_s) == (0, 1), "the pace is one in two thirds of a second"


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
        while not batcher._waiting:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0)
        while batcher._waiting:  # noqa: ASYNC110 - the same
            await asyncio.sleep(0)
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
