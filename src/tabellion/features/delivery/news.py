"""News of mails for whoever listens to a campaign, or to all campaigns of an entity; in the transaction of the event."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from tabellion.features.delivery.outcome_store import has_arrived
from tabellion.features.delivery.store import ADDRESS, in_schema
from tabellion.features.tables import render_moment
from tabellion.platform import outbox
from tabellion.platform.database.connection import Database

SUBJECT = "EMAIL_CAMPAIGN"
SENT, HARD_BOUNCE, SOFT_BOUNCE = "SENT", "HARD_BOUNCE", "SOFT_BOUNCE"


class MailNews(NamedTuple):
    """What came of one mail. `detail`: what a mail server said. `actor`: who it was, of openings and clicks. `moment`: when,
    if it was not just now.
    """

    recipient_id: int
    url: str | None = None
    detail: str | None = None
    actor: str | None = None
    moment: datetime | None = None


def all_of(entity_id: int) -> str:
    """The subject of those who listen to every campaign of an entity."""
    return f"*{entity_id:d}"


async def listeners(db: Database, licence_id: int, event_type: str) -> list[str]:
    """The subjects of which somebody wants to hear this."""
    known = await outbox.interests_now(db, licence_id)
    return [subject for (kind, subject), types in known.items() if kind == SUBJECT and event_type in types]


async def tell(db: Database, licence_id: int, event_type: str, news: Sequence[MailNews], now: datetime) -> None:
    """Tell of mails, in the caller's transaction, where somebody listens; of tests nobody is told.

    Whoever writes into `mail_event` what people are told of calls this as well.
    """
    if news and (subjects := await listeners(db, licence_id, event_type)):
        await tell_subjects(db, licence_id, subjects, event_type, news, now)


async def settle(
    db: Database, licence_id: int, recipient_id: int, now: datetime, *,
    at: datetime | None = None, by: datetime | None = None,
) -> bool:  # fmt: skip
    """A mail has arrived: `at` a moment, or `by` one, as far as is known. False: that was no news; else it is told."""
    async with db.transaction():
        arrived = await has_arrived(db, licence_id, recipient_id, by or now, at)
        if arrived is not None:
            await tell(db, licence_id, SENT, [MailNews(recipient_id, moment=arrived)], now)
    return arrived is not None


async def settle_heard(db: Database, licence_id: int, recipients: Sequence[int], now: datetime) -> set[int]:
    """Settle mails whose attempts have ended in doubt, where something was heard of them meanwhile, such as a bounce.

    The ids of those that have arrived. In the transaction that writes down the doubt, or they would be sent again.
    """
    query = "SELECT recipient_id, min(moment) FROM {l}.mail_event WHERE recipient_id = ANY (%s) GROUP BY 1 ORDER BY 1"
    heard = await (await db.execute(in_schema(licence_id, query), (list(recipients),))).fetchall()
    return {each for each, moment in heard if await settle(db, licence_id, each, now, by=moment)}


async def tell_subjects(
    db: Database, licence_id: int, subjects: Sequence[str], event_type: str, news: Sequence[MailNews], now: datetime
) -> None:
    """The same, of subjects that are known already."""
    query = f"""
INSERT INTO tabellion.outbox_event ({outbox.COLUMNS})
SELECT c.licence_id, '{SUBJECT}', s.subject, %(type)s, NULL, jsonb_strip_nulls(jsonb_build_object(
    'eventType', %(type)s::text, 'campaign.id', c.id, 'campaign.name', c.name, 'interactionId', r.id,
    'tableId', r.table_id, 'profileId', r.profile_id, 'emailAddress', nullif({{address}}, ''), 'moment', n.moment,
    'url', n.url, 'detail', n.detail, 'actor', n.actor,
    '_links', jsonb_build_object('campaign', jsonb_build_object(
        'href', '/email-campaigns/v4/entity/' || e.name || '/mail/' || c.id)))), %(now)s
FROM unnest(%(ids)s::bigint[], %(moments)s::text[], %(urls)s::text[], %(details)s::text[], %(actors)s::text[])
    n (id, moment, url, detail, actor)
JOIN {{l}}.recipient r ON r.id = n.id AND NOT r.test
JOIN tabellion.campaign c ON c.id = r.campaign_id JOIN tabellion.entity e ON e.id = c.entity_id
CROSS JOIN LATERAL (VALUES (c.id::text), ('*' || c.entity_id)) s (subject)
WHERE s.subject = ANY (%(subjects)s)
"""  # noqa: S608 - words of our own
    values = {
        "type": event_type, "now": now, "subjects": list(subjects), "ids": [each.recipient_id for each in news],
        "moments": [render_moment(each.moment or now) for each in news], "urls": [each.url for each in news],
        "details": [each.detail for each in news], "actors": [each.actor for each in news],
    }  # fmt: skip
    await db.execute(in_schema(licence_id, query, address=ADDRESS), values)
