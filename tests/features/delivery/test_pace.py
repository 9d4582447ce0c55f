"""Paces of campaigns, senders and domains: exact over several workers, and nothing waits behind a domain that is full."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from tabellion.features import delivery
from tabellion.features.delivery import Delivery, DomainLimit, Limits, SenderLimit, limits_store, pacing, recipient_store
from tabellion.features.delivery.limits import Contact
from tests.features.delivery.conftest import START, Post, after

NONE = Limits()


def most_within(moments: list[float], window_s: float) -> int:
    """The most of these moments that are in any stretch of time."""
    moments = sorted(moments)
    return max(sum(begin <= each < begin + window_s for each in moments[i:]) for i, begin in enumerate(moments))


async def test_a_campaign_keeps_its_pace_over_several_workers(post: Post) -> None:
    await post.guests(f"g{i}@example.com" for i in range(900))
    sending, pace = await post.sending(), Delivery(per_minute=600)
    left: list[float] = []
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(post.bench.connection()) for _ in range(4)]
        for tick in range(0, 620, 3):
            now_s = tick / 10
            claims = [post.claim(sending, NONE, pace, now=after(now_s), db=worker) for worker in workers]
            for claimed in await asyncio.gather(*claims):
                left += [now_s] * len(claimed)
    assert most_within(left, 60) <= 600 + 10 + 1
    assert most_within(left, 1) <= 10 + 10 + 1
    assert len(left) >= 600


async def test_slow_paces_lose_nothing_between_looks(post: Post) -> None:
    await post.guests(f"g{i}@example.com" for i in range(100))
    sending, pace = await post.sending(), Delivery(per_minute=30)
    left = [t / 10 for t in range(0, 1200, 3) for _ in await post.claim(sending, NONE, pace, now=after(t / 10))]
    assert 59 <= len(left) <= 61
    assert most_within(left, 60) <= 31


async def test_a_sender_has_one_pace_for_all_its_campaigns_and_transactional_mails_do_not_wait(post: Post) -> None:
    await post.guests(f"g{i}@example.com" for i in range(50))
    limits = Limits(senders=(SenderLimit(post.entity_id, 3600),))
    one, two, urgent = await post.sending(), await post.sending(), await post.sending("TRANSACTIONAL")
    assert len(await post.claim(one, limits)) == 2
    assert await post.claim(two, limits) == []
    for i in range(5):
        await post.trigger(urgent, f"g{i}@example.com", after(0))
    assert len(await post.claim(urgent, limits)) == 5
    # They have used up what the others would have had.
    assert await post.claim(two, limits, now=after(5)) == []
    assert len(await post.claim(two, limits, now=after(6.5))) == 1
    # Of two paces the slower one counts, whichever it is.
    assert len(await post.claim(two, limits, Delivery(per_minute=600), now=after(60))) == 2
    assert len(await post.claim(two, limits, Delivery(per_minute=6), now=after(120))) == 1


async def test_a_full_domain_holds_nobody_else_and_its_mails_come_at_its_pace(post: Post) -> None:
    await post.guests([*(f"g{i}@slow.example" for i in range(400)), *(f"g{i}@fast{i}.example" for i in range(20))])
    limits = Limits(domains=(DomainLimit("slow.example", per_minute=120),))
    sending = await post.sending()
    first: list[str] = []
    for _ in range(4):
        first += [each.address for each in await post.claim(sending, limits)]
    assert sum("fast" in address for address in first) == 20
    assert len(first) == 20 + 3
    left: list[float] = []
    looks = 0
    for tick in range(1, 150):
        claimed = await post.claim(sending, limits, now=after(tick))
        left += [float(tick)] * len(claimed)
        looks += len(claimed)
    assert most_within(left, 60) <= 120 + 2 + 1
    assert len(left) >= 2 * 140
    row = await (
        await post.db.execute(f"SELECT free_at FROM l{post.licence_id}.mail_rate WHERE key LIKE 'queue:%'".encode())
    ).fetchone()
    # Put off once, at the domain's pace: the last one is due when its turn comes, not much later.
    assert row is not None
    assert after(180) < row[0] < after(240)


async def test_only_mails_that_leave_use_up_a_pace(post: Post) -> None:
    await post.guests(f"{name}@example.com" for name in ("gone", "ann", "bob", "cid"))
    sending, pace = await post.sending(), Delivery(per_minute=60)
    await delivery.suppress(post.db, post.licence_id, ["gone@example.com"], "COMPLAINT", START)
    assert [each.address for each in await post.claim(sending, NONE, pace)] == ["ann@example.com"]
    assert [each.address for each in await post.claim(sending, NONE, pace)] == ["bob@example.com"]
    assert await post.claim(sending, NONE, pace) == []
    other, limits = await post.sending(), Limits(domains=(DomainLimit("*", per_minute=60),))
    await delivery.suppress(post.db, post.licence_id, ["ann@example.com"], "COMPLAINT", START)
    assert [each.address for each in await post.claim(other, limits)] == ["bob@example.com", "cid@example.com"]
    # Nor do those who wait use up the pace of their campaign.
    third = await post.sending()
    claimed = await post.claim(third, limits, Delivery(per_minute=120), now=after(1))
    assert [each.address for each in claimed] == ["bob@example.com"]
    query = f"SELECT free_at FROM l{post.licence_id}.mail_rate WHERE key = 'campaign:{third.campaign_id}'".encode()
    assert await (await post.db.execute(query)).fetchall() == [(after(1.5),)]


@pytest.mark.parametrize("of", ["sender", "domain"])
async def test_nobody_saves_up_a_pace(of: str, post: Post) -> None:
    await post.guests(f"g{i}@example.com" for i in range(9))
    senders, domains = (
        (SenderLimit(post.entity_id, 3600), SenderLimit(post.entity_id + 1, 36)),
        (DomainLimit("*", per_minute=60),),
    )
    limits = Limits(senders=senders) if of == "sender" else Limits(domains=domains)
    one, two = await post.sending(), await post.sending()
    for now in (after(0), after(3600)):
        assert [len(await post.claim(each, limits, now=now)) for each in (one, two)] == [2, 0]
    assert await post.claim(two, limits, now=after(3603))


async def test_every_domain_has_the_usual_limit_but_those_that_have_their_own(post: Post) -> None:
    await post.guests([f"g{i}@{domain}.example" for i in range(10) for domain in ("a", "B", "big")])
    limits = Limits(domains=(DomainLimit("*", per_minute=60), DomainLimit("big.example")))
    claimed = await post.claim(await post.sending(), limits)
    domains = [each.address.rpartition("@")[2].lower() for each in claimed]
    assert {domain: domains.count(domain) for domain in domains} == {"a.example": 2, "b.example": 2, "big.example": 10}
    limits = Limits(domains=(DomainLimit("*", connections=15), DomainLimit("big.example")))
    claimed = await post.claim(await post.sending(), limits)
    assert Counter(each.domain for each in claimed) == {"a.example": 10, "b.example": 10, "big.example": 10}


async def test_at_most_so_many_mails_to_a_domain_are_on_their_way(post: Post) -> None:
    await post.guests(f"g{i}@example.com" for i in range(60))
    limits = Limits(domains=(DomainLimit("*", connections=3),))
    one, two = await post.sending(), await post.sending()
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(post.bench.connection()) for _ in range(4)]
        both = [(one, workers[0]), (two, workers[1]), (one, workers[2]), (two, workers[3])]
        claimed = await asyncio.gather(*(post.claim(sending, limits, db=db, most=5) for sending, db in both))
    assert sum(map(len, claimed)) == 3
    assert await post.claim(one, limits, now=after(30)) == []
    for (sending, _), mails in zip(both, claimed, strict=True):
        await recipient_store.begin(post.db, sending, post.table, post.worker, mails)
    assert await post.claim(one, limits, now=after(45)) == []
    for (sending, _), mails in zip(both, claimed, strict=True):
        await post.accept(sending, mails, after(30))
    assert len(await post.claim(one, limits, now=after(60))) == 3


async def test_a_domain_that_says_later_is_left_alone_longer_each_time(post: Post) -> None:
    await post.guests([*(f"g{i}@busy.example" for i in range(5)), "ann@example.com"])
    held_until: list[float] = []
    now_s = 0.0
    for _ in range(8):
        await limits_store.hold_domains(post.db, post.licence_id, [("busy.example", "421 4.7.0 later")], after(now_s))
        await limits_store.hold_domains(post.db, post.licence_id, [("busy.example", "421 4.7.0 later")], after(now_s + 1))
        (held,) = await limits_store.held_domains(post.db, post.licence_id, after(now_s))
        held_until.append((held.until - after(now_s)).total_seconds())
        now_s += held_until[-1] + 1
    assert held_until == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    await limits_store.hold_domains(post.db, post.licence_id, [("busy.example", "421")], after(now_s + 7300))
    (held,) = await limits_store.held_domains(post.db, post.licence_id, after(now_s + 7300))
    assert (held.until - after(now_s + 7300)).total_seconds() == 60
    assert await limits_store.held_domains(post.db, post.licence_id, after(now_s + 7361)) == []
    await limits_store.hold_domains(post.db, post.licence_id, [("busy.example", "421")], after(now_s + 7361))
    (held,) = await limits_store.held_domains(post.db, post.licence_id, after(now_s + 7361))
    assert (held.until - after(now_s + 7361)).total_seconds() == 120

    sending, urgent = await post.sending(), await post.sending("TRANSACTIONAL")
    now = after(now_s + 7370)
    assert [each.address for each in await post.claim(sending, NONE, now=now, held=True)] == ["ann@example.com"]
    query = f"SELECT min(due_at) FROM l{post.licence_id}.recipient WHERE sending_id = %s".encode()
    (first,) = await (await post.db.execute(query, (sending.id,))).fetchone() or (START,)
    assert after(now_s + 7481) < first < after(now_s + 7482)
    await post.trigger(urgent, "g1@busy.example", now)
    assert await post.claim(urgent, NONE, now=now, held=True) == []
    assert len(await post.claim(sending, NONE, now=after(now_s + 7482), held=True)) == 5


async def test_triggered_mails_that_wait_are_looked_at_again_when_they_are_due(post: Post) -> None:
    await post.guests(["ann@example.com"])
    sending = await post.sending("CONTINUOUS")
    await post.trigger(sending, "ann@example.com", after(0))
    (claimed,) = (await post.plain_claim(sending))[0]
    await post.defer(sending, [claimed], after(8 * 3600))
    assert sending.id in await post.due(after(60))
    assert sending.id not in await post.due(after(120))
    assert sending.id not in await post.due(after(8 * 3600 - 1))
    early = after(8 * 3600 - 1)
    assert await post.plain_claim(sending, early) == ([], None)
    assert await post.claim(sending, NONE, Delivery(per_minute=60), now=early) == []
    # No worker was there when they became due: they are looked at as soon as there is one.
    assert sending.id in await post.due(after(9 * 3600))
    assert sending.id in await post.due(after(9 * 3600 + 1))


async def test_a_worker_forgets_the_rules_of_sendings_that_are_over(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = 1000.0
    monkeypatch.setattr(pacing, "monotonic", lambda: seconds)
    rules = pacing.Pacing()
    for _ in range(3):
        sending = await post.sending("TRANSACTIONAL")
        await rules.of(post.db, sending, post.table, START)
        seconds += 2.5
    assert list(rules._known) == [sending.id]


async def test_nothing_holds_mails_of_tests(post: Post) -> None:
    sending = await post.sending("CONTINUOUS", test=True)
    await limits_store.set_limits(post.db, post.licence_id, Limits(contact=Contact(1, 1)), START)
    await limits_store.set_delivery(post.db, sending.campaign_id, Delivery(per_minute=1), START)
    assert await pacing.Pacing().of(post.db, sending, post.table, START) is pacing.PLAIN


async def test_a_worker_reads_anew_what_was_said_once_that_is_old_or_it_hears_of_something(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = 1000.0
    monkeypatch.setattr(pacing, "monotonic", lambda: seconds)
    rules, sending = pacing.Pacing(), await post.sending()

    async def paces() -> list[float]:
        return [every_s for _, every_s in (await rules.of(post.db, sending, post.table, START)).rates]

    async def say(per_minute: int) -> None:
        await limits_store.set_delivery(post.db, sending.campaign_id, Delivery(per_minute=per_minute), START)

    assert await paces() == []
    await say(60)
    seconds += 1.9
    assert await paces() == []
    seconds += 0.1
    assert await paces() == [1.0]
    await say(30)
    rules.forget(sending.id)
    assert await paces() == [2.0]
