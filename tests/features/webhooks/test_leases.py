"""A delivery belongs to one worker for as long as its lease, and to another one after that."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec
import pytest

from tabellion.features.webhooks import Dispatcher
from tabellion.platform.database.connection import Database
from tests.features.webhooks.conftest import Hooks
from tests.support.receiver import status


async def test_a_delivery_of_a_dead_worker_is_sent_again_under_its_id_once_its_lease_has_ended(hooks: Hooks) -> None:
    await hooks.subscribe()
    await hooks.profile("ann@example.com")
    async with hooks.connection() as db:
        await hooks.dispatcher.step(db)
        await hooks.dispatcher.idle()
    # It dies here: the target has the event, the database does not know.
    hooks.dispatcher._outcomes.clear()
    await hooks.deliver()
    assert len(hooks.receiver.requests) == 1
    await hooks.pass_time(16)
    await hooks.deliver()
    assert len(hooks.receiver.requests) == 2
    assert len({r.headers["webhook-id"] for r in hooks.receiver.requests}) == 1
    assert await hooks.deliveries() == []


@asynccontextmanager
async def _sent_once_beside(hooks: Hooks, other: Dispatcher) -> AsyncIterator[Database]:
    """A delivery is being sent, and its receiver does not answer before the end of the body; nobody sends it again."""
    await hooks.subscribe()
    await hooks.profile("ann@example.com")
    answering = asyncio.Event()
    hooks.receiver.hold = answering.wait
    async with hooks.connection() as db:
        await hooks.dispatcher.step(db)
        yield db
        answering.set()
        await hooks.dispatcher.idle()
        await other.idle()
        await hooks.dispatcher.step(db)
    assert len(hooks.receiver.requests) == 1
    assert await hooks.deliveries() == []


@pytest.mark.parametrize("put_back_s", [0, 3600])
async def test_an_attempt_that_outlasts_the_lease_is_nobody_elses(hooks: Hooks, put_back_s: int) -> None:
    hooks.clock.forward(seconds=-put_back_s)
    other = Dispatcher(hooks._url, hooks.dispatcher._client, hooks.clock)
    async with _sent_once_beside(hooks, other) as db:
        for _ in range(4):
            await hooks.pass_time(6)
            await hooks.dispatcher.step(db)
            await other.step(db)


async def test_another_machine_whose_clock_is_ahead_takes_nothing_that_is_being_sent(hooks: Hooks) -> None:
    other = Dispatcher(hooks._url, hooks.dispatcher._client, lambda: hooks.clock() + timedelta(seconds=90))
    async with _sent_once_beside(hooks, other) as db:
        await other.step(db)


async def test_what_a_worker_says_after_its_lease_is_not_believed(hooks: Hooks) -> None:
    await hooks.subscribe()
    await hooks.profile("ann@example.com")
    hooks.receiver.answers(status(500))
    async with hooks.connection() as db:
        await hooks.dispatcher.step(db)
        await hooks.dispatcher.idle()
        late = list(hooks.dispatcher._outcomes)
        hooks.dispatcher._outcomes.clear()
        await hooks.pass_time(16)
        hooks.receiver.answers(status(500))
        await hooks.dispatcher.step(db)
        await hooks.dispatcher.idle()
        hooks.dispatcher._outcomes[:0] = [msgspec.structs.replace(late[0], status=200, error=None, due_at=None)]
        await hooks.dispatcher.step(db)
    assert await hooks.deliveries() == [("PENDING", 2, "HTTP 500")]


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (None, "the worker ended during the attempts"),
        ("HTTP 500", "HTTP 500; then the worker ended during the attempts"),
        # Replayed after that.
        ("HTTP 500; then the worker ended during the attempts", "HTTP 500; then the worker ended during the attempts"),
        ("the worker ended during the attempts", "the worker ended during the attempts"),
    ],
)
async def test_an_attempt_that_always_ends_its_worker_is_given_up(hooks: Hooks, told: str | None, reason: str) -> None:
    await hooks.subscribe()
    await hooks.profile("ann@example.com")
    async with hooks.connection() as db:
        await hooks.dispatcher.step(db)
        await hooks.dispatcher.idle()
        hooks.dispatcher._outcomes.clear()
        await db.execute("UPDATE tabellion.webhook_delivery SET attempts = 9, last_error = %s", (told,))
    await hooks.pass_time(16)
    await hooks.deliver()
    assert len(hooks.receiver.requests) == 1
    assert await hooks.deliveries() == [("DEAD", 10, reason)]
