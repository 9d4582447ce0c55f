"""Lists of rows, of profiles and of the records of custom tables: filtered, sorted, a page at a time."""

from typing import Any

from tabellion.features.profiles import store
from tabellion.features.profiles.model import Profile, Row
from tabellion.features.tables import Table
from tabellion.features.tables.filters import Listing
from tabellion.platform.http.call import Incoming


async def page(call: Incoming, table: Table) -> tuple[list[Profile], str | None]:
    """One page of a filtered and sorted list, and the cursor of the next one (None: the end)."""
    listing = Listing.of(table, call.query, call.caller.time_zone, call.now)
    rows: list[Profile] = []
    for part in listing.parts:
        if len(rows) <= listing.limit:
            rows += await store.search(call.db, table, part.condition, part.order, listing.limit + 1 - len(rows))
    if len(rows) <= listing.limit:
        return rows, None
    rows = rows[: listing.limit]
    last = rows[-1]
    return rows, listing.cursor_after([_sort_value(table, last, key.name) for key in listing.keys], last.id)


async def count_listed(call: Incoming, table: Table) -> int:
    """How many rows a filtered list holds, whatever its pages."""
    listing = Listing.of(table, call.query, call.caller.time_zone, call.now)
    return await store.count(call.db, table, listing.condition)


def _sort_value(table: Table, row: Row, name: str) -> Any:
    lower = name.lower()
    technical = {table.kind.id_name.lower(): row.id, "creationmoment": row.created_at, "updatemoment": row.updated_at}
    if lower in technical:
        return technical[lower]
    return row.values[table.attributes.index(table.attributes_by_name[lower])]
