"""Dispatchers and calls that change the same deliveries at the same time: nobody waits for somebody who waits for him."""

import asyncio
from datetime import timedelta

from psycopg import sql

from tabellion.features.webhooks import queue
from tabellion.features.webhooks.fanout import fan_out
from tabellion.features.webhooks.model import Outcome
from tests.features.tables.test_structure_races import until_waiting
from tests.features.webhooks.conftest import Hooks

_ROWS = "SELECT id::text FROM tabellion.webhook_delivery ORDER BY ctid"


async def test_results_are_written_while_the_subscription_is_switched_off(hooks: Hooks) -> None:
    subscription = await hooks.subscribe()
    for number in range(4):
        await hooks.profile(f"guest{number}@example.com")
    await fan_out(hooks.db, hooks.clock())
    claimed = await queue.claim(hooks.db, hooks.clock(), lease=timedelta(minutes=1), busy={}, at_once=8, most=8)
    order = [row[0] for row in await (await hooks.db.execute(_ROWS)).fetchall()]
    found = {each.id: each for each in claimed}
    first, second, third, last = order

    async with hooks.connection() as writer, hooks.connection() as caller, hooks.connection() as held:
        # As many rows as there may be have them read in the order of the results.
        for way in ("hashjoin", "mergejoin", "seqscan"):
            await writer.execute(sql.SQL("SET {} = off").format(sql.Identifier(f"enable_{way}")))
        async with held.transaction():
            query = "SELECT FROM tabellion.webhook_delivery WHERE id = ANY (%s::uuid[]) FOR UPDATE"
            await held.execute(query, ([second, third],))
            outcomes = [Outcome(found[id_]) for id_ in (last, third, first)]
            writing = asyncio.create_task(queue.finish(writer, outcomes))
            await until_waiting(hooks, "%DELETE FROM tabellion.webhook_delivery%")
            killing = asyncio.create_task(queue.kill(caller, subscription, "switched off"))
            await until_waiting(hooks, "%UPDATE tabellion.webhook_delivery%")
        await writing
        await killing
    assert [row[0] for row in await (await hooks.db.execute(_ROWS)).fetchall()] == [second]
