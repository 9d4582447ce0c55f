"""Subscriptions that are switched off, by their targets or by calls, get nothing more."""

import asyncio
from zoneinfo import ZoneInfo

import pytest

from tabellion.features.webhooks import queue
from tests.features.tables.test_structure_races import until_waiting
from tests.features.webhooks.conftest import Hooks
from tests.support.receiver import status


async def test_410_switches_off_and_says_so(hooks: Hooks) -> None:
    hooks.receiver.answers(status(500), status(410))
    id_ = await hooks.subscribe()
    await hooks.profile("ann@example.com")
    await hooks.deliver()
    await hooks.profile("bob@example.com")
    await hooks.deliver()
    await hooks.profile("cis@example.com")
    hooks.clock.forward(hours=1)
    await hooks.deliver()

    assert len(hooks.receiver.requests) == 2
    found = await hooks.read("webhooks.v4.get", w=str(id_))
    assert found["isActive"] is False
    assert found["inactiveReason"] == "the target answered 410 (gone)"
    assert [d[0] for d in await hooks.deliveries()] == ["DEAD", "DEAD"]


async def test_five_days_of_failures_switch_off(hooks: Hooks) -> None:
    hooks.receiver.answers(status(500))
    id_ = await hooks.subscribe()
    for _ in range(5):
        await hooks.profile(f"{len(hooks.receiver.requests)}@example.com")
        await hooks.deliver()
        hooks.clock.forward(days=1, hours=1)
        await hooks.deliver()
    found = await hooks.read("webhooks.v4.get", w=str(id_))
    assert found["isActive"] is False
    assert found["inactiveReason"] == "the target has failed for 5 days"


async def test_a_success_begins_the_count_of_days_anew(hooks: Hooks) -> None:
    id_ = await hooks.subscribe()
    for day in range(6):
        hooks.receiver.answers(status(299 if day == 3 else 500))
        await hooks.profile(f"{day}@example.com")
        await hooks.deliver()
        hooks.clock.forward(days=1, hours=1)
    assert (await hooks.read("webhooks.v4.get", w=str(id_)))["isActive"] is True


async def test_switched_off_and_deleted_subscriptions_get_nothing(hooks: Hooks) -> None:
    off, gone = await hooks.subscribe(), await hooks.subscribe()
    hooks.receiver.answers(status(500))
    await hooks.profile("ann@example.com")
    await hooks.deliver()
    assert len(hooks.receiver.requests) == 2
    await hooks.call("webhooks.v4.change", {"isActive": False}, w=str(off))
    await hooks.call("webhooks.v4.delete", w=str(gone))
    await hooks.profile("bob@example.com")
    hooks.clock.forward(hours=1)
    await hooks.deliver()
    assert len(hooks.receiver.requests) == 2
    assert await hooks.deliveries() == [("DEAD", 1, "HTTP 500; then switched off by a call")]

    await hooks.call("webhooks.v4.change", {"isActive": True}, w=str(off))
    hooks.receiver.answers(status(200))
    day = hooks.clock().date().isoformat()
    await hooks.call("webhooks.v5.replay", {"day": day}, w=str(off))
    await hooks.profile("cis@example.com")
    await hooks.deliver()
    assert len(hooks.receiver.requests) == 4


async def test_what_happened_before_a_subscription_was_switched_off_is_kept_for_it(hooks: Hooks) -> None:
    off, _ = await hooks.subscribe(), await hooks.subscribe()
    await hooks.profile("before@example.com")
    await hooks.call("webhooks.v4.change", {"isActive": False}, w=str(off))
    await hooks.profile("after@example.com")
    await hooks.deliver()
    told = [received.json["data"]["emailAddress"] for received in hooks.receiver.requests]
    assert sorted(told) == ["after@example.com", "before@example.com"]
    assert await hooks.deliveries() == [("DEAD", 0, "switched off by a call")]

    await hooks.call("webhooks.v4.change", {"isActive": True}, w=str(off))
    day = hooks.clock().astimezone(ZoneInfo("Europe/Brussels")).date().isoformat()
    assert (await hooks.call("webhooks.v5.replay", {"day": day}, w=str(off))).body.replayed == 1
    await hooks.deliver()
    assert [received.json["data"]["emailAddress"] for received in hooks.receiver.requests[2:]] == ["before@example.com"]


@pytest.mark.parametrize("push", ["ONE_BY_ONE", "BULK"])
async def test_a_subscription_that_is_switched_off_and_its_deliveries_do_not_wait_for_each_other(
    push: str, hooks: Hooks
) -> None:
    id_ = await hooks.subscribe(webhookPushType=push)
    await hooks.profile("ann@example.com")
    hooks.receiver.answers(status(500))
    async with hooks.connection() as works, hooks.connection() as changes:
        await hooks.dispatcher.step(works)
        await hooks.dispatcher.idle()
        # A failure is to be written down; or what was gathered has waited long enough, and is to be sent.
        hooks.clock.forward(seconds=5)
        async with changes.transaction():
            await changes.execute("SELECT FROM tabellion.webhook_subscription WHERE id = %s FOR UPDATE", (id_,))
            working = asyncio.ensure_future(hooks.dispatcher.step(works))
            await until_waiting(hooks, "%tabellion.webhook_%")
            await queue.kill(changes, id_, "switched off")
        await working
        await hooks.dispatcher.idle()
    assert [state for state, _, _ in await hooks.deliveries()] == ["DEAD"]
