"""The SQL of what readers do."""

from datetime import datetime
from typing import Any, NamedTuple

from psycopg import AsyncConnection

from tabellion.features.delivery import in_schema, licence_exists

Database = AsyncConnection[tuple[Any, ...]]
# Of one mail: a picture that is fetched for ever fills no disk.
_MOST_EVENTS = 200


class Reader(NamedTuple):
    """The recipient whom a token names. `subscription`: the number of the one that the mail was sent for."""

    id: int
    campaign_id: int
    table_id: int
    profile_id: int | None
    address: str
    language: str
    test: bool
    subscription: int | None


async def reader(db: Database, licence_id: int, recipient_id: int) -> Reader | None:
    """The recipient of a mail; None: they are no more."""
    if not await licence_exists(db, licence_id):
        return None
    query = """
SELECT r.id, r.campaign_id, r.table_id, r.profile_id, coalesce(r.address, ''), r.language, r.test,
       (s.document ->> 'subscription')::int
FROM {l}.recipient r JOIN tabellion.sending s ON s.id = r.sending_id WHERE r.id = %s
"""
    row = await (await db.execute(in_schema(licence_id, query), (recipient_id,))).fetchone()
    return None if row is None else Reader(*row)


async def add(
    db: Database, licence_id: int, reader: Reader, kind: str, moment: datetime, *, url: str | None, actor: str
) -> None:
    """Note what a reader did."""
    query = """
INSERT INTO {l}.mail_event (recipient_id, campaign_id, type, moment, url, actor)
SELECT %(id)s, %(campaign)s, %(kind)s, %(moment)s, %(url)s, %(actor)s
WHERE (SELECT count(*) FROM {l}.mail_event WHERE recipient_id = %(id)s) < %(most)s
"""
    values = {
        "id": reader.id, "campaign": reader.campaign_id, "kind": kind, "moment": moment, "url": url, "actor": actor,
        "most": _MOST_EVENTS,
    }  # fmt: skip
    await db.execute(in_schema(licence_id, query), values)


async def has(db: Database, licence_id: int, recipient_id: int, kind: str) -> bool:
    """Whether a reader has done something already."""
    query = "SELECT EXISTS (SELECT 1 FROM {l}.mail_event WHERE recipient_id = %s AND type = %s)"
    row = await (await db.execute(in_schema(licence_id, query), (recipient_id, kind))).fetchone()
    return bool(row and row[0])
