"""One target that hangs among a hundred: the others get their events as if it were not there."""

import asyncio
import math

import pytest

from tabellion.features.webhooks import Dispatcher
from tabellion.kit.clock import utc_now
from tabellion.platform import outbox
from tabellion.platform.egress import Client
from tabellion.platform.outbox import Interest
from tests.features.webhooks.conftest import ALLOWED, Hooks
from tests.support.receiver import OK

TARGETS = 100
EVENTS = 10
P99_S = 2.0


@pytest.mark.timeout(120)
async def test_a_hanging_target_delays_nobody(hooks: Hooks) -> None:
    waits: list[float] = []
    loop = asyncio.get_running_loop()
    written: dict[str, float] = {}
    all_told = asyncio.Event()

    def answer(received):
        if received.path == "/0":
            return "hang"
        waits.append(loop.time() - written[received.json["data"]["number"]])
        if len(waits) == (TARGETS - 1) * EVENTS:
            all_told.set()
        return OK

    hooks.receiver.answer = answer
    action = (await hooks.call("customActions.v5.create", {"name": "ring"})).body.id
    for target in range(TARGETS):
        url = f"http://127.0.0.1:{hooks.receiver.port}/{target}"
        body = {"on": "CUSTOM_ACTION", "onElementId": action, "eventType": "TRIGGER", "targetUrl": url}
        await hooks.call("webhooks.v4.create", body)
    stop = asyncio.Event()
    async with Client(ALLOWED) as client:
        running = asyncio.create_task(Dispatcher(hooks._url, client, utc_now).run(stop, closing_s=0.1))
        for number in range(EVENTS):
            written[str(number)] = loop.time()
            await outbox.emit(
                hooks.db, hooks.licence_id, Interest("CUSTOM_ACTION", action, "TRIGGER"), {"number": number}, utc_now()
            )
            await asyncio.sleep(0.3)
        await asyncio.wait_for(all_told.wait(), 60)
        stop.set()
        await running

    p99 = sorted(waits)[math.ceil(len(waits) * 0.99) - 1]
    assert p99 <= P99_S, f"{p99:.2f} s"
    assert 1 <= hooks.receiver.paths.count("/0") <= 8
