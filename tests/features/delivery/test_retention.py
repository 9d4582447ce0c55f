"""Old mails lose what is personal, reports and readers' choices do not."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest

from tabellion.features import delivery, tracking
from tabellion.features.bounces import service as bounces
from tabellion.features.bounces.model import Finding, Kind, Rules
from tabellion.features.delivery import Forgotten, Sending, is_suppressed, retaining, store, stripping, suppression_store
from tabellion.features.delivery.model import Message
from tabellion.features.delivery.tokens import Token, Use, write
from tests.features.delivery.conftest import START, Post, licence_that_sends

MESSAGES = {"en": Message("Hello", "<a href='~~0:https://shop.example/?c={{ profile.code }}~~'>x</a>", "Hello")}
MUCH_LATER = START + timedelta(days=40)
BEFORE = MUCH_LATER - timedelta(days=30)


async def sent(post: Post, sending: Sending) -> None:
    claimed, _ = await post.plain_claim(sending)
    await post.accept(sending, claimed, START)
    schema = f"l{post.licence_id}"
    query = (
        f"INSERT INTO {schema}.mail_event (recipient_id, campaign_id, type, moment, url, link, agent, method, actor) "
        "SELECT id, campaign_id, 'CLICK', %s, 'https://shop.example/?c=17', 0, 'Firefox', 'GET', 'human' "
        f"FROM {schema}.recipient WHERE sending_id = %s"
    )
    await post.db.execute(query.encode(), (START, sending.id))
    await post.db.execute(
        f"INSERT INTO {schema}.outbox_mail (recipient_id, moment, sender, recipient, subject, content) "
        "VALUES (1, %s, 's@example.com', 'ann@example.com', 'Hello', '')".encode(),
        (START,),
    )


async def kept(post: Post) -> tuple[list[str], set[tuple[str | None, str | None]], int]:
    """Addresses of mails, program and address of events, mails in the outbox."""
    schema = f"l{post.licence_id}"
    addresses = await (await post.db.execute(f"SELECT address FROM {schema}.recipient ORDER BY id".encode())).fetchall()
    events = await (await post.db.execute(f"SELECT agent, url FROM {schema}.mail_event".encode())).fetchall()
    (outbox,) = await (await post.db.execute(f"SELECT count(*) FROM {schema}.outbox_mail".encode())).fetchone() or (0,)
    return [row[0] for row in addresses], {(row[0], row[1]) for row in events}, outbox


@pytest.mark.parametrize("at_once", [1, 2000])
async def test_old_mails_lose_what_is_personal_and_their_readers_can_unsubscribe(
    post: Post, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(retaining, "_AT_ONCE", at_once)
    await post.guests(["ann@example.com", "bob@example.net"])
    sending = await post.sending(messages=MESSAGES, mark="~~")
    await sent(post, sending)
    personal = (["ann@example.com", "bob@example.net"], {("Firefox", "https://shop.example/?c=17")}, 1)
    assert await retaining.strip_licence(post.db, post.licence_id, START - timedelta(days=1), MUCH_LATER) == 0
    assert await kept(post) == personal
    # A mass campaign that goes on compares addresses; what readers did does not wait for it.
    events = {(None, "https://shop.example/?c={{ profile.code }}")}
    assert await retaining.strip_licence(post.db, post.licence_id, BEFORE, MUCH_LATER) == 0
    assert await kept(post) == (personal[0], events, 0)
    await store.set_state(post.db, sending.id, "ENDED", START)
    assert await retaining.strip_licence(post.db, post.licence_id, BEFORE, MUCH_LATER) == 2
    assert await kept(post) == (["@example.com", "@example.net"], events, 0)
    assert await retaining.strip_licence(post.db, post.licence_id, BEFORE, MUCH_LATER) == 0

    query = f"SELECT min(id) FROM l{post.licence_id}.recipient".encode()
    (mail,) = await (await post.db.execute(query)).fetchone() or (0,)
    page = await tracking.unsubscribe(post.db, write(Token(Use.UNSUBSCRIBE, post.licence_id, mail)), MUCH_LATER)
    assert page is not None
    assert page.done
    assert await is_suppressed(post.db, post.licence_id, "ann@example.com")
    assert not await is_suppressed(post.db, post.licence_id, "@example.com")
    # Of whom nothing is left, nobody can say what they choose.
    await post.db.execute(f"DELETE FROM l{post.licence_id}.{post.table.relation}".encode())
    with pytest.raises(Forgotten):
        await tracking.unsubscribe(post.db, write(Token(Use.UNSUBSCRIBE, post.licence_id, mail + 1)), MUCH_LATER)
    assert not await is_suppressed(post.db, post.licence_id, "")


async def test_who_calls_an_old_mail_spam_gets_no_more_at_the_address_that_they_have_now(post: Post) -> None:
    await post.guests(["ann@example.com", "bob@example.net"])
    sending = await post.sending(messages=MESSAGES, mark="~~")
    await sent(post, sending)
    await store.set_state(post.db, sending.id, "ENDED", START)
    assert await retaining.strip_licence(post.db, post.licence_id, BEFORE, MUCH_LATER) == 2
    query = f"SELECT id FROM l{post.licence_id}.recipient ORDER BY id".encode()
    (ann,), (bob,) = await (await post.db.execute(query)).fetchall()
    desk = bounces.Desk(post.db, Rules(), MUCH_LATER)
    told = Finding(Kind.COMPLAINT, text="abuse by ann@example.com")
    await bounces.note(desk, post.licence_id, ann, told)
    # A mailbox that is gone by now need not be that of the present address.
    await bounces.note(desk, post.licence_id, bob, Finding(Kind.HARD, "5.1.1"))
    found = await suppression_store.latest(post.db, post.licence_id, 10)
    assert [(each.address, each.reason, each.detail) for each in found] == [("ann@example.com", "COMPLAINT", None)]


async def test_most_of_the_time_is_left_to_those_who_send(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retaining, "_AT_ONCE", 1)
    await post.guests([f"{number}@example.com" for number in range(5)])
    sending = await post.sending(messages=MESSAGES, mark="~~")
    await sent(post, sending)
    await store.set_state(post.db, sending.id, "ENDED", START)
    strip, worked = stripping.strip, 0.0

    async def timed(*args: Any, **named: Any) -> stripping.Stripped:
        nonlocal worked
        began = monotonic()
        stripped = await strip(*args, **named)
        worked += monotonic() - began
        return stripped

    monkeypatch.setattr(stripping, "strip", timed)
    began = monotonic()
    assert await retaining.strip_licence(post.db, post.licence_id, BEFORE, MUCH_LATER) == 5
    assert monotonic() - began > 4 * worked


async def test_mails_that_wait_are_stripped_when_they_have_left(post: Post) -> None:
    await post.guests(["ann@example.com"])
    sending = await post.sending("CONTINUOUS", messages=MESSAGES, mark="~~")
    await post.trigger(sending, "ann@example.com", START)
    assert await retaining.strip_licence(post.db, post.licence_id, BEFORE, MUCH_LATER) == 0
    assert (await kept(post))[0] == ["ann@example.com"]
    await sent(post, sending)
    assert await retaining.strip_licence(post.db, post.licence_id, BEFORE, MUCH_LATER) == 1
    assert (await kept(post))[0] == ["@example.com"]


async def test_a_test_whose_campaign_was_deleted_before_it_left_is_stripped(post: Post) -> None:
    sending = await post.sending("CONTINUOUS", test=True)
    await delivery.plan(post.db, sending, delivery.Recipient(None, "ann@example.com", "en"), START)
    await post.db.execute("DELETE FROM tabellion.campaign WHERE id = %s", (sending.campaign_id,))
    assert await retaining.strip_licence(post.db, post.licence_id, BEFORE, MUCH_LATER) == 1
    assert (await kept(post))[0] == ["@example.com"]


async def test_one_that_is_on_its_way_whose_campaign_was_deleted_is_left_alone(post: Post) -> None:
    sending = await post.sending("CONTINUOUS", test=True)
    await delivery.plan(post.db, sending, delivery.Recipient(None, "ann@example.com", "en"), START)
    assert await retaining.strip_licence(post.db, post.licence_id, BEFORE, MUCH_LATER) == 0
    await post.db.execute(f"UPDATE l{post.licence_id}.recipient SET state = 'SENDING'".encode())
    await post.db.execute("DELETE FROM tabellion.campaign WHERE id = %s", (sending.campaign_id,))
    async with asyncio.timeout(10):
        assert await retaining.strip_licence(post.db, post.licence_id, BEFORE, MUCH_LATER) == 0
    assert (await kept(post))[0] == ["ann@example.com"]
    await post.db.execute(f"UPDATE l{post.licence_id}.recipient SET state = 'ACCEPTED'".encode())
    assert await retaining.strip_licence(post.db, post.licence_id, BEFORE, MUCH_LATER) == 1


async def test_all_licences_are_gone_through_also_when_one_is_deleted_meanwhile(database_url: str) -> None:
    async with AsyncExitStack() as stack:
        posts = [await stack.enter_async_context(licence_that_sends(database_url)) for _ in range(3)]
        for number, post in enumerate(posts):
            await post.guests([f"guest{number}@example.com"])
            sending = await post.sending(messages=MESSAGES, mark="~~")
            await sent(post, sending)
            await store.set_state(post.db, sending.id, "ENDED", START)
        first, gone, last = posts
        await gone.db.execute(f"ALTER SCHEMA l{gone.licence_id} RENAME TO away".encode())

        assert await retaining.strip_old(first.db, BEFORE, MUCH_LATER) == 2

        await gone.db.execute(f"ALTER SCHEMA away RENAME TO l{gone.licence_id}".encode())
        assert [(await kept(post))[0] for post in (first, last)] == [["@example.com"]] * 2
        assert (await kept(gone))[0] == ["guest1@example.com"]
        assert await retaining.strip_old(first.db, BEFORE, MUCH_LATER) == 1
