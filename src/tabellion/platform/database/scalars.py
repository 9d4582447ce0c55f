"""Statements that answer one column: its first value, or all of them."""

from typing import Any

from psycopg.abc import Params, QueryNoTemplate

from tabellion.platform.database.connection import Database


async def scalar(db: Database, query: QueryNoTemplate, values: Params | None = None, *, prepare: bool | None = None) -> Any:
    """The first column of the first row; None where there is no row."""
    row = await (await db.execute(query, values, prepare=prepare)).fetchone()
    return None if row is None else row[0]


async def scalars(
    db: Database, query: QueryNoTemplate, values: Params | None = None, *, prepare: bool | None = None
) -> list[Any]:
    """The first column of all rows, in their order."""
    return [row[0] for row in await (await db.execute(query, values, prepare=prepare)).fetchall()]
