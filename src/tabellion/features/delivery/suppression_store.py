"""The SQL of addresses that get nothing more."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from tabellion.features.delivery.store import Database, in_schema


async def suppress(db: Database, licence_id: int, addresses: Iterable[str], reason: str, now: datetime) -> None:
    """See to it that addresses get nothing more."""
    query = """
INSERT INTO {l}.suppression (address, reason, since) SELECT DISTINCT lower(a), %s, %s::timestamptz FROM unnest(%s::text[]) a
ON CONFLICT (address) DO NOTHING
"""
    await db.execute(in_schema(licence_id, query), (reason, now, list(addresses)))


async def is_suppressed(db: Database, licence_id: int, address: str) -> bool:
    """Whether an address gets nothing more."""
    query = "SELECT EXISTS (SELECT 1 FROM {l}.suppression WHERE address = lower(%s))"
    row = await (await db.execute(in_schema(licence_id, query), (address,))).fetchone()
    return bool(row and row[0])


class Suppressed(NamedTuple):
    """An address that gets nothing more, and why."""

    address: str
    reason: str
    since: datetime


async def suppressed(db: Database, licence_id: int, most: int) -> list[Suppressed]:
    """Addresses that get nothing more, the latest first."""
    query = "SELECT address, reason, since FROM {l}.suppression ORDER BY since DESC, address LIMIT %s"
    rows = await (await db.execute(in_schema(licence_id, query), (most,))).fetchall()
    return [Suppressed(*row) for row in rows]


async def unsuppress(db: Database, licence_id: int, address: str) -> bool:
    """Let an address get mails again, and forget its soft bounces; False: nothing kept it from them."""
    query = (
        "WITH forgotten AS (DELETE FROM {l}.soft_bounce WHERE address = lower(%(address)s)) "
        "DELETE FROM {l}.suppression WHERE address = lower(%(address)s)"
    )
    return (await db.execute(in_schema(licence_id, query), {"address": address})).rowcount == 1
