"""Who refers to a table: the foreign keys of custom tables that lead to it, and the records behind them."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from psycopg import AsyncConnection, sql

from tabellion.features.tables.model import Table

# Further records are not counted: a million of them are as much in the way, and take a second.
MOST_COUNTED = 1000


class Referrer(NamedTuple):
    """A foreign key that leads to a table: whose it is, and what it is in the schema of the licence.

    `column` is the records' own, `target` the column that they refer to (`id` is the technical id).
    """

    table: str
    name: str
    attribute: str
    relation: str
    column: str
    target: str
    on_delete: str

    @property
    def constraint(self) -> str:
        """The foreign key's name in the database."""
        return f"f{self.relation}_{self.column}"


async def referrers(db: AsyncConnection[tuple[Any, ...]], table: Table) -> list[Referrer]:
    """The foreign keys that lead to a table, by the names of their tables."""
    cursor = await db.execute(
        "SELECT c.name, k ->> 'name', k ->> 'attribute', 'c' || c.id, 'a' || (k ->> 'number'), k ->> 'column', "
        "k ->> 'onDelete' FROM tabellion.custom_table c, jsonb_array_elements(c.definition -> 'foreignKeys') k "
        "WHERE c.licence_id = %s AND k ->> 'relation' = %s ORDER BY lower(c.name), c.id, lower(k ->> 'name')",
        (table.licence_id, table.relation),
    )
    return [Referrer(*row) for row in await cursor.fetchall()]


async def referring(
    db: AsyncConnection[tuple[Any, ...]], table: Table, referrer: Referrer, ids: Collection[int] | None = None
) -> int:
    """How many records refer by a foreign key to these rows of a table (None: to any); at most one more than are counted."""
    own, target = sql.Identifier(referrer.column), sql.Identifier(referrer.target)
    records = sql.Identifier(table.schema, referrer.relation)
    if ids is None:
        query = sql.SQL("SELECT FROM {} r WHERE r.{} IS NOT NULL LIMIT %s").format(records, own)
    else:
        rows = sql.Identifier(table.schema, table.relation)
        text = "SELECT FROM {} r JOIN {} t ON t.{} = r.{} WHERE t.id = ANY(%s) LIMIT %s"
        query = sql.SQL(text).format(records, rows, target, own)
    parameters = [*([] if ids is None else [list(ids)]), MOST_COUNTED + 1]
    cursor = await db.execute(sql.SQL("SELECT count(*) FROM ({}) d").format(query), parameters)
    row = await cursor.fetchone()
    return 0 if row is None else row[0]


def told(referrer: Referrer, records: int) -> str:
    """A foreign key in the way, in words."""
    count = f"more than {MOST_COUNTED:,} records" if records > MOST_COUNTED else f"{records:,} records"
    count = "1 record" if records == 1 else "no records yet" if records == 0 else count
    return f"'{referrer.table}' (foreign key '{referrer.name}' of its '{referrer.attribute}': {count})"


def listed(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
