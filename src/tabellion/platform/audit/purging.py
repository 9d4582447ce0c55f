"""What is older than the operator keeps it goes, by whole stretches that were sealed; a seal says which."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from tabellion.platform.audit import seals
from tabellion.platform.audit.sealing import STRETCH
from tabellion.platform.database.connection import Database

_OLD = """
SELECT number, entries FROM tabellion.audit_seal
WHERE newest < %s AND NOT number <@ (
    SELECT coalesce(range_agg(int8range(gone_from, gone_to, '[]')), '{}') FROM tabellion.audit_seal WHERE gone_to IS NOT NULL
)
ORDER BY number
"""
_DELETE = """
DELETE FROM tabellion.audit a USING tabellion.audit_seal last LEFT JOIN tabellion.audit_seal before ON before.number = %s - 1
WHERE last.number = %s AND a.id <= last.last_id AND (before.number IS NULL OR a.id > before.last_id)
"""


class _Run(NamedTuple):
    first: int
    last: int
    entries: int


async def purge(db: Database, before: datetime, now: datetime) -> int:
    """Delete the entries older than a moment (the retention is the operator's setting); returns their number.

    An entry goes with its stretch, some minutes or 10,000 entries, once all of it is so old and sealed. In many short
    transactions, `db` being in autocommit mode: calls that write meanwhile wait for none of them, and what was done stays
    done when it is cut off. Raises `KeyUnusable`.
    """
    rows = 0
    # Entries go once: nobody else begins with these until all of them are gone.
    async with seals.locked(db):
        old = await (await db.execute(_OLD, (before,))).fetchall()
        for first, last, _ in _runs(old):
            async with db.transaction():
                rows += (await db.execute(_DELETE, (first, last))).rowcount
                await seals.add(db, now, gone=seals.Gone(first, last, before))
    return rows


def _runs(old: list[tuple[int, int]]) -> Iterator[_Run]:
    """Seals in a row that have together about as many entries as one may have."""
    run: _Run | None = None
    for number, entries in old:
        if run is not None and number == run.last + 1 and run.entries + entries <= STRETCH:
            run = _Run(run.first, number, run.entries + entries)
            continue
        if run is not None and run.entries:
            yield run
        run = _Run(number, number, entries)
    if run is not None and run.entries:
        yield run
