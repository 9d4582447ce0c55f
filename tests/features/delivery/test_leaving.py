"""A sender that is told to end while its database is away: it waits for that only while it knows something to be written."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from tabellion.features.delivery import connections, store
from tabellion.features.delivery.model import State
from tests.features.delivery.conftest import START, Post
from tests.features.delivery.test_slow_relays import ended, slow_relay, until
from tests.features.delivery.working import MESSAGES, at_work, relay_at
from tests.support.database_proxy import DatabaseProxy, proxied


@pytest.fixture
def proxy(worker_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatabaseProxy]:
    # As after a second in which nothing was asked: what is broken is not lent, but waited for.
    monkeypatch.setattr(connections, "_WELL_FOR_S", 0.0)
    with proxied(worker_database_url, tmp_path) as made:
        yield made


async def test_without_mails_it_ends_soon(proxy: DatabaseProxy, tmp_path: Path) -> None:
    async with asyncio.timeout(15):
        async with at_work(proxy.url, tmp_path) as sender:
            await until(lambda: sender.worker > 0)
            proxy.cut()


async def test_a_mail_that_has_not_begun_does_not_keep_it(post: Post, proxy: DatabaseProxy, tmp_path: Path) -> None:
    """A relay takes it; that it leaves cannot be committed, for which it waits since before it was told to end."""
    await post.guests(["ann@example.com"])
    sending = await post.sending(messages=MESSAGES)
    async with slow_relay(early=True) as relay:
        await relay_at(post, relay.port)
        async with at_work(proxy.url, tmp_path) as sender:
            await store.look_at(post.db, sending.id, START, None)
            await relay.holds(1)
            proxy.cut()
            relay.goes_on.set()
            pool = sender._pool
            assert pool is not None
            await until(lambda: pool.get_stats()["requests_waiting"] > 0)
            told_at = monotonic()
        assert monotonic() - told_at < 7.5
    assert relay.taken == {}
    assert await post.fates(sending) == {(State.CLAIMED, None): 1}


async def test_what_came_of_a_mail_is_written_down_when_the_database_is_back(
    post: Post, proxy: DatabaseProxy, tmp_path: Path
) -> None:
    await post.guests(["ann@example.com"])
    sending = await post.sending(messages=MESSAGES)
    async with slow_relay() as relay:
        await relay_at(post, relay.port)
        async with at_work(proxy.url, tmp_path):
            await store.look_at(post.db, sending.id, START, None)
            await relay.holds(1)
            proxy.cut()
            relay.goes_on.set()
            await until(lambda: relay.taken.total() == 1)
            # More than it waits for without anything to write.
            asyncio.get_running_loop().call_later(3.0, setattr, proxy, "away", False)
    await ended(post, sending, 1)


async def test_what_came_of_mails_that_could_not_be_written_down_is_told(
    post: Post, proxy: DatabaseProxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await post.guests(["ann@example.com"])
    sending = await post.sending(messages=MESSAGES)
    async with slow_relay() as relay:
        await relay_at(post, relay.port)
        async with at_work(proxy.url, tmp_path, closing_s=0.5):
            await store.look_at(post.db, sending.id, START, None)
            await relay.holds(1)
            proxy.cut()
            relay.goes_on.set()
            await until(lambda: relay.taken.total() == 1)
    assert f"what came of 1 mails of the sending {sending.id} could not be written down (1 ACCEPTED)" in caplog.text
