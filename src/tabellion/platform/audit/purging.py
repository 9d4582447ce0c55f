"""What is older than the operator keeps it goes, a few pages of the table at a time."""

from datetime import datetime

from tabellion.platform.database.connection import Database

# As many as one entry of the index covers; some 8,000 rows. A transaction that deletes them takes some 20 ms.
_PAGES = 128

# Rows are in nearly the order of time: what is old stands together, and the index of moments says where.
_WHERE = "SELECT DISTINCT (ctid::text::point)[0]::bigint / %s FROM tabellion.audit WHERE at < %s ORDER BY 1"
_DELETE = "DELETE FROM tabellion.audit WHERE at < %s AND ctid >= %s::text::tid AND ctid < %s::text::tid"


async def purge(db: Database, before: datetime) -> int:
    """Delete the rows older than a moment (the retention is the operator's setting); returns their number.

    In many short transactions, `db` being in autocommit mode: calls that write meanwhile wait for none of them, and what was
    done stays done when it is cut off.
    """
    cursor = await db.execute(_WHERE, (_PAGES, before))
    rows = 0
    for (number,) in await cursor.fetchall():
        first, end = number * _PAGES, (number + 1) * _PAGES
        cursor = await db.execute(_DELETE, (before, f"({first},0)", f"({end},0)"))
        rows += max(cursor.rowcount, 0)
    return rows
