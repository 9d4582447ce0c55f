"""Secrets and headers of subscriptions are stored sealed; what another key has sealed is held, never sent without them."""

import asyncio
import base64
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg.types.json import Jsonb
from standardwebhooks import Webhook

from tabellion.features.webhooks import queue, service, store
from tabellion.features.webhooks.fanout import fan_out
from tabellion.kit.problem import Problem
from tabellion.platform import secrets
from tabellion.platform.database.schema import load_migrations
from tests.features.tables.test_structure_races import until_waiting
from tests.features.webhooks.conftest import Hooks
from tests.support.receiver import status

HEADERS = {"X-Authorization": "Zwitscher-91c2"}


@pytest.fixture(autouse=True)
def _own_key() -> Iterator[None]:
    use("of the tests")
    yield
    use("of the tests")


def use(key: str) -> None:
    secrets.use_key(key, Path("/nowhere"))


async def stored(hooks: Hooks) -> str:
    """What a dump has of subscriptions."""
    return (await hooks.row("SELECT string_agg(s::text, ' ') FROM tabellion.webhook_subscription s"))[0]


async def rotate(hooks: Hooks, id_: int, **members: Any) -> str:
    """Answers the new secret."""
    made: Any = (await hooks.call("webhooks.v4.change", {"rotateSecret": True} | members, w=str(id_))).body
    return made.signing_secret


async def refused(hooks: Hooks, body: dict[str, Any], id_: int) -> tuple[int, str]:
    before = await stored(hooks)
    with pytest.raises(Problem) as refusal:
        await hooks.call("webhooks.v4.change", body, w=str(id_))
    assert await stored(hooks) == before
    return refusal.value.status, refusal.value.code


def octets(shown: str) -> bytes:
    return base64.b64decode(shown.removeprefix("whsec_"))


async def test_a_dump_has_neither_secrets_nor_headers(hooks: Hooks) -> None:
    id_ = await hooks.subscribe(headers=HEADERS)
    shown = [hooks.secrets[id_], await rotate(hooks, id_)]
    dump = await stored(hooks)
    for secret in (*HEADERS.values(), *HEADERS, *(each.removeprefix("whsec_") for each in shown)):
        assert secret not in dump
        assert secret.encode().hex() not in dump
    assert not [each for each in shown if octets(each).hex() in dump]
    assert (await hooks.read("webhooks.v4.get", w=str(id_)))["headers"] == HEADERS


async def test_one_subscription_cannot_be_given_the_secrets_of_another(hooks: Hooks) -> None:
    one, other = await hooks.subscribe(headers=HEADERS), await hooks.subscribe()
    await hooks.db.execute(
        "UPDATE tabellion.webhook_subscription SET sealed = (SELECT sealed FROM tabellion.webhook_subscription WHERE id = %s) "
        "WHERE id = %s",
        (one, other),
    )
    found = await hooks.read("webhooks.v4.get", w=str(other))
    assert (found["headers"], found["secretsUnreadable"]) == ({}, True)


async def test_what_earlier_releases_stored_works_and_is_sealed_once_by_whoever_comes_first(hooks: Hooks) -> None:
    id_ = await hooks.subscribe(headers=HEADERS)
    shown = [hooks.secrets[id_], await rotate(hooks, id_)]
    await hooks.db.execute(
        "ALTER TABLE tabellion.webhook_subscription DROP sealed, DROP unsealed, ADD headers jsonb, ADD secret bytea, "
        "ADD previous_secret bytea"
    )
    await hooks.db.execute(
        "UPDATE tabellion.webhook_subscription SET headers = %s, secret = %s, previous_secret = %s",
        (Jsonb(HEADERS), *(octets(each) for each in reversed(shown))),
    )
    (migration,) = (each for each in load_migrations() if each.name == "sealed_webhooks")
    await hooks.db.execute(migration.text.encode())
    tag = (await hooks.call("webhooks.v4.get", w=str(id_))).etag
    assert "Zwitscher" in await stored(hooks)
    await hooks.profile("ann@example.com")
    await hooks.deliver()
    async with hooks.connection() as one, hooks.connection() as other:
        async with one.transaction():
            assert await store.seal_unsealed(one) == 1
            second = asyncio.create_task(store.seal_unsealed(other))
            await until_waiting(hooks, "%webhook_subscription%")
        assert await second == 0
    assert "Zwitscher" not in await stored(hooks)
    assert (await hooks.call("webhooks.v4.get", w=str(id_))).etag == tag
    await hooks.profile("bob@example.com")
    await hooks.deliver()

    assert len(hooks.receiver.requests) == 2
    for received in hooks.receiver.requests:
        assert received.headers["x-authorization"] == "Zwitscher-91c2"
        assert [Webhook(each).verify(received.body, received.headers) for each in shown]


async def test_a_dispatcher_seals_what_is_not_when_it_begins(hooks: Hooks) -> None:
    await hooks.subscribe(headers=HEADERS)
    await hooks.db.execute(
        "UPDATE tabellion.webhook_subscription SET sealed = NULL, unsealed = "
        """'{"headers": {"X-Authorization": "Zwitscher-91c2"}, "secret": "c2VjcmV0", "previous_secret": null}'"""
    )
    stop = asyncio.Event()
    running = asyncio.create_task(hooks.dispatcher.run(stop))
    while "Zwitscher" in await stored(hooks):
        assert not running.done()
    stop.set()
    await running


