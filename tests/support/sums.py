"""What is kept for reports, compared with what counting the mails comes to."""

from typing import Any

from tabellion.features.delivery import Scope, sums


async def assert_right(db: Any, licence: int, campaign: int) -> None:
    """What is kept of a campaign is what its mails come to, and adds up with the states of its recipients."""
    scope = Scope(licence, campaign)
    kept, counted = await sums.read(db, scope), await sums.read(db, scope, recount=True)
    assert sorted((f.part, f.key, f.counts) for f in kept) == sorted((f.part, f.key, f.counts) for f in counted)
    query = f"SELECT state, count(*) FROM l{licence}.recipient WHERE campaign_id = %s AND NOT test GROUP BY 1".encode()
    states = dict(await (await db.execute(query, (campaign,))).fetchall())
    tally = sums.tally_of(kept)
    assert tally.targeted == sum(states.values())
    assert tally.pending == sum(states.get(state, 0) for state in ("PLANNED", "DEFERRED", "CLAIMED", "SENDING"))
    assert tally.sent.mails == states.get("ACCEPTED", 0) + states.get("REJECTED", 0)
    assert (sum(tally.excluded.values()), sum(tally.failed.values()), tally.uncertain) == (
        states.get("EXCLUDED", 0), states.get("FAILED", 0), states.get("UNCERTAIN", 0),
    )  # fmt: skip
