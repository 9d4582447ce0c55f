"""The SQL of what readers do."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from tabellion.features.delivery import ADDRESS, IN_DOUBT, SENT_FOR, changes, in_schema, licence_exists
from tabellion.features.tracking.actors import Raw
from tabellion.platform.database.advisory import AdvisoryLock
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar

# Of one mail, by people, proxies and scanners each: a picture that is fetched for ever fills no disk, and no
# person's click is kept out. All together, since what looks like people's may turn out to be a scanner's.
_MOST_EVENTS, _MOST_TOGETHER = 200, 600
_NEAR_TRAP = timedelta(seconds=60)


class Reader(NamedTuple):
    """The recipient whom a token names. `subscription`: the number of the one that the mail was sent for.

    `address`: empty where it is not kept any more. `uncertain`: nobody knew whether the mail had left. `sender`: whom it
    came from, by name or else by domain.
    """

    id: int
    campaign_id: int
    table_id: int
    profile_id: int | None
    address: str
    language: str
    test: bool
    delivered_at: datetime | None
    subscription: int | None
    uncertain: bool = False
    sender: str = ""

    @property
    def erased(self) -> bool:
        """Whether nobody knows any more whom the mail went to."""
        return self.profile_id is None and not self.address


class Happening(NamedTuple):
    """What a reader did, or a machine in their place; as `mail_event` keeps it."""

    type: str
    moment: datetime
    actor: str
    method: str = "GET"
    url: str | None = None
    link: int | None = None
    agent: str | None = None
    device: str | None = None


async def reader(db: Database, licence_id: int, recipient_id: int) -> Reader | None:
    """The recipient of a mail; None: they are no more."""
    if not await licence_exists(db, licence_id):
        return None
    query = """
SELECT r.id, r.campaign_id, r.table_id, r.profile_id, {address}, r.language, r.test, r.ended_at,
       {sent_for}, {in_doubt},
       coalesce(nullif(s.document ->> 'sender_name', ''), split_part(s.document ->> 'sender_address', '@', 2), '')
FROM {l}.recipient r JOIN tabellion.sending s ON s.id = r.sending_id WHERE r.id = %s
"""
    row = await (
        await db.execute(
            in_schema(licence_id, query, address=ADDRESS, sent_for=SENT_FOR, in_doubt=IN_DOUBT), (recipient_id,)
        )
    ).fetchone()
    return None if row is None else Reader(*row)


async def lock(db: Database, licence_id: int, recipient_id: int) -> None:
    """Have what comes of one mail judged one after the other, until the transaction ends."""
    query = "SELECT pg_advisory_xact_lock(%s, hashint8(%s))"
    await db.execute(query, (AdvisoryLock.READER, licence_id * 1_000_003 + recipient_id))


async def add(db: Database, licence_id: int, reader: Reader, happening: Happening) -> str | None:
    """Note what a reader did; of whom it is, or None when it is too much of it. That they have left is not, whoever looked.

    A program that has just followed the link that people do not see stays a scanner.
    """
    query = """
WITH by AS MATERIALIZED (
SELECT CASE WHEN EXISTS (
        SELECT FROM {l}.mail_event e WHERE e.recipient_id = %(id)s AND e.method = 'TRAP' AND e.agent = %(agent)s
        AND e.moment >= %(near)s) THEN 'scanner' ELSE %(actor)s END AS actor
), told AS (
INSERT INTO {l}.mail_event (recipient_id, campaign_id, type, moment, actor, method, url, link, agent, device)
SELECT %(id)s, %(campaign)s, %(type)s, %(moment)s, by.actor, %(method)s, %(url)s, %(link)s, %(agent)s, %(device)s
FROM by WHERE %(type)s = 'UNSUBSCRIBE' OR (
    SELECT count(*) FILTER (WHERE e.actor = by.actor) < %(most)s AND count(*) < %(together)s
    FROM {l}.mail_event e WHERE e.recipient_id = %(id)s)
RETURNING id, recipient_id, campaign_id, actor
), noted AS ({noted}) SELECT actor FROM told
"""
    values = happening._asdict() | {
        "id": reader.id, "campaign": reader.campaign_id, "near": happening.moment - _NEAR_TRAP,
        "most": _MOST_EVENTS, "together": _MOST_TOGETHER,
    }  # fmt: skip
    statement = in_schema(licence_id, query, noted=changes.noted(changes.HAPPENED, "told"))
    return await scalar(db, statement, values)


async def raw_events(db: Database, licence_id: int, recipient_id: int) -> tuple[list[Raw], list[str]]:
    """What machines and people did with one mail, as far as programs were noted; and whose it was taken for."""
    query = """
SELECT id, type, moment, method, coalesce(agent, ''), link, actor FROM {l}.mail_event
WHERE recipient_id = %s AND method IS NOT NULL AND type IN ('OPEN', 'CLICK') ORDER BY id
"""
    rows = await (await db.execute(in_schema(licence_id, query), (recipient_id,))).fetchall()
    return [Raw(*row[:6]) for row in rows], [row[6] for row in rows]


async def judge(db: Database, licence_id: int, changed: Sequence[tuple[int, str]]) -> None:
    """Write down of whom events of one mail are after all; its `lock` is held."""
    query = """
WITH were AS MATERIALIZED (SELECT * FROM {l}.mail_event WHERE id = ANY (%(ids)s)), noted AS ({noted})
UPDATE {l}.mail_event e SET actor = n.actor FROM unnest(%(ids)s::bigint[], %(actors)s::text[]) n (id, actor)
WHERE e.id = n.id
"""
    values = {"ids": [id_ for id_, _ in changed], "actors": [actor for _, actor in changed]}
    await db.execute(in_schema(licence_id, query, noted=changes.noted(changes.WAS, "were")), values)


async def recipients_with_events(
    db: Database, licence_id: int, after: int, most: int, campaign_id: int | None
) -> list[tuple[int, datetime | None]]:
    """Mails of which something raw is noted, by id from one on, with the moment of their delivery."""
    query = """
SELECT r.id, r.ended_at FROM {l}.recipient r WHERE r.id = ANY (ARRAY(
    SELECT DISTINCT e.recipient_id FROM {l}.mail_event e
    WHERE e.recipient_id > %(after)s AND e.method IS NOT NULL
      AND (%(campaign)s::bigint IS NULL OR e.campaign_id = %(campaign)s)
    ORDER BY e.recipient_id LIMIT %(most)s)) ORDER BY r.id
"""
    values = {"after": after, "most": most, "campaign": campaign_id}
    return [(row[0], row[1]) for row in await (await db.execute(in_schema(licence_id, query), values)).fetchall()]


async def has(db: Database, licence_id: int, recipient_id: int, kind: str) -> bool:
    """Whether a reader has done something already."""
    query = "SELECT EXISTS (SELECT 1 FROM {l}.mail_event WHERE recipient_id = %s AND type = %s)"
    return bool(await scalar(db, in_schema(licence_id, query), (recipient_id, kind)))
