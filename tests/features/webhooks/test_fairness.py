"""Targets that hang or are slow: the others get their events as if they were not there."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from tabellion.features.webhooks import Dispatcher, queue
from tabellion.features.webhooks.dispatcher import Pace
from tabellion.features.webhooks.fanout import fan_out
from tabellion.kit.clock import utc_now
from tabellion.platform import outbox
from tabellion.platform.egress import Client
from tabellion.platform.outbox import Interest
from tests.features.webhooks.conftest import ALLOWED, Hooks
from tests.support.receiver import OK
from tests.support.structure import connect

TARGETS = 100
EVENTS = 10


@pytest.mark.timeout(120)
async def test_a_hanging_target_delays_nobody(hooks: Hooks) -> None:
    """They are told while its calls still hang, which is longer than this test may take."""
    told: list[str] = []
    all_told = asyncio.Event()

    def answer(received):
        if received.path == "/0":
            return "hang"
        told.append(received.path)
        if len(told) == (TARGETS - 1) * EVENTS:
            all_told.set()
        return OK

    hooks.receiver.answer = answer
    action = (await hooks.call("customActions.v5.create", {"name": "ring"})).body.id
    for target in range(TARGETS):
        url = f"http://127.0.0.1:{hooks.receiver.port}/{target}"
        body = {"on": "CUSTOM_ACTION", "onElementId": action, "eventType": "TRIGGER", "targetUrl": url}
        await hooks.call("webhooks.v4.create", body)
    stop = asyncio.Event()
    async with Client(ALLOWED, answer_within_s=120) as client:
        running = asyncio.create_task(Dispatcher(hooks._url, client, utc_now).run(stop, closing_s=0.1))
        for number in range(EVENTS):
            await outbox.emit(
                hooks.db, hooks.licence_id, Interest("CUSTOM_ACTION", action, "TRIGGER"), {"number": number}, utc_now()
            )
            await asyncio.sleep(0.05)
        await asyncio.wait_for(all_told.wait(), 90)
        stop.set()
        await running

    assert 1 <= hooks.receiver.paths.count("/0") <= 8


async def test_many_slow_targets_leave_room_for_others(hooks: Hooks) -> None:
    told = asyncio.Event()

    def answer(received):
        if received.path != "/well":
            return "hang"
        told.set()
        return OK

    hooks.receiver.answer = answer
    for path in ("slow", "slower", "well"):
        await hooks.subscribe(url=f"http://127.0.0.1:{hooks.receiver.port}/{path}")
    stop = asyncio.Event()
    async with Client(ALLOWED, answer_within_s=20) as client:
        for number in range(10):
            await hooks.profile(f"guest{number}@example.com")
        running = asyncio.create_task(Dispatcher(hooks._url, client, utc_now, Pace(most=16)).run(stop, closing_s=0.1))
        await asyncio.wait_for(told.wait(), 5)
        stop.set()
        await running


async def test_who_has_nothing_under_way_comes_first(hooks: Hooks) -> None:
    busy, idle, new = [await hooks.subscribe() for _ in range(3)]
    for number in range(4):
        await hooks.profile(f"guest{number}@example.com")
    await fan_out(hooks.db, hooks.clock())
    lease = timedelta(minutes=1)

    async def claim(under_way: dict[int, int], most: int) -> list[int]:
        found = await queue.claim(hooks.db, hooks.clock(), lease=lease, busy=under_way, at_once=8, most=most)
        return sorted(each.subscription.id for each in found)

    assert await claim({busy: 6}, most=8) == [idle, new]
    assert await claim({busy: 6, idle: 1, new: 1}, most=8) == []
    assert await claim({busy: 2, idle: 1}, most=8) == [new]
    assert len(await claim({busy: 4, idle: 2, new: 2}, most=20)) == 2


async def test_what_is_dead_takes_no_turn_and_what_is_under_way_has_had_its_own(hooks: Hooks) -> None:
    id_ = await hooks.subscribe()
    for number in range(4):
        await hooks.profile(f"guest{number}@example.com")
    await fan_out(hooks.db, hooks.clock())
    await hooks.db.execute(
        "UPDATE tabellion.webhook_delivery SET state = 'DEAD', due_at = due_at - interval '1 hour' WHERE id IN "
        "(SELECT id FROM tabellion.webhook_delivery ORDER BY event_ids LIMIT 2)"
    )
    lease = timedelta(minutes=1)
    for under_way, at_once, found in ((2, 2, 0), (1, 2, 1), (0, 2, 1)):
        claimed = await queue.claim(hooks.db, hooks.clock(), lease=lease, busy={id_: under_way}, at_once=at_once, most=100)
        assert len(claimed) == found


async def test_licences_take_turns_at_the_outbox(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of news of one licence, and then one of another: that one is passed on with the first of them."""
    monkeypatch.setattr("tabellion.features.webhooks.fanout._EVENTS_AT_ONCE", 10)
    await hooks.subscribe()
    for number in range(12):
        await hooks.profile(f"guest{number}@example.com")
    async with _other(hooks) as other:
        late = await other.subscribe()
        await other.profile("bob@example.com")
        waiting = "SELECT licence_id, count(*) FROM tabellion.outbox_event GROUP BY 1"

        assert await fan_out(hooks.db, hooks.clock()) == 6
        assert dict(await (await hooks.db.execute(waiting)).fetchall()) == {hooks.licence_id: 7}
        found = await queue.claim(hooks.db, hooks.clock(), lease=timedelta(minutes=1), busy={}, at_once=8, most=2)
        assert late in {each.subscription.id for each in found}
        assert await fan_out(hooks.db, hooks.clock()) == 7


async def test_licences_share_what_there_is(hooks: Hooks) -> None:
    many = [await hooks.subscribe() for _ in range(3)]
    await hooks.profile("ann@example.com")
    await fan_out(hooks.db, hooks.clock())
    async with _other(hooks) as other:
        late = await other.subscribe()
        await other.profile("bob@example.com")
        await fan_out(hooks.db, hooks.clock())
        found = await queue.claim(hooks.db, hooks.clock(), lease=timedelta(minutes=1), busy={many[0]: 1}, at_once=8, most=2)
    assert [each.subscription.id for each in found] == [late]


@asynccontextmanager
async def _other(hooks: Hooks) -> AsyncGenerator[Hooks]:
    """A second licence, with a table and a receiver."""
    async with await connect(hooks._url) as db:
        other = Hooks(hooks._url, db)
        await other.make_licence(time_zone="Europe/Brussels")
        await other.create()
        other.prepare(hooks.dispatcher, hooks.clock, hooks.receiver)
        yield other
