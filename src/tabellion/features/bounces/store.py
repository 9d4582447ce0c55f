"""The SQL of bounces and complaints. A statement touches one licence's schema; the moment is always a parameter."""

from datetime import datetime
from typing import NamedTuple

from tabellion.features.bounces.model import Wanted
from tabellion.features.delivery import ADDRESS, SENT_FOR, Suppression, changes, everywhere, in_schema
from tabellion.platform.database.advisory import AdvisoryLock
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar
from tabellion.platform.mail import normal_form


class Mail(NamedTuple):
    """The mail that something is said about. `subscription`: the number of the one that it was sent for.

    `address`: empty where it is not kept any more.
    """

    id: int
    sending_id: int
    campaign_id: int
    test: bool
    state: str
    table_id: int
    profile_id: int | None
    address: str
    subscription: int | None


async def mail(db: Database, licence_id: int, recipient_id: int) -> Mail | None:
    """A mail; None: it is no more."""
    query = """
SELECT r.id, r.sending_id, r.campaign_id, r.test, r.state, r.table_id, r.profile_id, {address},
       {sent_for}
FROM {l}.recipient r JOIN tabellion.sending s ON s.id = r.sending_id WHERE r.id = %s
"""
    row = await (
        await db.execute(in_schema(licence_id, query, address=ADDRESS, sent_for=SENT_FOR), (recipient_id,))
    ).fetchone()
    return None if row is None else Mail(*row)


async def note_bounce(db: Database, licence_id: int, mail: Mail, kind: str, detail: str, now: datetime) -> bool:
    """Note that a mail bounced; False: that is known. A hard bounce takes the place of a soft one."""
    query = """
WITH told AS (
    INSERT INTO {l}.mail_event (recipient_id, campaign_id, type, moment, detail) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (recipient_id) WHERE type IN ('SOFT_BOUNCE', 'HARD_BOUNCE') DO NOTHING
    RETURNING id, recipient_id, campaign_id
){noted}
"""
    statement = in_schema(licence_id, query, noted=changes.noted(changes.HAPPENED, "told"))
    if (await db.execute(statement, (mail.id, mail.campaign_id, kind, now, detail))).rowcount == 1:
        return True
    if kind != "HARD_BOUNCE":
        return False
    # Locked first, by a statement of its own: the next one sees it as whoever had the lock before has left it.
    query = "SELECT FROM {l}.mail_event WHERE recipient_id = %s AND type = 'SOFT_BOUNCE' FOR UPDATE"
    await db.execute(in_schema(licence_id, query), (mail.id,))
    query = """
WITH were AS MATERIALIZED (
    SELECT * FROM {l}.mail_event WHERE recipient_id = %(mail)s AND type = 'SOFT_BOUNCE'
), noted AS ({noted})
UPDATE {l}.mail_event SET type = %(type)s, moment = %(moment)s, detail = %(detail)s
WHERE recipient_id = %(mail)s AND type = 'SOFT_BOUNCE'
"""
    values = {"mail": mail.id, "type": kind, "moment": now, "detail": detail}
    statement = in_schema(licence_id, query, noted=changes.noted(changes.WAS, "were"))
    return (await db.execute(statement, values)).rowcount == 1


async def note_complaint(db: Database, licence_id: int, mail: Mail, detail: str, now: datetime) -> bool:
    """Note a complaint about a mail; False: that is known."""
    query = """
WITH told AS (
    INSERT INTO {l}.mail_event (recipient_id, campaign_id, type, moment, detail) VALUES (%s, %s, 'COMPLAINT', %s, %s)
    ON CONFLICT (recipient_id) WHERE type = 'COMPLAINT' DO NOTHING RETURNING id, recipient_id, campaign_id
){noted}
"""
    statement = in_schema(licence_id, query, noted=changes.noted(changes.HAPPENED, "told"))
    return (await db.execute(statement, (mail.id, mail.campaign_id, now, detail))).rowcount == 1


async def count_soft(db: Database, licence_id: int, address: str, mark: str, moment: datetime, since: datetime) -> int:
    """Count a soft bounce of an address; how many different ones there are since a moment. Older ones are forgotten."""
    address = normal_form(address)
    # One after the other, so that the last of them sees all.
    await db.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (AdvisoryLock.SOFT_BOUNCES, address))
    query = """
INSERT INTO {l}.soft_bounce (address, mark, moment) VALUES (%s, %s, %s)
ON CONFLICT (address, mark) DO NOTHING
"""
    await db.execute(in_schema(licence_id, query), (address, mark, moment))
    query = "DELETE FROM {l}.soft_bounce WHERE address = %s AND moment < %s"
    await db.execute(in_schema(licence_id, query), (address, since))
    query = "SELECT count(*) FROM {l}.soft_bounce WHERE address = %s"
    return await scalar(db, in_schema(licence_id, query), (address,))


async def forget_soft(db: Database, before: datetime) -> int:
    """Delete soft bounces that count no more, of all licences; how many."""
    return await everywhere(db, "DELETE FROM {l}.soft_bounce WHERE moment < %(before)s", {"before": before})


async def complaints(db: Database, licence_id: int, campaign_id: int) -> int:
    """How many complaints about a campaign that goes on and was not held for them before; 0 for others."""
    query = """
SELECT (SELECT count(*) FROM {l}.mail_event WHERE campaign_id = %(campaign)s AND type = 'COMPLAINT')
FROM tabellion.sending
WHERE campaign_id = %(campaign)s AND NOT test AND state = 'RUNNING' AND complaints_at IS NULL
"""
    return await scalar(db, in_schema(licence_id, query), {"campaign": campaign_id}) or 0


async def accepted(db: Database, licence_id: int, campaign_id: int, most: int) -> int:
    """How many mails of a campaign were accepted, tests aside; it is not counted further than `most`."""
    query = """
SELECT count(*) FROM (
    SELECT FROM {l}.recipient WHERE campaign_id = %s AND NOT test AND state = 'ACCEPTED' LIMIT %s
) r
"""
    return await scalar(db, in_schema(licence_id, query), (campaign_id, most))


async def mark_held(db: Database, campaign_id: int, now: datetime) -> None:
    """Remember that a campaign was held because of complaints."""
    query = "UPDATE tabellion.sending SET complaints_at = %s WHERE campaign_id = %s AND NOT test"
    await db.execute(query, (now, campaign_id))


# --- the suppression list -------------------------------------------------------------------------------------------


async def listed(db: Database, licence_id: int, wanted: Wanted, most: int) -> list[Suppression]:
    """Suppressions by address; those for an unsubscription also where that is not the only reason."""
    query = """
SELECT address, reason, since, detail, unsubscribed FROM {l}.suppression
WHERE address > %(after)s AND (%(reason)s::text IS NULL OR reason = %(reason)s
                               OR %(reason)s = 'UNSUBSCRIBE' AND unsubscribed IS NOT NULL)
  AND (%(domain)s::text IS NULL OR right(address, length(%(domain)s) + 1) = '@' || %(domain)s)
  AND (%(from)s::timestamptz IS NULL OR since >= %(from)s) AND (%(to)s::timestamptz IS NULL OR since < %(to)s)
ORDER BY address LIMIT %(most)s
"""
    values = {
        "after": wanted.after, "reason": wanted.reason, "domain": wanted.domain, "from": wanted.from_at, "to": wanted.to_at,
        "most": most,
    }  # fmt: skip
    rows = await (await db.execute(in_schema(licence_id, query), values)).fetchall()
    return [Suppression(*row) for row in rows]
