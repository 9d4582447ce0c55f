"""When the winner of an A/B test is chosen, on a clock of the test's."""

from collections import Counter

import pytest
from psycopg.types.json import Jsonb

from tabellion.features import delivery
from tabellion.features.delivery import ABTest, Criterion, Sending, ab_store, ab_tests, store
from tests.features.delivery.conftest import START, Post, after

A_DAY_S = 24 * 3600


async def put_to_test(post: Post, criterion: Criterion) -> Sending:
    """A campaign with a test of half of the five guests who get mails."""
    await post.guests(f"g{number}@example.com" for number in range(10))
    gone = [f"g{number}@example.com" for number in range(5)]
    await delivery.suppress(post.db, post.licence_id, gone, "COMPLAINT", START)
    sending = await post.sending(ab_test=ABTest(50, ("A", "B"), criterion, 60))
    query = "INSERT INTO tabellion.campaign_ab_test (campaign_id, document, updated_at) VALUES (%s, %s, %s)"
    await post.db.execute(query, (sending.campaign_id, Jsonb({}), START))
    return sending


async def variants(post: Post, sending: Sending) -> Counter[int | None]:
    query = f"SELECT variant FROM l{post.licence_id}.recipient WHERE sending_id = %s AND state <> 'EXCLUDED'"
    rows = await (await post.db.execute(query.encode(), (sending.id,))).fetchall()
    return Counter(row[0] for row in rows)


async def test_the_winner_is_chosen_when_its_mails_have_been_out_for_as_long_as_was_said_and_only_then(post: Post) -> None:
    sending = await put_to_test(post, Criterion.CLICKS)
    assert not await ab_tests.waits(post.db, sending, START)
    (held, _) = await post.plain_claim(sending)
    # They are on their way.
    assert not await ab_tests.waits(post.db, sending, START)
    await post.accept(sending, held, START)
    assert await ab_tests.waits(post.db, sending, after(60))
    # The hour counts from the moment at which all had left, whoever finds that out once more.
    await ab_store.set_decide_at(post.db, sending.campaign_id, after(9999))
    assert await ab_tests.waits(post.db, sending, after(3659))
    await store.set_state(post.db, sending.id, "PAUSED", START)
    assert await ab_tests.waits(post.db, sending, after(3660))
    assert (await ab_tests.decision_of(post.db, sending.campaign_id)).winner is None
    await store.set_state(post.db, sending.id, "RUNNING", START)
    assert await variants(post, sending) == {1: 2, 2: 1, None: 2}
    assert not await ab_tests.waits(post.db, sending, after(3660))
    decision = await ab_tests.decision_of(post.db, sending.campaign_id)
    assert (decision.winner, decision.decide_at, decision.chosen_at, decision.decided_at) == (1, *[after(3660)] * 3)
    # Of mails that nobody has clicked in, the first variant.
    assert await variants(post, sending) == {1: 4, 2: 1}
    assert not await ab_tests.waits(post.db, sending, after(7200))
    assert await ab_tests.decision_of(post.db, sending.campaign_id) == decision


async def test_a_winner_that_somebody_chooses_is_waited_for(post: Post) -> None:
    sending = await put_to_test(post, Criterion.MANUAL)
    await post.accept(sending, (await post.plain_claim(sending))[0], START)
    for days in (1, 2):
        assert await ab_tests.waits(post.db, sending, after(days * A_DAY_S))
    assert await ab_tests.choose(post.db, sending.campaign_id, 2, [], after(A_DAY_S))
    assert not await ab_tests.choose(post.db, sending.campaign_id, 1, [], after(A_DAY_S))
    assert not await ab_tests.waits(post.db, sending, after(A_DAY_S))
    assert await variants(post, sending) == {1: 2, 2: 3}


async def test_a_winner_that_somebody_chooses_before_its_moment_is_sent_at_once(post: Post) -> None:
    sending = await put_to_test(post, Criterion.OPENS)
    await post.accept(sending, (await post.plain_claim(sending))[0], START)
    assert await ab_tests.waits(post.db, sending, after(60))
    assert await ab_tests.choose(post.db, sending.campaign_id, 2, [], after(61))
    assert not await ab_tests.waits(post.db, sending, after(62))
    assert await variants(post, sending) == {1: 2, 2: 3}


@pytest.mark.parametrize(("criterion", "winner"), [(Criterion.OPENS, 3), (Criterion.CLICKS, 2)])
def test_the_winner_has_the_largest_part_of_its_mails_opened_or_clicked(criterion: Criterion, winner: int) -> None:
    test = ABTest(10, ("A", "B", "C", "D", "E"), criterion, 60)
    counts = [(1, 10, 6, 1), (2, 5, 3, 1), (3, 5, 4, 0), (4, 0, 0, 0), (5, 5, 4, 1)]
    results = [ab_tests.Result(number, sent, sent, opened, clicked, 0) for number, sent, opened, clicked in counts]
    assert ab_tests.winner_of(test, results) == winner
    assert ab_tests.winner_of(test, []) == 1
