"""Claims begin to look where the last one has ended, and miss nobody who is due before that."""

import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import count

import pytest

from tabellion.features.delivery import Delivery, Limits, Sending, claiming, limits_store, recipient_store, worker_store
from tabellion.features.delivery.limits import Contact, DomainLimit
from tabellion.features.delivery.mark import BEGINNING, Mark, Place
from tabellion.features.delivery.model import Claimed
from tabellion.features.delivery.pacing import rules_of
from tests.features.delivery.conftest import START, Post, after
from tests.support.structure import connect

RULES = [Limits(), Limits(contact=Contact(mails=999, days=7)), Limits(domains=(DomainLimit("*", 60_000, 99),))]


class Clock:
    """That of the test, for a mark."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


async def take(
    post: Post, sending: Sending, now: datetime, mark: Mark | None = None, *, most: int = 200, limits: Limits = RULES[0]
) -> claiming.Taken:
    rules = rules_of(sending, limits_store.Said(limits, Delivery(), held=False), post.table, now)
    return await claiming.take(post.db, sending, post.table, post.worker, most, now, rules, mark)


async def read(post: Post) -> int:
    """How many entries of the index of those that are due were read so far."""
    await post.db.execute("SELECT pg_stat_force_next_flush()")
    query = "SELECT pg_stat_get_tuples_returned(to_regclass(%s))"
    row = await (await post.db.execute(query, (f"l{post.licence_id}.recipient_due",))).fetchone()
    return int(row[0]) if row else 0


@pytest.mark.parametrize("limits", RULES, ids=["plain", "pressed", "paced"])
async def test_claims_pass_nobody_who_has_left_while_a_snapshot_is_open(
    post: Post, worker_database_url: str, limits: Limits
) -> None:
    await post.guests(f"g{n}@example.com" for n in range(600))
    sending, mark, now = await post.sending(), Mark(Clock()), after(60)
    async with await connect(worker_database_url) as dump, dump.transaction():
        await dump.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await dump.execute("SELECT 1")
        for _ in range(25):
            taken = await take(post, sending, now, mark, most=20, limits=limits)
            await post.accept(sending, taken.claimed, now)
        before = await read(post)
        taken = await take(post, sending, now, mark, most=20, limits=limits)
        assert len(taken.claimed) == 20
        assert await read(post) - before < 100


async def released(post: Post, held: list[Claimed], sending: Sending, now: datetime) -> None:
    await recipient_store.release(post.db, sending.licence_id, post.worker, held, now)


async def put_off(post: Post, held: list[Claimed], sending: Sending, now: datetime) -> None:
    await post.defer(sending, held, now)


async def given_up(post: Post, held: list[Claimed], sending: Sending, now: datetime) -> None:
    await worker_store.give_up(post.db, post.worker, now)
    post.worker = await worker_store.enter_worker(post.db)
    await worker_store.works_for(post.db, post.worker, post.licence_id)


@pytest.mark.parametrize("act", [released, put_off, given_up])
async def test_who_is_due_again_long_before_the_mark_does_not_wait_for_the_others(
    act: Callable[[Post, list[Claimed], Sending, datetime], Awaitable[None]], post: Post
) -> None:
    await post.guests(f"g{n}@example.com" for n in range(60))
    sending, clock = await post.sending(), Clock()
    mark, now = Mark(clock), after(60)
    first = (await take(post, sending, now, mark, most=20)).claimed
    await take(post, sending, now, mark, most=10)
    # By a clock that is far behind, or after a transaction that took a minute.
    await act(post, first, sending, START - timedelta(minutes=1))
    again = (await take(post, sending, now, mark, most=10)).claimed
    assert not {each.id for each in again} & {each.id for each in first}
    clock.now_s += 1.1
    # The first look finds the first of them, and claims go on from there.
    again = [each for _ in range(2) for each in (await take(post, sending, now, mark, most=10)).claimed]
    assert {each.id for each in again} == {each.id for each in first}


async def test_mails_of_the_last_seconds_are_looked_at_with_each_claim() -> None:
    mark = Mark(Clock())
    mark.looked(BEGINNING, Place(after(-3), 7), took_s=0.0)
    assert mark.after(START) == Place(after(-5), 0)
    assert mark.after(after(2)) == Place(after(-3), 0)
    assert mark.after(after(60)) == Place(after(-3), 7)


async def test_after_looks_at_the_beginning_that_take_long_more_is_claimed_from_the_mark() -> None:
    clock = Clock()
    mark = Mark(clock)
    assert mark.after(START) == BEGINNING
    mark.looked(BEGINNING, Place(START - timedelta(hours=1), 7), took_s=0.5)
    assert mark.after(START) == Place(START - timedelta(hours=1), 7)
    clock.now_s += 4.9
    assert mark.after(START) == Place(START - timedelta(hours=1), 7)
    clock.now_s += 0.2
    assert mark.after(START) == BEGINNING


@pytest.mark.parametrize("seed", range(2))
async def test_nobody_is_left_who_is_due_whatever_has_happened(seed: int, post: Post, worker_database_url: str) -> None:
    limits = RULES[seed % 2]
    chance, clock, passed, numbers = random.Random(seed), Clock(), 0.0, count()
    addresses = [f"g{n}@example.com" for n in range(20)]
    await post.guests(addresses)
    sending, mark = await post.sending("CONTINUOUS"), Mark(clock)
    held: list[list[Claimed]] = []
    left = set[int]()

    def moment() -> datetime:
        """As clocks of others have it, or had it when their transaction began."""
        return after(passed - chance.choice([0, 0, 1, 4, 30]))

    async def ends(claimed: list[Claimed]) -> None:
        act = chance.choice([released, put_off, given_up, post_accepts])
        await act(post, claimed, sending, moment())
        if act is given_up:
            held.clear()

    async def post_accepts(post: Post, claimed: list[Claimed], sending: Sending, now: datetime) -> None:
        await post.accept(sending, claimed, now)
        left.update(each.id for each in claimed)

    async def due() -> int:
        query = (
            f"SELECT count(*) FROM l{post.licence_id}.recipient WHERE sending_id = %s "
            "AND state IN ('PLANNED', 'DEFERRED') AND due_at <= %s"
        ).encode()
        row = await (await post.db.execute(query, (sending.id, after(passed)))).fetchone()
        return int(row[0]) if row else 0

    async with await connect(worker_database_url) as other:
        for _ in range(40):
            step = chance.choice([0.0, 0.0, 0.3, 2.0, 9.0])
            passed, clock.now_s = passed + step, clock.now_s + step
            if chance.random() < 0.5:
                for _ in range(chance.randint(1, 4)):
                    await post.trigger(sending, addresses[next(numbers) % 20], moment())
            if held and chance.random() < 0.5:
                await ends(held.pop(chance.randrange(len(held))))
            if chance.random() < 0.2:
                # Others' claim comes to nothing, and who they held meanwhile lies before the mark.
                async with other.transaction(force_rollback=True):
                    await recipient_store.claim(other, sending, post.table, post.worker, 2, after(passed))
                    if limits == RULES[0]:
                        held += [(await take(post, sending, after(passed), mark, most=2)).claimed]
            taken = await take(post, sending, after(passed), mark, most=chance.randint(1, 3), limits=limits)
            held += [taken.claimed] if taken.claimed else []
            if not taken.some:
                assert await due() == 0
        while held:
            await post_accepts(post, held.pop(), sending, after(passed))
        while (taken := await take(post, sending, after(passed), mark, limits=limits)).some:
            await post_accepts(post, taken.claimed, sending, after(passed))
    assert await due() == 0
    assert left
