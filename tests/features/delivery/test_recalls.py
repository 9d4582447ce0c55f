"""Changed limits: nobody goes by the old ones any more, and what they put off is looked at again."""

import asyncio
from datetime import UTC, datetime

import pytest

from tabellion.features.delivery import (
    Delivery,
    DomainLimit,
    Hours,
    Limits,
    SenderLimit,
    Sending,
    Window,
    pacing_admin,
    recall_store,
    store,
)
from tabellion.features.delivery.limits import carried_over
from tabellion.features.delivery.limits_store import Versions
from tabellion.platform.database.connection import Database
from tests.features.delivery.conftest import START, Post, after

SLOW, FAST = (Limits(domains=(DomainLimit("*", per_minute=each),)) for each in (1, 60_000))


@pytest.fixture(autouse=True)
async def nothing_asked(post: Post) -> None:
    """What tests without a sender have asked for is not carried out here."""
    await post.db.execute("DELETE FROM tabellion.mail_recall")


async def change(post: Post, limits: Limits, seconds: float) -> Versions:
    """Say other limits; which version they are."""
    async with post.db.transaction():
        _, version = await pacing_admin.change_limits(post.db, post.licence_id, lambda _, __: limits, after(seconds))
    return Versions(version, 0)


async def set_own(post: Post, sending: Sending, own: Delivery, seconds: float) -> None:
    """Say other settings of a campaign."""
    async with post.db.transaction():
        await pacing_admin.set_delivery(post.db, post.licence_id, sending.campaign_id, own, after(seconds))


async def recall(post: Post, seconds: float) -> int:
    """Carry out what was asked for; of how many mails."""
    count = 0
    while (found := await recall_store.carry_out(post.db, after(seconds))) is not None:
        count += found
    return count


async def dues(post: Post, sending: Sending) -> list[datetime]:
    """When the mails of a sending that wait are due."""
    query = f"SELECT due_at FROM l{post.licence_id}.recipient WHERE sending_id = %s AND due_at IS NOT NULL ORDER BY 1"
    return [row[0] for row in await (await post.db.execute(query.encode(), (sending.id,))).fetchall()]


async def test_nothing_is_claimed_or_put_off_by_limits_that_were_changed(post: Post) -> None:
    await post.guests(f"g{i}@example.com" for i in range(50))
    sending = await post.sending()
    never = Versions()
    first = await change(post, SLOW, 0)
    assert (await post.plain_claim(sending, versions=never))[0] == []
    assert len(await post.claim(sending, SLOW, versions=first)) == 1
    second = await change(post, FAST, 1)
    assert await recall(post, 1) == 49
    for _ in range(2):
        assert await post.claim(sending, SLOW, now=after(1), versions=first) == []
    assert set(await dues(post, sending)) == {after(1)}
    await set_own(post, sending, Delivery(per_minute=60), 1)
    assert await post.claim(sending, FAST, now=after(1), versions=second) == []
    claimed = await post.claim(sending, FAST, Delivery(per_minute=60), now=after(1), versions=Versions(second.limits, 1))
    assert len(claimed) == 2


async def test_a_change_waits_for_claims_under_the_old_limits(post: Post) -> None:
    await post.guests(f"g{i}@example.com" for i in range(50))
    sending = await post.sending()
    first = await change(post, SLOW, 0)
    await recall(post, 0)
    async with post.bench.connection() as other, post.bench.connection() as watch:
        async with other.transaction():
            assert len(await post.claim(sending, SLOW, db=other, versions=first)) == 1
            changing = asyncio.create_task(change(post, FAST, 1))
            while not changing.done() and not await _waits(watch):  # noqa: ASYNC110 - the database knows
                await asyncio.sleep(0.01)
            assert not changing.done()
        await changing
    assert await recall(post, 1) == 49
    assert set(await dues(post, sending)) == {after(1)}


async def _waits(db: Database) -> bool:
    query = (
        "SELECT EXISTS (SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
        "WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted)"
    )
    row = await (await db.execute(query)).fetchone()
    return bool(row and row[0])


async def test_mails_that_were_put_off_before_they_could_be_recalled_come_at_the_new_pace(post: Post) -> None:
    await post.guests(f"g{i}@example.com" for i in range(300))
    sending = await post.sending()
    first = await change(post, FAST, 0)
    assert len(await post.claim(sending, FAST, most=100, versions=first)) == 100
    limits = Limits(domains=(DomainLimit("*", per_minute=60),))
    second = await change(post, limits, 60)
    # Some are put off by the new limit before the recall, others after it: they queue up without a gap.
    await post.claim(sending, limits, now=after(60), versions=second, most=50)
    await recall(post, 61)
    left = 0
    for tick in range(62, 62 + 60):
        left += len(await post.claim(sending, limits, now=after(tick), versions=second))
    assert 58 <= left <= 62


