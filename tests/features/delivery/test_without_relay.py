"""A licence whose last relay is taken away: its mails wait, unless somebody says that the outbox may have them."""

from pathlib import Path

import pytest

from tabellion.features.delivery import Notice, relay_store, send_notice, sender_facts, store
from tabellion.platform import secrets
from tabellion.platform.database.connection import Database
from tabellion.platform.mail import Fate, Relay
from tests.features.delivery.conftest import START, Post
from tests.features.delivery.test_slow_relays import ended, until
from tests.features.delivery.working import MESSAGES, at_work
from tests.support.mailing import smtp_sink


async def kept(post: Post) -> int:
    row = await (await post.db.execute(f"SELECT count(*) FROM l{post.licence_id}.outbox_mail".encode())).fetchone()
    assert row is not None
    return row[0]


async def with_relay(db: Database, licence_id: int, port: int) -> int:
    relay = Relay(host="127.0.0.1", port=port, connections=4)
    return await relay_store.insert_relay(db, licence_id, relay, 1)


async def until_told(caplog: pytest.LogCaptureFixture) -> None:
    await until(lambda: "has no relay any more, and its mails wait" in caplog.text)


@pytest.mark.parametrize("kind", ["MASS", "TRANSACTIONAL"])
async def test_mails_wait_for_another_relay_and_none_goes_to_the_outbox(
    kind: str, post: Post, worker_database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guests = [f"g{n}@example.com" for n in range(5)]
    await post.guests(guests)
    sending = await post.sending(kind, messages=MESSAGES)
    if kind != "MASS":
        for guest in guests:
            await post.trigger(sending, guest, START)
    await store.look_at(post.db, sending.id, START, None)
    with smtp_sink() as sink:
        number = await with_relay(post.db, post.licence_id, sink.port)
        assert await relay_store.delete_relay(post.db, post.licence_id, number)
        async with at_work(worker_database_url, tmp_path):
            await until_told(caplog)
        assert await post.fates(sending) == {("PLANNED", None): 5}
        assert "tabellion relay add" in caplog.text
        await with_relay(post.db, post.licence_id, sink.port)
        async with at_work(worker_database_url, tmp_path):
            await ended(post, sending, 5)
        assert sorted(mail.rcpt_tos[0] for mail in sink.mails) == guests
    assert await kept(post) == 0


async def test_somebody_says_that_the_outbox_may_have_them(
    post: Post, worker_database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await post.guests(["ann@example.com"])
    sending = await post.sending(messages=MESSAGES)
    await store.look_at(post.db, sending.id, START, None)
    await relay_store.delete_relay(post.db, post.licence_id, await with_relay(post.db, post.licence_id, 9))
    async with at_work(worker_database_url, tmp_path):
        await until_told(caplog)
        assert await kept(post) == 0
        # Of the running worker.
        await relay_store.forget_relayed(post.db, post.licence_id)
        await ended(post, sending, 1)
    assert await kept(post) == 1


async def test_notices_wait_too_and_the_checklist_knows(post: Post, tmp_path: Path) -> None:
    secrets.use_key("of the tests", tmp_path)
    notice = Notice(post.licence_id, post.entity_id, "ops@example.com", "Done", "It is done", "n1")
    number = await with_relay(post.db, post.licence_id, 9)
    facts = await sender_facts(post.db, post.licence_id, post.entity_id, "news@example.com")
    assert (facts.leaves, facts.waits) == (True, False)
    await relay_store.delete_relay(post.db, post.licence_id, number)
    facts = await sender_facts(post.db, post.licence_id, post.entity_id, "news@example.com")
    assert (facts.leaves, facts.waits) == (True, True)
    reply = await send_notice(post.db, notice, "localhost", START)
    assert (reply.fate, "relay add" in reply.text, await kept(post)) == (Fate.DEFERRED, True, 0)
    await relay_store.forget_relayed(post.db, post.licence_id)
    facts = await sender_facts(post.db, post.licence_id, post.entity_id, "news@example.com")
    assert (facts.leaves, facts.waits) == (False, False)
    assert (await send_notice(post.db, notice, "localhost", START)).fate is Fate.ACCEPTED
    assert await kept(post) == 1