async def test_what_another_key_has_sealed_is_held_until_the_key_is_back(
    hooks: Hooks, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tabellion")
    hooks.receiver.answers(status(500))
    id_ = await hooks.subscribe(headers=HEADERS)
    await hooks.profile("ann@example.com")
    await hooks.deliver()
    use("another")
    for number in range(10):
        await hooks.profile(f"p{number}@example.com")
    for _ in range(3):
        hooks.clock.forward(minutes=1)
        await hooks.deliver()

    assert len(hooks.receiver.requests) == 1
    assert {(state, attempts) for state, attempts, _ in await hooks.deliveries()} == {("PENDING", 0), ("PENDING", 1)}
    await hooks.db.execute("UPDATE tabellion.webhook_delivery SET occurred_at = '2027-02-01T12:00:00Z'")
    told = (await hooks.read("webhooks.v4.failures", w=str(id_), day="2027-02-01"))["errors"]
    # A look a minute touches one of them, as the target failed before, and not all that wait.
    assert len(told) == 3
    assert {(error["state"], error["lastStatusCode"]) for error in told} == {("RETRYING", None)}
    assert all(
        error["lastError"].startswith("secret and headers were sealed with another key than this server's") for error in told
    )
    found = await hooks.read("webhooks.v4.get", w=str(id_))
    assert (found["isActive"], found["headers"], found["secretsUnreadable"]) == (True, {}, True)
    told_once = f"webhook subscription {id_} of licence {hooks.licence_id} is held: {service.HELD}"
    assert [message for message in caplog.messages if "is held" in message] == [told_once]

    use("of the tests")
    hooks.receiver.answers(status(200))
    hooks.clock.forward(minutes=1)
    await hooks.deliver()
    assert len(hooks.receiver.requests) == 12
    for received in hooks.receiver.requests:
        assert received.headers["x-authorization"] == "Zwitscher-91c2"
        assert Webhook(hooks.secrets[id_]).verify(received.body, received.headers)
    assert await hooks.deliveries() == []
    assert caplog.messages.count(f"webhook subscription {id_} is delivered again") == 1


async def test_others_are_delivered_meanwhile(hooks: Hooks) -> None:
    await hooks.subscribe(url=hooks.receiver.url + "/held")
    use("another")
    await hooks.subscribe()
    for number in range(3):
        await hooks.profile(f"p{number}@example.com")
    await hooks.deliver()
    assert hooks.receiver.paths == ["/hook"] * 3
    assert [state for state, _, _ in await hooks.deliveries()] == ["PENDING"] * 3


async def test_what_was_switched_off_meanwhile_is_not_held(hooks: Hooks) -> None:
    id_ = await hooks.subscribe()
    await hooks.profile("ann@example.com")
    await fan_out(hooks.db, hooks.clock())
    claimed = await queue.claim(hooks.db, hooks.clock(), lease=timedelta(minutes=1), busy={}, at_once=8, most=8)
    await queue.kill(hooks.db, id_, "switched off")
    await service.hold(hooks.db, claimed, hooks.clock())
    assert await hooks.deliveries() == [("DEAD", 1, "switched off")]


async def test_days_without_the_key_switch_a_subscription_off_and_say_so(hooks: Hooks) -> None:
    id_ = await hooks.subscribe()
    use("another")
    await hooks.profile("ann@example.com")
    await hooks.deliver()
    hooks.clock.forward(days=5)
    await hooks.deliver()
    found = await hooks.read("webhooks.v4.get", w=str(id_))
    assert (found["isActive"], found["inactiveReason"]) == (False, "its secret could not be read for 5 days")
    assert await hooks.deliveries() == [("DEAD", 0, "its secret could not be read for 5 days")]


async def test_a_subscription_of_another_key_is_mended_by_a_new_secret_and_headers_together(hooks: Hooks) -> None:
    id_ = await hooks.subscribe(headers=HEADERS)
    use("another")
    await hooks.profile("ann@example.com")
    await hooks.deliver()
    for half in ({"rotateSecret": True}, {"headers": {"X-New": "1"}}):
        assert await refused(hooks, half, id_) == (409, "webhook.unreadable")
    # What is not about them can be changed, and leaves them as they are.
    sealed = await hooks.row("SELECT sealed FROM tabellion.webhook_subscription")
    await hooks.call("webhooks.v4.change", {"maxBlockSize": 7}, w=str(id_))
    assert await hooks.row("SELECT sealed FROM tabellion.webhook_subscription") == sealed

    new = await rotate(hooks, id_, headers={"X-New": "1"})
    assert (await hooks.read("webhooks.v4.get", w=str(id_)))["secretsUnreadable"] is False
    hooks.clock.forward(minutes=1)
    await hooks.deliver()
    (received,) = hooks.receiver.requests
    assert received.headers["x-new"] == "1"
    # The old one is known to nobody any more.
    assert len(received.headers["webhook-signature"].split(" ")) == 1
    assert Webhook(new).verify(received.body, received.headers)
