"""What a claim tells its sender: whether there is more, and when to look again."""

from datetime import timedelta

import pytest

from tabellion.features import delivery
from tabellion.features.delivery import (
    ABTest,
    Contact,
    Criterion,
    Delivery,
    Hours,
    Limits,
    Sending,
    Window,
    claiming,
    limits_store,
    recipient_store,
    store,
)
from tabellion.features.delivery.claiming import Taken
from tabellion.features.delivery.hours import DAYS
from tabellion.features.delivery.pacing import rules_of
from tests.features.delivery.conftest import START, Post, after

FAST, SLOW = Delivery(per_minute=600), Delivery(per_minute=6)


async def take(
    post: Post, sending: Sending, own: Delivery, seconds: float = 0, versions: limits_store.Versions | None = None
) -> Taken:
    said = limits_store.Said(Limits(), own, held=False, versions=versions or limits_store.Versions())
    rules = rules_of(sending, said, post.table, after(seconds))
    return await claiming.take(post.db, sending, post.table, post.worker, 200, after(seconds), rules)


@pytest.mark.parametrize("own", [Delivery(), FAST], ids=["plain", "paced"])
async def test_that_nobody_of_a_batch_gets_a_mail_is_not_the_end(own: Delivery, post: Post) -> None:
    await post.guests(["gone@example.com"])
    sending = await post.sending()
    await delivery.suppress(post.db, post.licence_id, ["gone@example.com"], "COMPLAINT", START)
    assert await take(post, sending, own) == Taken([], some=True)
    assert await take(post, sending, own) == Taken([], some=False)


async def test_who_waits_for_the_winner_of_a_test_is_due_at_no_moment(post: Post) -> None:
    await post.guests(f"g{number}@example.com" for number in range(5))
    sending = await post.sending(ab_test=ABTest(40, ("A", "B"), Criterion.CLICKS, 60))
    assert len((await take(post, sending, FAST)).claimed) == 2
    assert await take(post, sending, FAST) == Taken([], some=False)


@pytest.mark.parametrize(("opens_in", "rest_s"), [(timedelta(minutes=5), 2.0), (timedelta(seconds=1.5), 1.5)])
async def test_while_it_is_closed_a_sender_rests_but_not_for_long(opens_in: timedelta, rest_s: float, post: Post) -> None:
    await post.guests(["ann@example.com"])
    sending = await post.sending()
    own = Delivery(hours=Hours((Window(DAYS, 10 * 60, 11 * 60),)))
    assert await take(post, sending, own, 3600 - opens_in.total_seconds()) == Taken([], some=False, rest_s=rest_s)
    assert (await take(post, sending, own, 3600)).some


async def test_a_sender_waits_for_a_pace_and_for_who_is_due_within_seconds(post: Post) -> None:
    await post.guests(f"g{number}@example.com" for number in range(13))
    fast, slow = await post.sending(), await post.sending()
    assert [len((await take(post, sending, own)).claimed) for sending, own in ((fast, FAST), (slow, SLOW))] == [11, 1]
    assert await take(post, fast, FAST) == Taken([], some=False, wait_s=0.1)
    assert await take(post, slow, SLOW) == Taken([], some=False, wait_s=1.0)
    (last, far) = (await take(post, fast, FAST, 1)).claimed
    await post.defer(fast, [far], after(1000))
    beside = await post.sending("CONTINUOUS")
    await post.trigger(beside, "g1@example.com", after(1.25))
    for due_s, wait_s in ((1.5, 0.5), (3, 1.0), (5.9, 1.0), (6, 0.0)):
        await post.defer(fast, [last], after(due_s))
        assert await take(post, fast, FAST, 1) == Taken([], some=False, wait_s=wait_s), due_s
        (last,) = (await take(post, fast, FAST, 60)).claimed
    await post.defer(fast, [last], after(60.5))
    await store.set_state(post.db, fast.id, "PAUSED", START)
    assert await take(post, fast, FAST, 60) == Taken([], some=False)


async def test_a_sender_that_goes_by_what_was_said_before_hears_so(post: Post) -> None:
    await post.guests(["ann@example.com"])
    sending, beside = await post.sending(), await post.sending()
    await limits_store.set_delivery(post.db, sending.campaign_id, FAST, START)
    # What others say does not count.
    query = b"INSERT INTO tabellion.licence (name, time_zone, created_at) VALUES ('other', 'UTC', %s) RETURNING id"
    (other,) = await (await post.db.execute(query, (START,))).fetchone() or (0,)
    await limits_store.set_limits(post.db, other, Limits(contact=Contact(1, 1)), START)
    for _ in range(3):
        await limits_store.set_delivery(post.db, beside.campaign_id, SLOW, START)
    current = limits_store.Versions(0, 1)
    await limits_store.hold_domains(post.db, post.licence_id, [("example.net", "421")], START)
    for seconds, held in ((59, True), (61, False)):
        said = limits_store.Said(Limits(), FAST, held, current)
        assert await limits_store.said_of(post.db, sending, after(seconds)) == said
    assert await take(post, sending, SLOW, versions=limits_store.Versions(1, 1)) == Taken([], some=False, stale=True)
    assert await take(post, sending, SLOW, versions=limits_store.Versions(0, 2)) == Taken([], some=False, stale=True)
    assert len((await take(post, sending, FAST, versions=current)).claimed) == 1
    assert await take(post, sending, FAST, versions=current) == Taken([], some=False)
    await post.db.execute(b"DELETE FROM tabellion.licence WHERE id = %s", (other,))


async def test_a_sending_is_looked_at_for_as_long_as_somebody_holds_a_mail_of_it(post: Post) -> None:
    """A relay may take minutes to answer, and the mail has to be sent again: there is no other trigger to wake anybody."""
    await post.guests(["ann@example.com"])
    sending = await post.sending("TRANSACTIONAL")
    await post.trigger(sending, "ann@example.com", START)
    (held, _) = await post.plain_claim(sending)
    assert sending.id in await post.due(after(120))
    await recipient_store.begin(post.db, sending, post.table, post.worker, held)
    assert sending.id in await post.due(after(800))
    await recipient_store.take_up(post.db, sending, post.worker, after(800))
    assert sending.id in await post.due(after(1500))
    (held, _) = await post.plain_claim(sending, after(1500))
    await post.accept(sending, held, after(1500))
    assert sending.id not in await post.due(after(2200))
