"""What is under way in a backup, and what a restored server does with it.

A backup shows a moment, and the server that it was made of went on. So what was about to leave then has most likely left,
and must not leave again by itself.
"""

from datetime import datetime
from typing import NamedTuple

import psycopg
from psycopg import sql

from tabellion.features import campaigns, delivery
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalars
from tabellion.platform.database.schema import RESTORING
from tabellion.server import hold
from tabellion.server.backup.manifest import Manifest

_CATALOGUE = "tabellion"
_WHY = "restored from a backup"
_TOLD = "the server was restored from a backup of"


class HeldCampaign(NamedTuple):
    """A campaign that somebody has to resume or cancel."""

    licence: str
    entity: str
    id: int
    name: str


class Woken(NamedTuple):
    """`doubtful`: mails of triggers and tests of which nobody knows whether they left."""

    campaigns: list[HeldCampaign]
    doubtful: int
    held: bool


async def settle(url: str, manifest: Manifest, now: datetime, *, resume_sendings: bool) -> Woken:
    """End a restore: hold what was under way, unless it is to go on as it was, and let the mark of the restore go."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, application_name="tabellion restore") as db:
        doubtful = 0
        for licence_id in await _licences(db):
            await delivery.skip_numbers(db, f"l{licence_id:d}")
            if not resume_sendings:
                doubtful += await delivery.doubt(db, licence_id, now)
        await delivery.skip_numbers(db, _CATALOGUE)
        async with db.transaction():
            found: list[HeldCampaign] = []
            if not resume_sendings:
                found = await _hold_campaigns(db, manifest.made_at, now, now)
                await hold.hold(db, manifest.made_at, now)
            await db.execute(sql.SQL("DROP SCHEMA {}").format(sql.Identifier(RESTORING)))
    return Woken(found, doubtful, not resume_sendings)


async def resume(db: Database, now: datetime) -> tuple[hold.Hold, list[HeldCampaign]] | None:
    """Let a restored server begin its work; None: it is not held. The campaigns are those that still wait for somebody."""
    async with db.transaction():
        was = await hold.release(db)
        if was is None:
            return None
        # Their time has come since, which the server that the backup was made of may have seen as well.
        await _hold_campaigns(db, was.backup_at, was.restored_at, now)
        return was, await _waiting(db)


async def _hold_campaigns(db: Database, backup_at: datetime, before: datetime, now: datetime) -> list[HeldCampaign]:
    told = (
        f"{_TOLD} {backup_at:%Y-%m-%d %H:%M} UTC, and does not know who got this campaign after that. Resume it if it was "
        "not sent on; otherwise cancel it, for whoever got it since would get it twice"
    )
    held = await campaigns.hold_begun(db, before, _WHY, now, told)
    return await _named(db, [campaign.id for campaign in held])


async def _waiting(db: Database) -> list[HeldCampaign]:
    query = "SELECT id FROM tabellion.campaign WHERE state = 'PAUSED' AND kind = 'MASS' AND starts_with(paused_because, %s)"
    return await _named(db, await scalars(db, query, (_TOLD,)))


async def _named(db: Database, ids: list[int]) -> list[HeldCampaign]:
    cursor = await db.execute(
        "SELECT l.name, e.name, c.id, c.name FROM tabellion.campaign c JOIN tabellion.licence l ON l.id = c.licence_id "
        "JOIN tabellion.entity e ON e.id = c.entity_id WHERE c.id = ANY (%s) ORDER BY 1, 2, 3",
        (ids,),
    )
    return [HeldCampaign(*row) for row in await cursor.fetchall()]


async def _licences(db: Database) -> list[int]:
    return await scalars(db, "SELECT id FROM tabellion.licence ORDER BY id")
