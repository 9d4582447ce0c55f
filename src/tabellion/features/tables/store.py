"""The catalogue of tables and the DDL of the real ones. Identifiers are composed of integers only."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, LiteralString, TypeVar

import msgspec
from psycopg import errors, sql

from tabellion.features.tables.model import Attribute, Columns, Definition, Kind, ProfileTable, Segmentation, Table
from tabellion.features.tables.plan import Step
from tabellion.features.tables.types.comparing import compared
from tabellion.features.tables.types.pattern import compile_pattern
from tabellion.features.tables.types.registry import attribute_type, bound, is_email
from tabellion.platform.database.connection import Database

_encode = msgspec.json.Encoder(decimal_format="number").encode

# So many values are judged at a time, a millisecond or two in which the process answers nobody.
_BATCH_ROWS = 1000
_LONG_DELETE_MS = "600000"
T = TypeVar("T", bound=Table)
D = TypeVar("D", bound=Columns)


class Catalogue(Generic[T, D]):
    """The tables of one kind: their rows in the shared schema, and the real tables behind them.

    `make(id, licence_id, entity_id, name, version, definition)` is the table's type. A kind of table with steps of its own
    overrides `apply` and `is_readable`.
    """

    def __init__(self, kind: Kind, make: Callable[..., T], definition: type[D]) -> None:
        self.kind = kind
        self._make = make
        # Numbers of display options, layouts and restrictions come back as they were written.
        self._decode = msgspec.json.Decoder(definition, float_hook=Decimal).decode
        self._name = sql.Identifier("tabellion", kind.catalogue)

    async def load(self, db: Database, licence_id: int) -> tuple[T, ...]:
        """All the tables of a licence, in one statement."""
        query = sql.SQL(
            "SELECT id, licence_id, entity_id, name, version, definition::text FROM {} WHERE licence_id = %s ORDER BY id"
        )
        cursor = await db.execute(query.format(self._name), (licence_id,), prepare=True)
        return tuple(self._table(row) for row in await cursor.fetchall())

    async def lock(self, db: Database, table_id: int) -> T | None:
        """The table's catalogue row, locked until the end of the transaction; None when it is gone."""
        query = sql.SQL("SELECT id, licence_id, entity_id, name, version, definition::text FROM {} WHERE id = %s FOR UPDATE")
        row = await (await db.execute(query.format(self._name), (table_id,))).fetchone()
        return None if row is None else self._table(row)

    async def keep(self, db: Database, table_id: int) -> T | None:
        """The same, locked against changes and deletion only."""
        query = sql.SQL("SELECT id, licence_id, entity_id, name, version, definition::text FROM {} WHERE id = %s FOR SHARE")
        row = await (await db.execute(query.format(self._name), (table_id,))).fetchone()
        return None if row is None else self._table(row)

    async def insert(
        self, db: Database, licence_id: int, entity_id: int, name: str, definition: D, now: datetime
    ) -> T | None:
        """Enter a table into the catalogue; None when the name is used."""
        query = sql.SQL(
            "INSERT INTO {} (licence_id, entity_id, name, definition, created_at) VALUES (%s, %s, %s, %s::jsonb, %s) "
            "ON CONFLICT (entity_id, lower(name)) DO NOTHING RETURNING id"
        )
        values = (licence_id, entity_id, name, _encode(definition).decode(), now)
        row = await (await db.execute(query.format(self._name), values)).fetchone()
        return None if row is None else self._make(row[0], licence_id, entity_id, name, 1, definition)

    async def update(self, db: Database, table: T, definition: D) -> None:
        """Put the table's name, version and definition into the catalogue."""
        query = sql.SQL("UPDATE {} SET name = %s, version = %s, definition = %s::jsonb WHERE id = %s")
        values = (table.name, table.version, _encode(definition).decode(), table.id)
        await db.execute(query.format(self._name), values)

    async def delete(self, db: Database, table: T) -> None:
        """Take the table out of the catalogue and drop it. Raises DependentObjectsStillExist where others refer to it.

        The drop waits, under the transaction's lock time-out, until nobody reads or writes its rows.
        """
        await db.execute(sql.SQL("DELETE FROM {} WHERE id = %s").format(self._name), (table.id,))
        await db.execute(sql.SQL("DROP TABLE {}").format(relation_of(table)))

    def is_readable(self, step: Step) -> bool:
        """Whether others may read the table while the step is carried out."""
        return step.kind in {"addIndex", "addLookup", "noNulls", "fits", "rowsNeedDefault"}

    async def apply(self, db: Database, table: T, step: Step) -> int:
        """Carry one step out. Checks return how many rows break the new rule; other steps return 0."""
        match step.kind:
            case "addColumn":
                await _add_column(db, table, step.subject, step.value)
            case "dropColumn":
                await alter(db, table, drop(step.subject.column))
            case "addIndex":
                return await _add_index(db, table, step.subject)
            case "dropIndex":
                await db.execute(sql.SQL("DROP INDEX {}").format(qualified(table, _unique_name(table, step.subject))))
            case "addLookup":
                await _add_lookup(db, table, step.subject)
            case "dropLookup":
                await db.execute(sql.SQL("DROP INDEX {}").format(qualified(table, _lookup_name(table, step.subject))))
            case _:
                return await _check(db, table, step)
        return 0

    def _table(self, row: tuple[Any, ...]) -> T:
        return self._make(*row[:5], self._decode(row[5]))


