"""The SQL of A/B tests: who gets which content, what came of each, and the winner."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from psycopg.types.json import Jsonb

from tabellion.features.delivery import changes, sums
from tabellion.features.delivery.model import ABTest, Sending
from tabellion.features.delivery.store import in_schema
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar


class Result(NamedTuple):
    """What came of a variant: recipients, mails that left, and of how many of them readers opened, clicked, unsubscribed."""

    variant: int
    targeted: int
    sent: int
    opened: int
    clicked: int
    unsubscribed: int


class Decision(NamedTuple):
    """How far a test is. `decide_at` None: its mails have not all left; `winner`: number of a variant, from 1.

    `decided_at`: when the others got it; `chosen_at`: when it was chosen, by the figures that `results` are (None: earlier
    versions did not keep them).
    """

    decide_at: datetime | None = None
    winner: int | None = None
    decided_at: datetime | None = None
    chosen_at: datetime | None = None
    results: list[Result] | None = None


async def decision(db: Database, campaign_id: int) -> Decision:
    """How far the test of a campaign is."""
    query = (
        "SELECT decide_at, winner, decided_at, coalesce(chosen_at, decided_at), test_results "
        "FROM tabellion.campaign_ab_test WHERE campaign_id = %s"
    )
    row = await (await db.execute(query, (campaign_id,))).fetchone()
    if row is None:
        return Decision()
    return Decision(row[0], row[1], row[2], row[3], None if row[4] is None else [Result(*each) for each in row[4]])


async def split(db: Database, sending: Sending, test: ABTest, now: datetime) -> None:
    """Give a part of those who are planned a variant each, in equal parts and no order; the others wait for the winner."""
    query = """
WITH picked AS (
    SELECT id, row_number() OVER (ORDER BY hashint8extended(id, %(seed)s), id) AS place, count(*) OVER () AS everybody
    FROM {l}.recipient WHERE sending_id = %(sending)s AND state = 'PLANNED'
), told AS (
    UPDATE {l}.recipient r SET variant = (p.place - 1) %% %(variants)s + 1, due_at = %(now)s
    FROM picked p WHERE r.id = p.id AND p.place <= greatest(ceil(p.everybody * %(share)s / 100.0), %(variants)s)
    RETURNING r.campaign_id, r.variant
){given}
"""
    values = {
        "sending": sending.id, "seed": sending.id, "variants": len(test.variants), "share": test.share, "now": now,
    }  # fmt: skip
    await db.execute(in_schema(sending.licence_id, query, given=changes.noted(changes.GIVEN, "told")), values)


async def is_testing(db: Database, sending: Sending) -> bool:
    """Whether mails of the test have still to leave. Those that relays put off are not waited for."""
    query = """
SELECT EXISTS (SELECT 1 FROM {l}.recipient WHERE sending_id = %(id)s AND state = 'PLANNED' AND due_at < 'infinity')
    OR EXISTS (SELECT 1 FROM {l}.recipient WHERE sending_id = %(id)s AND state IN ('CLAIMED', 'SENDING'))
"""
    return bool(await scalar(db, in_schema(sending.licence_id, query), {"id": sending.id}))


async def set_decide_at(db: Database, campaign_id: int, moment: datetime) -> None:
    """Say when the winner is chosen, unless that was said."""
    query = "UPDATE tabellion.campaign_ab_test SET decide_at = %s WHERE campaign_id = %s AND decide_at IS NULL"
    await db.execute(query, (moment, campaign_id))


async def set_winner(db: Database, campaign_id: int, variant: int, results: Sequence[Result], now: datetime) -> bool:
    """Choose the winner, and keep by which figures; False: there is one already."""
    query = (
        "UPDATE tabellion.campaign_ab_test SET winner = %s, chosen_at = %s, test_results = %s "
        "WHERE campaign_id = %s AND winner IS NULL"
    )
    values = (variant, now, Jsonb([list(each) for each in results]), campaign_id)
    return (await db.execute(query, values)).rowcount == 1


async def spread(db: Database, sending: Sending, variant: int, now: datetime) -> None:
    """Let all who waited have the winner."""
    query = """
WITH told AS (
    UPDATE {l}.recipient SET variant = %s, due_at = %s
    WHERE sending_id = %s AND variant IS NULL AND state = 'PLANNED' AND due_at = 'infinity' RETURNING campaign_id, variant
){given}
"""
    statement = in_schema(sending.licence_id, query, given=changes.noted(changes.GIVEN, "told"))
    await db.execute(statement, (variant, now, sending.id))
    query = "UPDATE tabellion.campaign_ab_test SET decided_at = %s WHERE campaign_id = %s"
    await db.execute(query, (now, sending.campaign_id))


async def results(db: Database, licence_id: int, campaign_id: int) -> list[Result]:
    """What came of each variant, by number. What scanners did is left out."""
    facts = await sums.read(db, sums.Scope(licence_id, campaign_id), ("state", "variant"))
    targeted = {
        fact.key[1]: fact.counts.mails
        for fact in facts
        if fact.part == "state" and fact.key[0] == "VARIANT" and fact.counts.mails
    }
    done = {fact.key[0]: fact.counts for fact in facts if fact.part == "variant"}
    found: list[Result] = []
    for variant in sorted(targeted, key=int):
        of = done.get(variant, sums.Counts())
        found.append(Result(int(variant), targeted[variant], of.mails, of.unique_opens, of.unique_clicks, of.unsubscribes))
    return found
