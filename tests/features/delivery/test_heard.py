"""A mail comes back, or is opened, before its worker has written down that it left; and then that never is."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from tabellion.features.delivery import recipient_store, worker_store
from tabellion.features.delivery.ledger import Ledger
from tabellion.features.delivery.model import UNCERTAIN, Claimed, Ending, Policy, Sending, State, in_doubt
from tabellion.features.tables import render_moment
from tabellion.platform import outbox
from tabellion.platform.database.connection import Database
from tests.features.delivery.conftest import START, Post
from tests.features.delivery.test_fencing import rows

LATER = START + timedelta(minutes=5)


@pytest.fixture(params=Policy)
def policy(request: pytest.FixtureRequest) -> Policy:
    return request.param


@pytest.fixture
async def leaving(post: Post, policy: Policy) -> tuple[Sending, Claimed]:
    """Two mails are being sent, of which one has bounced."""
    await post.guests(["ann@example.com", "bob@example.com"])
    sending = await post.sending(policy=policy)
    subject = str(sending.campaign_id)
    wanted = [outbox.Interest("EMAIL_CAMPAIGN", subject, "SENT")]
    await outbox.declare(post.db, post.licence_id, wanted)
    (held, _) = await post.plain_claim(sending)
    await recipient_store.begin(post.db, sending, post.table, post.worker, held)
    await post.db.execute(
        f"INSERT INTO l{post.licence_id}.mail_event (recipient_id, campaign_id, type, moment) "
        "VALUES (%s, %s, 'HARD_BOUNCE', %s)".encode(),
        (held[0].id, sending.campaign_id, LATER),
    )
    return sending, held[0]


async def told(post: Post) -> list[tuple[int, str]]:
    query = "SELECT (data ->> 'interactionId')::bigint, data ->> 'moment' FROM tabellion.outbox_event WHERE licence_id = %s"
    return await (await post.db.execute(query, (post.licence_id,))).fetchall()


async def test_one_whose_worker_dies_has_left(post: Post, leaving: tuple[Sending, Claimed], policy: Policy) -> None:
    _, bounced = leaving
    again = policy is Policy.RESEND
    recovered = await worker_store.give_up(post.db, post.worker, LATER + timedelta(minutes=1))
    assert recovered == ((1, 0) if again else (0, 1))
    assert [row[0] for row in await rows(post, "state")] == ["ACCEPTED", "PLANNED" if again else "UNCERTAIN"]
    assert await rows(post, "due_at IS NULL, ended_at") == [
        (True, LATER),
        (False, None) if again else (True, LATER + timedelta(minutes=1)),
    ]
    assert await told(post) == [(bounced.id, render_moment(LATER))]
    # The worker was only slow: what it says now is known.
    late = [Ending(bounced, State.ACCEPTED)]
    assert await recipient_store.end(post.db, leaving[0], post.worker, late, LATER) == set()


async def test_one_whose_answer_was_lost_has_left(post: Post, leaving: tuple[Sending, Claimed], policy: Policy) -> None:
    sending, bounced = leaving

    @asynccontextmanager
    async def database() -> AsyncGenerator[Database]:
        yield post.db

    ledger = Ledger(database, sending, post.worker, lambda: LATER, every_s=0.01, at=200, held=lambda: None)
    again = policy is Policy.RESEND
    ending = in_doubt(bounced, "lost", LATER) if again else Ending(bounced, State.UNCERTAIN, UNCERTAIN, "lost")
    await ledger.write([ending])
    assert await rows(post, "state, reason, ended_at") == [("ACCEPTED", None, LATER), ("SENDING", None, None)]
    assert [each for each, _ in await told(post)] == [bounced.id]
