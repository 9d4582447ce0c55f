"""The gate against the real database: exact limits over several processes' worth of connections."""

import asyncio
import time
from collections import Counter
from datetime import timedelta

import pytest

from tabellion.features import licences as use
from tabellion.features.licences import Credential, Unauthorized
from tabellion.features.usage import Gate, service
from tabellion.features.usage import batcher as batching
from tabellion.features.usage.errors import TooManyCalls
from tabellion.kit import keys
from tabellion.kit.clock import utc_now
from tests.features.usage.conftest import Bed, until_all_slots_are_free, until_it_waits, until_taken_up


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
    await until_taken_up(batcher)
    while batcher._turn.locked():  # noqa: ASYNC110 - nobody tells of it
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


async def test_who_has_waited_hears_what_is_left_to_wait(bed: Bed) -> None:
    await bed.licence(calls_per_minute=3, window_seconds=2, on_excess="SLOW_DOWN")
    gate = await bed.gate()
    for _ in range(4):
        admission = await gate.admit(bed.credential, "")
        admission.release()
    assert admission.wait_ms > 500
    assert (admission.limits.remaining, admission.limits.reset_s) == (0, 1), "the pace is one in two thirds of a second"
