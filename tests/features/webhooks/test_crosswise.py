"""Dispatchers and calls that change the same deliveries at the same time: nobody waits for somebody who waits for him."""

import asyncio
from datetime import timedelta

import pytest
from psycopg import sql

from tabellion.features.webhooks import queue, store
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


@pytest.mark.parametrize("how", ["replay", "purge"])
async def test_dead_deliveries_are_changed_while_results_of_theirs_are_written(hooks: Hooks, how: str) -> None:
    """Attempts may be under way of deliveries that died when their subscription was switched off, and is on again."""
    number = await hooks.subscribe()
    for each in range(2):
        await hooks.profile(f"guest{each}@example.com")
    await fan_out(hooks.db, hooks.clock())
    claimed = await queue.claim(hooks.db, hooks.clock(), lease=timedelta(minutes=1), busy={}, at_once=8, most=8)
    await queue.kill(hooks.db, number, "switched off")
    # The table and its indexes have them the other way round than those who write results down lock them.
    first, last = sorted(claimed, key=lambda each: each.id)
    for each, ago in ((last, 2), (first, 1)):
        query = "UPDATE tabellion.webhook_delivery SET occurred_at = %s WHERE id = %s::uuid"
        await hooks.db.execute(query, (hooks.clock() - timedelta(minutes=ago), each.id))
    assert [row[0] for row in await (await hooks.db.execute(_ROWS)).fetchall()] == [last.id, first.id]
    (found,) = await store.of_licences(hooks.db, [hooks.licence_id])
    now = hooks.clock()

    async with hooks.connection() as caller, hooks.connection() as writer:
        if how == "replay":
            span = {"begin": now - timedelta(days=1), "end": now + timedelta(days=1)}
            change = queue.replay(caller, found, now, event_id=None, **span)
        else:
            change = queue.purge(caller, now + timedelta(days=1))
        async with writer.transaction():
            await queue.finish(writer, [Outcome(first)])
            changing = asyncio.create_task(change)
            await until_waiting(hooks, "%tabellion.webhook_delivery%")
            await queue.finish(writer, [Outcome(last)])
        assert await changing == 0
    assert await hooks.deliveries() == []
