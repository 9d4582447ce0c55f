"""Whom imports have brought back that had been accepted before the erasure, and went on."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from tabellion.features.bulk import searching
from tabellion.features.delivery import suppression_store
from tabellion.features.erasure import forgetting, store
from tabellion.features.erasure.forgetting import Asked, People
from tabellion.features.erasure.model import Counts, Erasure
from tabellion.features.profiles import Row
from tabellion.platform import audit
from tabellion.platform.database.connection import Database

# The moment of an erasure is that of its end; what an import wrote after it had looked may be older. It takes seconds.
_LOOKED_WITHIN = timedelta(hours=1)


def asked_by_server(licence_id: int, address: str, now: datetime) -> Asked:
    """What is left of an erasure, as the server itself does it."""
    who = audit.values_of_nobody("server") | {"audit_route": "erase"}
    return Asked(licence_id, address, suppress=False, who=who, now=now)


class Forgotten(NamedTuple):
    """What was found of whom imports have brought back; `flying`: mails that are on their way, till when the profiles stay;
    `tables`: those out of which profiles and records were deleted.
    """

    counts: Counts = Counts()
    flying: Sequence[int] = ()
    tables: Sequence[str] = ()


async def forget(db: Database, erasure: Erasure, address: str, accepted: searching.Accepted, now: datetime) -> Forgotten:
    """Delete the profiles that imports have given the address since; those to which calls have given it stay.

    `accepted`: the bulk calls that came before the erasure. In the caller's transaction, when all these imports have ended.
    What is personal in mails to the profiles goes first. Raises `RowInUse`, `TooManyProfiles`.
    """
    licence_id = erasure.licence_id
    spans = await searching.imports_since(db, licence_id, erasure.asked_at - _LOOKED_WITHIN, accepted)
    if not spans:
        return Forgotten()
    people: People = []
    others = False
    for table, profiles in await forgetting.people_at(db, licence_id, address):
        within = spans.get(table.id, [])
        rows = [row for row in profiles if await _is_returned(db, erasure, f"profile/{table.id}/{row.id}", row, within)]
        others = others or len(rows) < len(profiles)
        people.append((table, rows))
    if not any(rows for _, rows in people):
        return Forgotten()
    # What names the address since is of them, unless others have it as well.
    reached = None if others else await store.watermark(db, licence_id, now)
    asked = asked_by_server(licence_id, address, now)
    counts, flying, traces = await forgetting.forget_what_tells_of(db, asked, people, reached)
    if flying:
        return Forgotten(counts, flying)
    if reached is not None:
        await suppression_store.forget_person(db, licence_id, address, now, suppress=False)
    counts = counts.plus(await forgetting.delete(db, asked, people, traces))
    return Forgotten(counts, tables=forgetting.tables_of(people, traces))


async def _is_returned(db: Database, erasure: Erasure, object_: str, row: Row, within: list[searching.Span]) -> bool:
    """Whether it was such an import that gave a profile the address.

    None had it when the erasure looked. A block of rows has the moment at which it began, and is seen when it is committed,
    so that its rows may be older than the erasure. One that was there is taken for changed by the import if that wrote it
    last, and no call has since the erasure: which of several gave it the address nobody knows any more.
    """
    is_new = row.created_at > erasure.asked_at
    moment = row.created_at if is_new else row.updated_at
    if not any(span.begin <= moment <= span.end for span in within):
        return False
    return not await store.was_called_for(db, erasure.licence_id, object_, moment, None if is_new else erasure.asked_at)
