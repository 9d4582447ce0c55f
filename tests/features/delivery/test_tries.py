"""How often a mail was tried: claims that came to nothing do not count, and still each has a number of its own."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tabellion.features.delivery import Contact, Limits, recipient_store, worker_store
from tabellion.features.delivery.model import Claimed, Ending, Policy, Sending, State, next_attempt
from tabellion.platform.database.migrate import migrate
from tabellion.platform.database.schema import load_migrations
from tests.features.delivery.conftest import START, Post


async def given_back(post: Post, sending: Sending) -> Claimed:
    """Who was claimed and given back."""
    ((claimed,), _) = await post.plain_claim(sending)
    await recipient_store.release(post.db, post.licence_id, post.worker, [claimed], START)
    return claimed


async def row_of(post: Post, sending: Sending) -> tuple[Any, ...]:
    """State and tries of the one recipient."""
    query = f"SELECT state, tries FROM l{post.licence_id}.recipient WHERE sending_id = %s".encode()
    return await (await post.db.execute(query, (sending.id,))).fetchone() or ()


@pytest.fixture
async def sending(post: Post) -> Sending:
    await post.guests(["ann@example.com"])
    return await post.sending(policy=Policy.RESEND)


async def test_a_mail_that_was_claimed_and_given_back_often_is_tried_for_a_day_all_the_same(
    post: Post, sending: Sending
) -> None:
    """A campaign that was paused, a relay that takes fewer connections than it was said to."""
    numbers = {(await given_back(post, sending)).attempt for _ in range(12)}
    assert len(numbers) == 12
    waited: list[timedelta] = []
    now = START
    while True:
        ((claimed,), _) = await post.plain_claim(sending, now)
        due_at = next_attempt(claimed, now)
        if due_at is None:
            break
        waited.append(due_at - now)
        await post.defer(sending, [claimed], due_at)
        now = due_at
    assert len(waited) == 9
    assert waited[0] == timedelta(minutes=1)
    assert sum(waited, timedelta()) > timedelta(hours=23)
    await post.refuse(sending, [claimed])
    assert await row_of(post, sending) == ("REJECTED", 10)


@pytest.mark.parametrize("limits", [None, Limits(contact=Contact(mails=9, days=7))], ids=["plain", "ruled"])
async def test_numbers_of_claims_begin_anew_where_they_end(post: Post, sending: Sending, limits: Limits | None) -> None:
    """A relay that greets and takes no mails is tried each minute, for weeks."""
    await post.db.execute(f"UPDATE l{post.licence_id}.recipient SET attempt = 32766".encode())
    numbers: list[int] = []
    for _ in range(3):
        held = (await post.plain_claim(sending))[0] if limits is None else await post.claim(sending, limits)
        await recipient_store.release(post.db, post.licence_id, post.worker, held, START)
        numbers += [each.attempt for each in held]
    assert numbers == [32767, 1, 2]


async def test_what_is_told_late_of_a_claim_that_was_given_back_says_nothing_of_the_next_one(
    post: Post, sending: Sending
) -> None:
    """Of the same worker, too: a transaction may have been written down whose answer was lost, and is repeated."""
    earlier = await given_back(post, sending)
    ((claimed,), _) = await post.plain_claim(sending)
    assert await recipient_store.begin(post.db, sending, post.table, post.worker, [claimed]) == {claimed.id}
    for state in (State.PLANNED, State.DEFERRED, State.ACCEPTED):
        late = Ending(earlier, state, due_at=None if state is State.ACCEPTED else START)
        assert await recipient_store.end(post.db, sending, post.worker, [late], START) == set()
    assert await row_of(post, sending) == ("SENDING", 0)
    told = await recipient_store.end(post.db, sending, post.worker, [Ending(claimed, State.ACCEPTED)], START)
    assert told == {claimed.id}
    assert await row_of(post, sending) == ("ACCEPTED", 1)


async def test_a_mail_that_a_dead_worker_had_only_claimed_was_not_tried(post: Post, sending: Sending) -> None:
    await post.plain_claim(sending)
    await worker_store.give_up(post.db, post.worker, START)
    assert await row_of(post, sending) == ("PLANNED", 0)


async def test_a_mail_that_a_dead_worker_was_sending_was_tried(post: Post, sending: Sending) -> None:
    ((claimed,), _) = await post.plain_claim(sending)
    await recipient_store.begin(post.db, sending, post.table, post.worker, [claimed])
    await worker_store.give_up(post.db, post.worker, START)
    assert await row_of(post, sending) == ("PLANNED", 1)


async def test_a_mail_that_waits_as_its_domain_wants_none_was_not_tried(post: Post, sending: Sending) -> None:
    ((claimed,), _) = await post.plain_claim(sending)
    waits = Ending(claimed, State.PLANNED, due_at=START)
    assert await recipient_store.end(post.db, sending, post.worker, [waits], START) == {claimed.id}
    assert await row_of(post, sending) == ("PLANNED", 0)


def test_an_upgrade_keeps_how_often_mails_were_tried_that_are_tried_again(empty_database_url: str) -> None:
    migrate(empty_database_url, migrations=[each for each in load_migrations() if each.version < 22])
    with psycopg.connect(empty_database_url, autocommit=True) as db:
        query = "INSERT INTO tabellion.licence (name, time_zone, created_at) VALUES ('l', 'UTC', now()) RETURNING id"
        (licence,) = db.execute(query).fetchone() or (0,)
        db.execute(f"CREATE SCHEMA l{licence}".encode())
        migrate(empty_database_url, migrations=[each for each in load_migrations() if each.version < 35])
        db.execute(
            f"INSERT INTO l{licence}.recipient (sending_id, campaign_id, test, table_id, language, state, attempt, planned_at) "
            "SELECT 1, 1, false, 1, 'en', s, 4, now() FROM unnest(ARRAY['DEFERRED', 'PLANNED', 'ACCEPTED']) s".encode()
        )
        migrate(empty_database_url)
        rows = db.execute(f"SELECT state, attempt, tries FROM l{licence}.recipient".encode()).fetchall()
    assert set(rows) == {("DEFERRED", 4, 4), ("PLANNED", 4, 0), ("ACCEPTED", 4, 0)}
