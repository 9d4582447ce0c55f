"""Who refers to a table: the foreign keys of custom tables that lead to it, and the records behind them."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from psycopg import sql

from tabellion.features.tables.errors import TableInUse
from tabellion.features.tables.model import Attribute, Table
from tabellion.kit.counted import counted
from tabellion.kit.enumerated import enumerated
from tabellion.kit.problem import FieldError
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar, scalars

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


async def referrers(db: Database, table: Table) -> list[Referrer]:
    """The foreign keys that lead to a table, by the names of their tables."""
    cursor = await db.execute(
        "SELECT c.name, k ->> 'name', k ->> 'attribute', 'c' || c.id, 'a' || (k ->> 'number'), k ->> 'column', "
        "k ->> 'onDelete' FROM tabellion.custom_table c, jsonb_array_elements(c.definition -> 'foreignKeys') k "
        "WHERE c.licence_id = %s AND k ->> 'relation' = %s ORDER BY lower(c.name), c.id, lower(k ->> 'name')",
        (table.licence_id, table.relation),
    )
    return [Referrer(*row) for row in await cursor.fetchall()]


class Referred(NamedTuple):
    """What a foreign key leads to: the table's name, and that of its attribute."""

    table: str
    attribute: str


async def referred(db: Database, table: Table, attribute: Attribute) -> Referred | None:
    """Where the foreign key of an attribute leads; None: nowhere any more."""
    cursor = await db.execute(
        "SELECT coalesce(p.name, t.name), k ->> 'target' FROM tabellion.custom_table c "
        "CROSS JOIN jsonb_array_elements(c.definition -> 'foreignKeys') k "
        "LEFT JOIN tabellion.profile_table p ON p.licence_id = c.licence_id AND 'p' || p.id = k ->> 'relation' "
        "LEFT JOIN tabellion.custom_table t ON t.licence_id = c.licence_id AND 'c' || t.id = k ->> 'relation' "
        "WHERE c.licence_id = %s AND 'c' || c.id = %s AND k ->> 'number' = %s AND coalesce(p.name, t.name) IS NOT NULL",
        (table.licence_id, table.relation, str(attribute.number)),
    )
    row = await cursor.fetchone()
    return None if row is None else Referred(*row)


async def referring(db: Database, table: Table, referrer: Referrer, ids: Collection[int] | None = None) -> int:
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
    return await scalar(db, sql.SQL("SELECT count(*) FROM ({}) d").format(query), parameters)


async def followers(db: Database, table: Table, ids: Sequence[int]) -> list[tuple[str, int]]:
    """The records that the database deletes with rows of a table (CASCADE), and with those in turn.

    Each by the id of its table on the wire, and its own.
    """
    found: set[tuple[str, int]] = set()
    waiting = [(table.relation, [*ids])] if ids else []
    while waiting:
        target, rows = waiting.pop()
        for public_id, relation, column, target_column in await _cascading(db, table.licence_id, target):
            names = (table.schema, relation), (table.schema, target), (target_column,), (column,)
            text = sql.SQL("SELECT r.id FROM {} r JOIN {} t ON t.{} = r.{} WHERE t.id = ANY(%s)")
            query = text.format(*(sql.Identifier(*name) for name in names))
            new = [id_ for id_ in await scalars(db, query, (rows,)) if (public_id, id_) not in found]
            if new:
                found.update((public_id, id_) for id_ in new)
                waiting.append((relation, new))
    return sorted(found)


async def _cascading(db: Database, licence_id: int, relation: str) -> list[tuple[str, str, str, str]]:
    """The foreign keys by which records go with rows of a relation: the id of their table, and names as in `Referrer`."""
    cursor = await db.execute(
        "SELECT c.definition ->> 'uuid', 'c' || c.id, 'a' || (k ->> 'number'), k ->> 'column' "
        "FROM tabellion.custom_table c, jsonb_array_elements(c.definition -> 'foreignKeys') k "
        "WHERE c.licence_id = %s AND k ->> 'relation' = %s AND k ->> 'onDelete' = 'CASCADE'",
        (licence_id, relation),
    )
    return [(row[0], row[1], row[2], row[3]) for row in await cursor.fetchall()]


def told(referrer: Referrer, records: int) -> str:
    """A foreign key in the way, in words."""
    count = f"more than {MOST_COUNTED:,} records" if records > MOST_COUNTED else counted(records, "record")
    count = count if records else "no records yet"
    return f"'{referrer.table}' (foreign key '{referrer.name}' of its '{referrer.attribute}': {count})"


async def check_unreferred(db: Database, table: Table, taken: Mapping[str, tuple[str, str]]) -> None:
    """That no other table refers to what a change takes away: by column, the attribute's name and the operation's path.

    Raises `TableInUse` with all who do.
    """
    known = [each for each in await referrers(db, table) if each.target in taken and each.relation != table.relation]
    faults: list[FieldError] = []
    for column, (name, path) in taken.items():
        mine = [each for each in known if each.target == column]
        if mine:
            who = enumerated([told(each, await referring(db, table, each)) for each in mine])
            message = f"'{name}' is what records of {who} refer to; {_way_out(mine)}"
            faults.append(FieldError(path, TableInUse.code, message))
    if faults:
        raise TableInUse(faults[0].message, errors=faults)


async def check_deletable(db: Database, table: Table) -> None:
    """That no other table refers to one that is to be deleted. Raises `TableInUse`."""
    known = [each for each in await referrers(db, table) if each.relation != table.relation]
    if known:
        who = enumerated([told(each, await referring(db, table, each)) for each in known])
        tables = enumerated(list(dict.fromkeys(f"'{each.table}'" for each in known)))
        raise TableInUse(f"records of {who} refer to the table '{table.name}'; {_way_out(known)}, or delete {tables}")


def _way_out(known: Sequence[Referrer]) -> str:
    keys = "that foreign key" if len(known) == 1 else "those foreign keys"
    tables = enumerated(list(dict.fromkeys(f"'{each.table}'" for each in known)))
    return f"remove {keys} first (removeForeignKey, in a change request of {tables})"
