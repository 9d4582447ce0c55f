"""A/B tests on their way: a part of the audience gets the variants, the others the one that did best."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from tabellion.features.delivery import ab_store, store
from tabellion.features.delivery.ab_store import Decision, Result
from tabellion.features.delivery.model import ABTest, Criterion, Overtaken, Sending
from tabellion.platform.database.connection import Database

decision_of = ab_store.decision
results_of = ab_store.results
choose = ab_store.set_winner


async def waits(db: Database, sending: Sending, now: datetime) -> bool:
    """Go on with the test of a sending, as far as it can at a moment; whether there is nothing to do but wait."""
    test = sending.document.ab_test
    if test is None:
        return False
    known = await ab_store.decision(db, sending.campaign_id)
    if known.decided_at is not None:
        return False
    if known.winner is None and known.decide_at is None:
        if await ab_store.is_testing(db, sending):
            return False
        if test.criterion is Criterion.MANUAL:
            return True
        decide_at = now + timedelta(minutes=test.decide_after_min)
        await ab_store.set_decide_at(db, sending.campaign_id, decide_at)
        return now < decide_at
    if known.winner is None and known.decide_at is not None and known.decide_at > now:
        return True
    async with db.transaction():
        locked = await store.lock(db, sending)
        if locked is None or locked.state != "RUNNING":
            return True
        if (await ab_store.decision(db, sending.campaign_id)).winner is None:
            results = await ab_store.results(db, sending.licence_id, sending.campaign_id)
            await ab_store.set_winner(db, sending.campaign_id, winner_of(test, results), results, now)
    try:
        async with db.transaction():
            await _spread(db, sending, now)
    except Overtaken:
        return True
    return False


async def _spread(db: Database, sending: Sending, now: datetime) -> None:
    """Let all who waited have the winner. Raises `Overtaken` where others are at it, or the sending does not go on by then.

    The campaign is locked in the end only, as with its audience: whoever pauses or cancels it is not to wait for many rows.
    """
    if not await store.gathers(db, sending.id):
        raise Overtaken
    known = await ab_store.decision(db, sending.campaign_id)
    if known.winner is None or known.decided_at is not None:
        return
    await db.execute("SET LOCAL statement_timeout = '1h'")
    await ab_store.spread(db, sending, known.winner, now)
    # Who holds the campaign may be waiting for these rows.
    locked = await store.lock(db, sending)
    if locked is None or locked.state != "RUNNING":
        raise Overtaken


def winner_of(test: ABTest, results: Sequence[Result]) -> int:
    """The variant with the largest part of its mails opened or clicked; of equal ones the first."""

    def part(result: Result) -> float:
        done = result.clicked if test.criterion is Criterion.CLICKS else result.opened
        return done / result.sent if result.sent else 0.0

    return max(results, key=lambda result: (part(result), -result.variant)).variant if results else 1


__all__ = ["Decision", "Result", "choose", "decision_of", "results_of", "waits", "winner_of"]