class ProfileTables(Catalogue[ProfileTable, Definition]):
    """Profile tables: with subscriptions and segmentations."""

    def is_readable(self, step: Step) -> bool:
        """Whether others may read the table while the step is carried out."""
        return step.kind == "noneIn" or super().is_readable(step)

    async def delete(self, db: Database, table: ProfileTable) -> None:
        """The same with the history of consent."""
        await super().delete(db, table)
        # Choices that were replaced, over years of imports: some seconds for a million. The table cannot go without them.
        await db.execute("SELECT set_config('statement_timeout', %s, true)", (_LONG_DELETE_MS,))
        consent = sql.SQL("DELETE FROM {} WHERE table_id = %s").format(qualified(table, "consent"))
        await db.execute(consent, (table.id,))

    async def apply(self, db: Database, table: ProfileTable, step: Step) -> int:
        """Carry one step out."""
        match step.kind:
            case "addChoice":
                await alter(db, table, *(_add(name, type_) for name, type_ in step.subject.columns))
            case "addMembership":
                await alter(db, table, _add(step.subject.column, _membership_type(step.subject)))
            case "dropMembership":
                await alter(db, table, drop(step.subject.column))
            case "noneIn":
                column = sql.Identifier(step.subject.column)
                query = sql.SQL("SELECT count(*) FROM {} WHERE {} = %s").format(relation_of(table), column)
                return await count_of(db, query, (step.value.number,))
            case _:
                return await super().apply(db, table, step)
        return 0


async def set_lock_timeout(db: Database, milliseconds: int) -> None:
    """For the rest of the transaction."""
    await db.execute("SELECT set_config('lock_timeout', %s, true)", (str(milliseconds),))


async def lock_rows(db: Database, catalogue: Catalogue[T, D], table: T, steps: Sequence[Step]) -> None:
    """Keep everybody from writing the table's rows until the end of the transaction.

    Readers are kept out as well where the steps change columns, from the start: a lock taken in two stages could meet a
    reader who is about to write. Checks and the making of a unique index leave them in peace.
    """
    mode = "SHARE ROW EXCLUSIVE" if all(catalogue.is_readable(step) for step in steps) else "ACCESS EXCLUSIVE"
    await db.execute(sql.SQL("LOCK TABLE {} IN {} MODE").format(relation_of(table), sql.SQL(mode)))


async def create_relation(db: Database, table: Table) -> None:
    """Make the real table, without attributes.

    Room is left in each page, so that an update that touches no unique attribute stays in its page (HOT). The moments
    serve incremental reads, page by page: unlike a tree, a BRIN index leaves such updates in their pages (PostgreSQL 16
    and later). It costs a tenth of a bare update, and reads what a thousand updates touched without reading the table.
    """
    statement = sql.SQL(
        "CREATE TABLE {} (id bigint GENERATED BY DEFAULT AS IDENTITY (START {}) PRIMARY KEY, "
        "created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL) WITH (fillfactor = 90)"
    )
    await db.execute(statement.format(relation_of(table), sql.Literal(table.kind.first_id)))
    index = sql.SQL("CREATE INDEX {} ON {} USING brin (created_at, updated_at) WITH (pages_per_range = 1)")
    await db.execute(index.format(sql.Identifier(f"m{table.label}"), relation_of(table)))


async def _check(db: Database, table: Table, step: Step) -> int:
    column = sql.Identifier(step.subject.column)
    relation = relation_of(table)
    match step.kind:
        case "rowsNeedDefault":
            return await count_of(db, sql.SQL("SELECT count(*) FROM {}").format(relation))
        case "noNulls":
            return await count_of(db, sql.SQL("SELECT count(*) FROM {} WHERE {} IS NULL").format(relation, column))
        case _:
            return await _misfits(db, table, step.subject)


async def _misfits(db: Database, table: Table, attribute: Attribute) -> int:
    """How many rows have a value that the attribute's restriction refuses."""
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
        count = await count_of(db, query, parameters)
    if count == 0 and limits.pattern is not None:
        count = await _mismatches(db, values, limits.pattern)
    return count


