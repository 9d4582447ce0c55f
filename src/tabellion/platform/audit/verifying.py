"""Whether the trail is what was sealed, and which part of it is not."""

from collections.abc import Collection
from contextlib import aclosing
from datetime import datetime
from typing import NamedTuple

import msgspec

from tabellion.platform import secrets
from tabellion.platform.audit import seals
from tabellion.platform.audit.judging import Judge, Misfit
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalars

_GONE = "SELECT gone_from, gone_to, gone_before FROM tabellion.audit_seal WHERE gone_to IS NOT NULL"
_OPEN = "SELECT count(*), min(at) FROM tabellion.audit WHERE id >= %s"
_AT_ONCE = 1000
_CUT = "this head is not in the trail: its end was cut off, or it comes from a backup that is older"


class Head(NamedTuple):
    """A seal's number and digest, as somebody has kept them."""

    number: int
    digest: bytes


class Verdict(msgspec.Struct, frozen=True, rename="camel"):
    """What became of looking.

    `fits`: nothing is wrong. `entries` were compared with their `seals`, `entries_gone` deleted for their age,
    `entries_open` are not sealed yet; the first of them is from `open_since`. `head` is what tells this trail from another
    one.
    """

    fits: bool
    seals: int
    entries: int
    entries_gone: int
    entries_open: int
    open_since: datetime | None
    sealed_at: datetime | None
    head: str | None
    misfits: list[Misfit]


async def verify(db: Database, kept: Head | None = None, accepted: Collection[str] = ()) -> Verdict:
    """Compare all entries with their seals, as they are at one moment; `db` is in autocommit mode.

    `kept`: a head that has to be in it. `accepted`: fingerprints of secrets that the server had before. Raises
    `KeyUnusable`.
    """
    async with db.transaction():
        await db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        gone = [seals.Gone(*row) for row in await (await db.execute(_GONE)).fetchall()]
        judge = Judge(gone, secrets.fingerprints(), accepted)
        first = seals.first_id(None)
        while some := await seals.after(db, judge.last, _AT_ONCE):
            judge.take(some)
            furthest = max(some, key=lambda each: each.last_id)
            async with aclosing(seals.entries(db, first, furthest.last_id)) as lines:
                async for line in lines:
                    judge.entry(line)
            judge.end()
            first = max(first, seals.first_id(furthest))
        if kept is not None and not await _holds(db, kept):
            judge.misfits.append(Misfit(kept.number, kept.number, _CUT))
        count, since = await (await db.execute(_OPEN, (first,))).fetchone() or (0, None)
    last = judge.last
    return Verdict(
        not judge.misfits, last.number if last else 0, judge.entries, judge.entries_gone, count, since,
        last.sealed_at if last else None, last.head if last else None, judge.misfits,
    )  # fmt: skip


async def seal_keys(db: Database) -> list[str]:
    """The fingerprints of the secrets that seals were made with."""
    return await scalars(db, "SELECT DISTINCT key FROM tabellion.audit_seal ORDER BY 1")


async def _holds(db: Database, kept: Head) -> bool:
    cursor = await db.execute("SELECT digest = %s FROM tabellion.audit_seal WHERE number = %s", (kept.digest, kept.number))
    row = await cursor.fetchone()
    return row is not None and row[0]
