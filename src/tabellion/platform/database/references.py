"""Rows of an entity that calls name by id or by name."""

from typing import Any, LiteralString

from tabellion.kit.digits import number_of
from tabellion.platform.database.connection import Database


async def referenced(
    db: Database, select: LiteralString, owner: tuple[int, int], reference: str, *, lock: bool = False
) -> tuple[Any, ...] | None:
    """The row that a reference means: by its id, or else by its name in any case.

    `select` ends with the conditions on licence and entity, whose ids `owner` has; `lock` keeps the row for the transaction.
    """
    end: LiteralString = " FOR UPDATE" if lock else ""
    if (number := number_of(reference)) is not None:
        row = await (await db.execute(select + "AND id = %s" + end, (*owner, number))).fetchone()
        if row is not None:
            return row
    query = select + "AND tabellion.folded(name) = tabellion.folded(%s)" + end
    return await (await db.execute(query, (*owner, reference))).fetchone()