async def _mismatches(db: Database, values: sql.Composable, pattern: str) -> int:
    """Patterns are judged by the code that judges new values, row by row, in constant memory."""
    matches = compile_pattern(pattern)
    wrong: set[int] = set()
    async with db.cursor(name="pattern_check") as cursor:
        await cursor.execute(sql.SQL("SELECT id, v FROM {} WHERE v IS NOT NULL").format(values))
        while rows := await cursor.fetchmany(_BATCH_ROWS):
            wrong.update(id_ for id_, value in rows if not matches(value))
    return len(wrong)


def _values(table: Table, attribute: Attribute) -> sql.Composable:
    """The attribute's values, one a row, as `v` beside the row's `id`."""
    query = "(SELECT id, unnest({}) AS v FROM {}) t" if attribute.multi_valued else "(SELECT id, {} AS v FROM {}) t"
    return sql.SQL(query).format(sql.Identifier(attribute.column), relation_of(table))


async def _add_column(db: Database, table: Table, attribute: Attribute, default: Any) -> None:
    type_ = attribute_type(attribute).sql
    if default is None:
        await alter(db, table, _add(attribute.column, type_))
        return
    # A constant default fills existing rows without rewriting the table; new rows get theirs from the caller.
    column = sql.Identifier(attribute.column)
    with_default = sql.SQL("{} DEFAULT {}").format(_add(attribute.column, type_), sql.Literal(default))
    await alter(db, table, with_default)
    await alter(db, table, sql.SQL("ALTER COLUMN {} DROP DEFAULT").format(column))


async def _add_index(db: Database, table: Table, attribute: Attribute) -> int:
    """Make a unique index, or tell how many rows share a value with another one.

    To look for them first would take as long again, and writers wait meanwhile.
    """
    value = _indexed(attribute)
    name = sql.Identifier(_unique_name(table, attribute))
    try:
        async with db.transaction():
            await db.execute(sql.SQL("CREATE UNIQUE INDEX {} ON {} ({})").format(name, relation_of(table), value))
    except errors.UniqueViolation:
        shared = sql.SQL("SELECT count(*) AS n FROM {0} WHERE {1} IS NOT NULL GROUP BY {1} HAVING count(*) > 1")
        query = sql.SQL("SELECT coalesce(sum(n), 0)::bigint FROM ({}) d").format(shared.format(relation_of(table), value))
        return await count_of(db, query)
    return 0


async def _add_lookup(db: Database, table: Table, attribute: Attribute) -> None:
    relation, value = relation_of(table), _indexed(attribute)
    index = sql.Identifier(_lookup_name(table, attribute))
    await db.execute(sql.SQL("CREATE INDEX {} ON {} ({})").format(index, relation, value))
    if is_email(attribute):
        # The planner knows nothing of what an index computes: an address would be that of one in 200 rows. An empty table
        # had better stay one that nobody has looked at.
        some = sql.SQL("SELECT count(*) FROM (SELECT FROM {} LIMIT 1) t").format(relation)
        if await count_of(db, some):
            await db.execute(sql.SQL("ANALYZE {}").format(relation))


def _indexed(attribute: Attribute) -> sql.Composable:
    """What an index of an attribute is on: what its values are compared by."""
    return sql.SQL("({})").format(sql.SQL(compared(attribute, f"a{attribute.number:d}")))  # pyright: ignore[reportArgumentType] - our own number


async def alter(db: Database, table: Table, *actions: sql.Composable) -> None:
    """ALTER TABLE."""
    await db.execute(sql.SQL("ALTER TABLE {} {}").format(relation_of(table), sql.SQL(", ").join(actions)))


async def count_of(db: Database, query: sql.Composed, parameters: Any = ()) -> int:
    """The number that a query gives."""
    cursor = await db.execute(query, parameters)
    row = await cursor.fetchone()
    return 0 if row is None else row[0]


def drop(column: str) -> sql.Composed:
    """The part of an ALTER TABLE that takes a column away."""
    return sql.SQL("DROP COLUMN {}").format(sql.Identifier(column))


def _add(column: str, type_: str) -> sql.Composed:
    return sql.SQL("ADD COLUMN {} {}").format(sql.Identifier(column), _type(type_))


def _type(name: str) -> sql.SQL:
    """A column type; they come from the registry of types, never from a caller."""
    return sql.SQL(name)  # pyright: ignore[reportArgumentType] - a constant of types/


def _membership_type(segmentation: Segmentation) -> str:
    return "boolean" if segmentation.type == "SIMPLE" else "integer"


def relation_of(table: Table) -> sql.Composed:
    """The real table, with its schema."""
    return qualified(table, table.relation)


def qualified(table: Table, name: str) -> sql.Composed:
    """A name in the schema of the table's licence."""
    return sql.SQL("{}.{}").format(sql.Identifier(table.schema), sql.Identifier(name))


def _unique_name(table: Table, attribute: Attribute) -> str:
    return f"u{table.label}_a{attribute.number:d}"


def _lookup_name(table: Table, attribute: Attribute) -> str:
    return f"i{table.label}_a{attribute.number:d}"