async def test_a_recall_reaches_paused_campaigns_and_retries_that_were_put_off_and_no_others(post: Post) -> None:
    await post.guests(f"g{i}@example.com" for i in range(4))
    sending, test, foreign = await post.sending(), await post.sending(test=True), await post.sending()
    first = await change(post, SLOW, 0)
    (claimed,) = await post.claim(foreign, SLOW, versions=first)
    await post.accept(foreign, [claimed], after(0))
    tried = (await post.plain_claim(sending))[0]
    await post.defer(sending, tried[:2], after(60))
    await post.defer(sending, tried[2:3], after(7200))
    await post.defer(sending, tried[3:], after(80))
    # One may leave after a minute; the other retry waits for the domain by then, the third for its time.
    assert len(await post.claim(sending, SLOW, now=after(65), versions=first)) == 1
    assert [each > after(90) for each in await dues(post, sending)] == [False, True, True]
    await store.set_state(post.db, sending.id, "PAUSED", after(70))
    await change(post, Limits(), 70)
    asked = await (await post.db.execute("SELECT DISTINCT sending_id FROM tabellion.mail_recall ORDER BY 1")).fetchall()
    assert [row[0] for row in asked] == [sending.id, foreign.id]
    assert await recall(post, 70) == 1 + 3
    assert await dues(post, sending) == [after(70), after(80), after(7200)]
    assert len(await dues(post, test)) == 4
    assert await recall_store.carry_out(post.db, after(70)) is None


async def test_a_recall_of_many_mails_goes_on_where_it_was(post: Post) -> None:
    await post.guests(f"g{i}@example.com" for i in range(50))
    sending = await post.sending()
    assert len(await post.claim(sending, SLOW, versions=await change(post, SLOW, 0))) == 1
    await recall(post, 0)
    await post.claim(sending, SLOW, versions=Versions(1, 0))
    await change(post, FAST, 1)
    counts = [await recall_store.carry_out(post.db, after(1), at_a_time=20) for _ in range(4)]
    assert counts == [20, 20, 9, None]


async def test_triggered_mails_whose_hours_were_changed_are_looked_at_at_once(post: Post) -> None:
    await post.guests(["ann@example.com"])
    sending = await post.sending("CONTINUOUS")
    closed = Delivery(hours=Hours((Window(("SAT",), 0, 600),), "RECIPIENT", "lastName"))
    await set_own(post, sending, closed, 0)
    await post.trigger(sending, "ann@example.com", after(0))
    assert await post.claim(sending, Limits(), closed, versions=Versions(0, 1)) == []
    assert sending.id not in await post.due(after(3600))
    await set_own(post, sending, Delivery(), 3601)
    assert await recall(post, 3602) == 1
    assert sending.id in await post.due(after(3602))
    assert len((await post.plain_claim(sending, now=after(3602), versions=Versions(0, 2)))[0]) == 1


async def test_what_has_left_is_paid_for_at_the_pace_that_counts_now(post: Post) -> None:
    await post.guests([*(f"g{i}@a.example" for i in range(30)), *(f"h{i}@b.example" for i in range(30))])
    sending = await post.sending()
    own = Delivery(per_minute=1)
    await set_own(post, sending, own, 0)
    hourly = Limits(senders=(SenderLimit(post.entity_id, 6),))
    first = await change(post, hourly, 0)
    assert len(await post.claim(sending, hourly, own, versions=Versions(first.limits, 1))) == 1
    # Only the campaign is told to go faster: its sender still is as slow.
    fast = Delivery(per_minute=60_000)
    await set_own(post, sending, fast, 1)
    assert await post.claim(sending, hourly, fast, now=after(1), versions=Versions(first.limits, 2)) == []
    faster = Limits(senders=(SenderLimit(post.entity_id, 3600),))
    second = await change(post, faster, 2)
    assert len(await post.claim(sending, faster, fast, now=after(3), versions=Versions(second.limits, 2))) == 2
    # A slower pace begins with one mail; what left at the old pace does not count at the new one.
    third = await change(post, hourly, 4)
    assert len(await post.claim(sending, hourly, fast, now=after(4), versions=Versions(third.limits, 2))) == 1
    assert await post.claim(sending, hourly, fast, now=after(300), versions=Versions(third.limits, 2)) == []
    assert len(await post.claim(sending, hourly, fast, now=after(605), versions=Versions(third.limits, 2))) == 1


@pytest.mark.parametrize(
    ("before_s", "after_s", "left_s"), [(60, 0.001, 0.01), (60, 6, 60), (0.1, 60, 600), (60, None, 0), (None, 60, 0)]
)
def test_a_faster_pace_counts_for_what_has_left(before_s: float | None, after_s: float | None, left_s: float) -> None:
    now = datetime(2027, 3, 2, tzinfo=UTC)
    found = carried_over(after(600) - START + now, before_s, after_s, now)
    assert (found - now).total_seconds() == pytest.approx(left_s)
