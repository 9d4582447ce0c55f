"""Contact pressure: at most so many mails to a profile in so many days, whatever runs at the same time."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

from tabellion.features import delivery
from tabellion.features.delivery import Contact, Limits, recipient_store
from tabellion.features.delivery.model import Ending, State
from tests.features.delivery.conftest import START, Post

TWICE_A_WEEK = Limits(contact=Contact(2, 7))


async def test_who_has_had_enough_gets_nothing_and_the_report_knows_why(post: Post) -> None:
    await post.guests(f"g{i}@example.com" for i in range(5))
    for _ in range(2):
        sending = await post.sending()
        claimed = await post.claim(sending, TWICE_A_WEEK)
        assert len(claimed) == 5
        await post.accept(sending, claimed, START)
    third = await post.sending()
    assert await post.claim(third, TWICE_A_WEEK) == []
    assert await post.fates(third) == {("EXCLUDED", "pressure"): 5}
    # A week begins with its day: the mails of a Tuesday count until the end of Monday.
    later = await post.sending()
    assert await post.claim(later, TWICE_A_WEEK, now=datetime(2027, 3, 8, 23, 59, tzinfo=UTC), most=2) == []
    assert len(await post.claim(later, TWICE_A_WEEK, now=datetime(2027, 3, 9, 0, 0, tzinfo=UTC))) == 3


async def test_days_are_those_of_the_licence(post: Post) -> None:
    await post.guests(["ann@example.com"])
    once_a_day = Limits(contact=Contact(1, 1))
    first = await post.sending()
    late = datetime(2027, 3, 2, 22, 30, tzinfo=UTC)
    await post.accept(first, await post.claim(first, once_a_day, now=late), late)
    second = await post.sending(time_zone="Europe/Brussels")
    assert len(await post.claim(second, once_a_day, now=late + timedelta(minutes=31))) == 1


async def test_transactional_mails_are_neither_held_nor_counted(post: Post) -> None:
    await post.guests(["ann@example.com"])
    once = Limits(contact=Contact(1, 30), domains=())
    transactional = await post.sending("TRANSACTIONAL")
    continuous = await post.sending("CONTINUOUS")
    for _ in range(3):
        await post.trigger(transactional, "ann@example.com", START)
        await post.trigger(continuous, "ann@example.com", START)
    # No rule is left for them at all: they are claimed as ever.
    plain, _ = await post.plain_claim(transactional)
    assert len(plain) == 3
    await post.accept(transactional, plain, START)
    # Of several at once the first one leaves.
    query = f"SELECT min(id) FROM l{post.licence_id}.recipient WHERE sending_id = %s".encode()
    (first,) = await (await post.db.execute(query, (continuous.id,))).fetchone() or (0,)
    assert [each.id for each in await post.claim(continuous, once)] == [first]
    assert await post.fates(continuous) == {("CLAIMED", None): 1, ("EXCLUDED", "pressure"): 2}


async def test_what_never_arrived_does_not_count_and_what_is_tried_again_counts_once(post: Post) -> None:
    await post.guests(["ann@example.com", "bob@example.com"])
    once = Limits(contact=Contact(1, 7))
    first = await post.sending()
    ann, bob = await post.claim(first, once)
    await post.refuse(first, [ann])
    await post.defer(first, [bob], START)
    second = await post.sending()
    assert [each.address for each in await post.claim(second, once)] == ["ann@example.com"]
    assert await post.fates(second) == {("CLAIMED", None): 1, ("EXCLUDED", "pressure"): 1}
    assert [each.address for each in await post.claim(first, once)] == ["bob@example.com"]


async def test_what_may_have_arrived_and_what_is_on_its_way_counts(post: Post) -> None:
    await post.guests(f"{name}@example.com" for name in ("ann", "bob", "cid", "dan", "gone"))
    once, first = Limits(contact=Contact(1, 1)), await post.sending()
    ann, bob, _, dan, gone = await post.claim(first, once)
    await recipient_store.begin(post.db, first, post.table, post.worker, [ann, bob, dan, gone])
    # A day begins with its first moment.
    endings = [Ending(ann, State.UNCERTAIN, "uncertain"), Ending(dan, State.ACCEPTED), Ending(gone, State.REJECTED)]
    await recipient_store.end(post.db, first, post.worker, endings, START.replace(hour=0))
    assert await post.fates(first) == {
        ("UNCERTAIN", "uncertain"): 1, ("SENDING", None): 1, ("CLAIMED", None): 1, ("ACCEPTED", None): 1,
        ("REJECTED", None): 1,
    }  # fmt: skip
    second = await post.sending()
    await delivery.suppress(post.db, post.licence_id, ["gone@example.com"], "COMPLAINT", START)
    assert await post.claim(second, once) == []
    assert await post.fates(second) == {("EXCLUDED", "suppressed"): 1, ("EXCLUDED", "pressure"): 4}


async def test_what_is_to_be_tried_again_counts_for_nobody_while_its_campaign_is_paused(post: Post) -> None:
    await post.guests(["ann@example.com"])
    once = Limits(contact=Contact(1, 7))
    campaign = "UPDATE tabellion.campaign SET state = %s WHERE id = %s"
    first = await post.sending()
    await post.defer(first, await post.claim(first, once), START)
    await post.db.execute(campaign, ("PAUSED", first.campaign_id))
    second = await post.sending()
    claimed = await post.claim(second, once)
    assert len(claimed) == 1
    await post.accept(second, claimed, START)
    await post.db.execute(campaign, ("IN_PROGRESS", first.campaign_id))
    assert await post.claim(first, once) == []
    assert await post.fates(first) == {("EXCLUDED", "pressure"): 1}


async def test_tests_and_mails_to_the_same_number_in_another_table_do_not_count(post: Post) -> None:
    await post.guests(["ann@example.com"])
    once = Limits(contact=Contact(1, 7))
    # Nor does what is only planned.
    await post.sending()
    for change in ("table_id = table_id + 1", "test = true", ""):
        sending = await post.sending()
        (claimed,) = await post.claim(sending, once)
        await post.accept(sending, [claimed], START)
        if change:
            query = f"UPDATE l{post.licence_id}.recipient SET {change} WHERE sending_id = %s".encode()
            await post.db.execute(query, (sending.id,))


async def test_campaigns_that_run_at_the_same_time_do_not_pass_together(post: Post) -> None:
    await post.guests(f"g{i}@example.com" for i in range(300))
    sendings = [await post.sending() for _ in range(5)]
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(post.bench.connection()) for _ in sendings]

        async def work(n: int) -> Counter[int | None]:
            got: Counter[int | None] = Counter()
            for _ in range(12):
                claimed = await post.claim(sendings[n], TWICE_A_WEEK, most=37, db=connections[n])
                got.update(each.profile_id for each in claimed)
                await post.accept(sendings[n], claimed, START, connections[n])
            return got

        got = sum(await asyncio.gather(*(work(n) for n in range(5))), Counter())
    assert set(got.values()) == {2}
    assert len(got) == 300
