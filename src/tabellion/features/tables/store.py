"""The catalogue of profile tables and the DDL of the real ones. Identifiers are composed of integers only."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, LiteralString

import msgspec
from psycopg import AsyncConnection, sql

from tabellion.features.tables.model import Attribute, Definition, ProfileTable, Segmentation
from tabellion.features.tables.plan import Step
from tabellion.features.tables.types.pattern import compile_pattern
from tabellion.features.tables.types.predefined import EMAIL_ADDRESS
from tabellion.features.tables.types.registry import attribute_type, bound

Database = AsyncConnection[tuple[Any, ...]]
# Numbers of display options, layouts and restrictions come back as they were written.
_decode = msgspec.json.Decoder(Definition, float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode

_LOAD = """
SELECT id, licence_id, entity_id, name, version, definition::text FROM tabellion.profile_table
WHERE licence_id = %s ORDER BY id
"""
_BATCH_ROWS = 5000
_READABLE = frozenset({"addIndex", "noNulls", "noDuplicates", "fits", "noneIn", "rowsNeedDefault"})


async def load(db: Database, licence_id: int) -> tuple[ProfileTable, ...]:
    """All the profile tables of a licence, in one statement."""
    cursor = await db.execute(_LOAD, (licence_id,), prepare=True)
    return tuple(_table(row) for row in await cursor.fetchall())


async def set_lock_timeout(db: Database, milliseconds: int) -> None:
    """For the rest of the transaction."""
    await db.execute("SELECT set_config('lock_timeout', %s, true)", (str(milliseconds),))


async def lock(db: Database, table_id: int) -> ProfileTable | None:
    """The table's catalogue row, locked until the end of the transaction; None when it is gone."""
    cursor = await db.execute(
        "SELECT id, licence_id, entity_id, name, version, definition::text FROM tabellion.profile_table "
        "WHERE id = %s FOR UPDATE",
        (table_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else _table(row)


async def lock_rows(db: Database, table: ProfileTable, steps: Sequence[Step]) -> None:
    """Keep everybody from writing the table's profiles until the end of the transaction.

    Readers are kept out as well where the steps change columns, from the start: a lock taken in two stages could meet a
    reader who is about to write. Checks and the making of a unique index leave them in peace.
    """
    mode = "SHARE ROW EXCLUSIVE" if all(step.kind in _READABLE for step in steps) else "ACCESS EXCLUSIVE"
    await db.execute(sql.SQL("LOCK TABLE {} IN {} MODE").format(_relation(table), sql.SQL(mode)))


async def insert(
    db: Database, licence_id: int, entity_id: int, name: str, definition: Definition, now: datetime
) -> ProfileTable | None:
    """Enter a table into the catalogue; None when the name is used."""
    document = _encode(definition).decode()
    cursor = await db.execute(
        "INSERT INTO tabellion.profile_table (licence_id, entity_id, name, definition, created_at) "
        "VALUES (%s, %s, %s, %s::jsonb, %s) ON CONFLICT (entity_id, lower(name)) DO NOTHING RETURNING id",
        (licence_id, entity_id, name, document, now),
    )
    row = await cursor.fetchone()
    return None if row is None else ProfileTable(row[0], licence_id, entity_id, name, 1, definition)


async def update(db: Database, table: ProfileTable) -> None:
    """Put the table's name, version and definition into the catalogue."""
    await db.execute(
        "UPDATE tabellion.profile_table SET name = %s, version = %s, definition = %s::jsonb WHERE id = %s",
        (table.name, table.version, _encode(table.definition).decode(), table.id),
    )


async def delete(db: Database, table: ProfileTable) -> None:
    """Take the table out of the catalogue, drop it, and erase its consent history.

    The drop waits, under the transaction's lock time-out, until nobody reads or writes its profiles.
    """
    await db.execute("DELETE FROM tabellion.profile_table WHERE id = %s", (table.id,))
    await db.execute(sql.SQL("DROP TABLE {}").format(_relation(table)))
    consent = sql.SQL("DELETE FROM {} WHERE table_id = %s").format(_name(f"l{table.licence_id:d}", "consent"))
    await db.execute(consent, (table.id,))


async def bump_catalogue(db: Database, licence_id: int) -> None:
    """Tell every process, through the gate, that the licence's tables have changed."""
    await db.execute("UPDATE tabellion.licence SET catalogue_version = catalogue_version + 1 WHERE id = %s", (licence_id,))


async def create_relation(db: Database, table: ProfileTable) -> None:
    """Make the real table, without attributes.

    Room is left in each page, so that an update that touches no unique attribute stays in its page (HOT). The moments
    serve incremental reads, page by page: unlike a tree, a BRIN index leaves such updates in their pages (PostgreSQL 16
    and later). It costs a tenth of a bare update, and reads what a thousand updates touched without reading the table.
    """
    statement = sql.SQL(
        "CREATE TABLE {} (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, created_at timestamptz NOT NULL, "
        "updated_at timestamptz NOT NULL) WITH (fillfactor = 90)"
    )
    await db.execute(statement.format(_relation(table)))
    index = sql.SQL("CREATE INDEX {} ON {} USING brin (created_at, updated_at) WITH (pages_per_range = 1)")
    await db.execute(index.format(sql.Identifier(f"m{table.id:d}"), _relation(table)))


async def apply(db: Database, table: ProfileTable, step: Step) -> int:
    """Carry one step out. Checks return how many profiles break the new rule; other steps return 0."""
    match step.kind:
        case "addColumn":
            await _add_column(db, table, step.subject, step.value)
        case "dropColumn":
            await _alter(db, table, sql.SQL("DROP COLUMN {}").format(sql.Identifier(step.subject.column)))
        case "addIndex":
            await _add_index(db, table, step.subject)
        case "dropIndex":
            await db.execute(sql.SQL("DROP INDEX {}").format(_index(table, step.subject)))
        case "addChoice":
            column = step.subject.column
            parts = ((column, "boolean"), (f"{column}_at", "timestamptz"), (f"{column}_source", "text"))
            await _alter(db, table, *(_add(name, type_) for name, type_ in parts))
        case "dropChoice":
            column = step.subject.column
            names = (column, f"{column}_at", f"{column}_source")
            await _alter(db, table, *(sql.SQL("DROP COLUMN {}").format(sql.Identifier(name)) for name in names))
        case "addMembership":
            await _alter(db, table, _add(step.subject.column, _membership_type(step.subject)))
        case "dropMembership":
            await _alter(db, table, sql.SQL("DROP COLUMN {}").format(sql.Identifier(step.subject.column)))
        case _:
            return await _check(db, table, step)
    return 0


async def _check(db: Database, table: ProfileTable, step: Step) -> int:
    column = sql.Identifier(step.subject.column)
    relation = _relation(table)
    match step.kind:
        case "rowsNeedDefault":
            return await _count(db, sql.SQL("SELECT count(*) FROM {}").format(relation))
        case "noNulls":
            return await _count(db, sql.SQL("SELECT count(*) FROM {} WHERE {} IS NULL").format(relation, column))
        case "noDuplicates":
            value = sql.SQL("lower({})").format(column) if step.subject.type == EMAIL_ADDRESS else column
            shared = sql.SQL("SELECT count(*) AS n FROM {0} WHERE {1} IS NOT NULL GROUP BY {1} HAVING count(*) > 1")
            query = sql.SQL("SELECT coalesce(sum(n), 0)::bigint FROM ({}) d").format(shared.format(relation, value))
            return await _count(db, query)
        case "noneIn":
            query = sql.SQL("SELECT count(*) FROM {} WHERE {} = %s").format(relation, column)
            return await _count(db, query, (step.value.number,))
        case _:
            return await _misfits(db, table, step.subject)


async def _misfits(db: Database, table: ProfileTable, attribute: Attribute) -> int:
    """How many profiles have a value that the attribute's restriction refuses."""
    limits, base = attribute.restriction, attribute_type(attribute).value_type
    if limits is None:
        return 0
    wrong: list[sql.Composable] = []
    parameters: list[Any] = []
    tests: tuple[tuple[Any, LiteralString], ...] = (
        (limits.min_length, "char_length(v) < %s"),
        (limits.max_length, "char_length(v) > %s"),
        (None if limits.min is None else bound(base, limits.min), "v < %s"),
        (None if limits.max is None else bound(base, limits.max), "v > %s"),
    )
    for value, test in tests:
        if value is not None:
            wrong.append(sql.SQL(test))
            parameters.append(value)
    if limits.accepted_values is not None:
        wrong.append(sql.SQL("v <> ALL (%s)"))
        parameters.append([bound(base, value) for value in limits.accepted_values])
    values = _values(table, attribute)
    count = 0
    if wrong:
        query = sql.SQL("SELECT count(DISTINCT id) FROM {} WHERE {}").format(values, sql.SQL(" OR ").join(wrong))
        count = await _count(db, query, parameters)
    if count == 0 and limits.pattern is not None:
        count = await _mismatches(db, values, limits.pattern)
    return count


async def _mismatches(db: Database, values: sql.Composable, pattern: str) -> int:
    """Patterns are judged by the code that judges new values, row by row, in constant memory."""
    matches = compile_pattern(pattern)
    wrong: set[int] = set()
    async with db.cursor(name="pattern_check") as cursor:
        cursor.itersize = _BATCH_ROWS
        await cursor.execute(sql.SQL("SELECT id, v FROM {} WHERE v IS NOT NULL").format(values))
        async for id_, value in cursor:
            if not matches(value):
                wrong.add(id_)
    return len(wrong)


def _values(table: ProfileTable, attribute: Attribute) -> sql.Composable:
    """The attribute's values, one a row, as `v` beside the profile's `id`."""
    query = "(SELECT id, unnest({}) AS v FROM {}) t" if attribute.multi_valued else "(SELECT id, {} AS v FROM {}) t"
    return sql.SQL(query).format(sql.Identifier(attribute.column), _relation(table))


async def _add_column(db: Database, table: ProfileTable, attribute: Attribute, default: Any) -> None:
    type_ = attribute_type(attribute).sql
    if default is None:
        await _alter(db, table, _add(attribute.column, type_))
        return
    # A constant default fills existing rows without rewriting the table; new rows get theirs from the caller.
    column = sql.Identifier(attribute.column)
    with_default = sql.SQL("{} DEFAULT {}").format(_add(attribute.column, type_), sql.Literal(default))
    await _alter(db, table, with_default)
    await _alter(db, table, sql.SQL("ALTER COLUMN {} DROP DEFAULT").format(column))


async def _add_index(db: Database, table: ProfileTable, attribute: Attribute) -> None:
    column: sql.Composable = sql.Identifier(attribute.column)
    if attribute.type == EMAIL_ADDRESS:
        column = sql.SQL("(lower({}))").format(column)
    name = sql.Identifier(f"u{table.id:d}_a{attribute.number:d}")
    await db.execute(sql.SQL("CREATE UNIQUE INDEX {} ON {} ({})").format(name, _relation(table), column))


async def _alter(db: Database, table: ProfileTable, *actions: sql.Composable) -> None:
    await db.execute(sql.SQL("ALTER TABLE {} {}").format(_relation(table), sql.SQL(", ").join(actions)))


async def _count(db: Database, query: sql.Composed, parameters: Any = ()) -> int:
    cursor = await db.execute(query, parameters)
    row = await cursor.fetchone()
    return 0 if row is None else row[0]


def _add(column: str, type_: str) -> sql.Composed:
    return sql.SQL("ADD COLUMN {} {}").format(sql.Identifier(column), _type(type_))


def _type(name: str) -> sql.SQL:
    """A column type; they come from the registry of types, never from a caller."""
    return sql.SQL(name)  # pyright: ignore[reportArgumentType] - a constant of types/


def _membership_type(segmentation: Segmentation) -> str:
    return "boolean" if segmentation.type == "SIMPLE" else "integer"


def _relation(table: ProfileTable) -> sql.Composed:
    return _name(f"l{table.licence_id:d}", f"p{table.id:d}")


def _index(table: ProfileTable, attribute: Attribute) -> sql.Composed:
    return _name(f"l{table.licence_id:d}", f"u{table.id:d}_a{attribute.number:d}")


def _name(schema: str, relation: str) -> sql.Composed:
    return sql.SQL("{}.{}").format(sql.Identifier(schema), sql.Identifier(relation))


def _table(row: tuple[Any, ...]) -> ProfileTable:
    table_id, licence_id, entity_id, name, version, definition = row
    return ProfileTable(table_id, licence_id, entity_id, name, version, _decode(definition))
