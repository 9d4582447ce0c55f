"""The SQL of what came of mails, for reports and interactions."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from tabellion.features.delivery import changes
from tabellion.features.delivery.store import IN_DOUBT, in_schema
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar


class Interaction(NamedTuple):
    """One mail to one profile, as it stands."""

    id: int
    campaign_id: int
    campaign_name: str
    state: str
    reason: str | None
    planned_at: datetime
    ended_at: datetime | None


class WantedInteractions(NamedTuple):
    """Whose mails a list is to hold; None: whatever it is. With an id and a name, campaigns that fit one of them."""

    table_id: int
    profile_id: int
    campaign_id: int | None
    from_at: datetime | None
    to_at: datetime | None
    most: int
    campaign_name: str | None = None


class MailEvent(NamedTuple):
    """What came of a mail after it had left."""

    type: str
    moment: datetime
    url: str | None


async def interactions(db: Database, licence_id: int, wanted: WantedInteractions) -> list[Interaction]:
    """The mails of a profile, newest first, tests aside."""
    query = """
SELECT r.id, r.campaign_id, c.name, r.state, r.reason, r.planned_at, r.ended_at
FROM {l}.recipient r JOIN tabellion.campaign c ON c.id = r.campaign_id
WHERE r.table_id = %(table)s AND r.profile_id = %(profile)s AND NOT r.test
  AND (%(campaign)s::bigint IS NULL AND %(name)s::text IS NULL OR r.campaign_id = %(campaign)s
       OR tabellion.folded(c.name) = tabellion.folded(%(name)s))
  AND (%(from)s::timestamptz IS NULL OR coalesce(r.ended_at, r.planned_at) >= %(from)s)
  AND (%(to)s::timestamptz IS NULL OR coalesce(r.ended_at, r.planned_at) < %(to)s)
ORDER BY coalesce(r.ended_at, r.planned_at) DESC, r.id DESC LIMIT %(most)s
"""
    values = {
        "table": wanted.table_id, "profile": wanted.profile_id, "campaign": wanted.campaign_id, "from": wanted.from_at,
        "to": wanted.to_at, "most": wanted.most, "name": wanted.campaign_name,
    }  # fmt: skip
    rows = await (await db.execute(in_schema(licence_id, query), values)).fetchall()
    return [Interaction(*row) for row in rows]


async def has_arrived(
    db: Database, licence_id: int, recipient_id: int, by: datetime, at: datetime | None = None
) -> datetime | None:
    """A mail of which nobody knew whether it had left is in somebody's hands, and not sent again; None: that was known.

    When it was accepted: `at`, or else at the end of the attempt, and not after `by`. Never before it was planned, which a
    clock that is behind may say.
    """
    query = """
WITH told AS (
    UPDATE {l}.recipient r SET state = 'ACCEPTED', reason = NULL, due_at = NULL,
        ended_at = greatest(planned_at, coalesce(%(at)s, least(ended_at, %(by)s)))
    WHERE id = %(id)s AND {in_doubt} AND NOT test RETURNING id, campaign_id, state, ended_at
), entered AS ({noted})
SELECT ended_at FROM told
"""
    statement = in_schema(licence_id, query, noted=changes.noted(changes.LEFT, "told"), in_doubt=IN_DOUBT)
    return await scalar(db, statement, {"id": recipient_id, "by": by, "at": at})


async def events_of(db: Database, licence_id: int, recipients: Sequence[int]) -> dict[int, list[MailEvent]]:
    """The events of mails, oldest first, without those of scanners."""
    query = (
        "SELECT recipient_id, type, moment, url FROM {l}.mail_event "
        "WHERE recipient_id = ANY (%s) AND actor IS DISTINCT FROM 'scanner' ORDER BY id"
    )
    found: dict[int, list[MailEvent]] = {}
    for row in await (await db.execute(in_schema(licence_id, query), (list(recipients),))).fetchall():
        found.setdefault(row[0], []).append(MailEvent(*row[1:]))
    return found
