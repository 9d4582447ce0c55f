"""The SQL of the catalogue of tables, and which steps change the real ones."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

import msgspec
from psycopg import sql

from tabellion.features.tables import ddl
from tabellion.features.tables.checks import check
from tabellion.features.tables.model import Columns, Definition, Kind, ProfileTable, Table
from tabellion.features.tables.plan import Step
from tabellion.platform.database.connection import Database

_encode = msgspec.json.Encoder(decimal_format="number").encode

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
        columns = sql.SQL("SELECT id, licence_id, entity_id, name, version, definition::text FROM {} ")
        self._select = columns.format(self._name)

    async def load(self, db: Database, licence_id: int) -> tuple[T, ...]:
        """All the tables of a licence, in one statement."""
        query = self._select + sql.SQL("WHERE licence_id = %s ORDER BY id")
        cursor = await db.execute(query, (licence_id,), prepare=True)
        return tuple(self._table(row) for row in await cursor.fetchall())

    async def lock(self, db: Database, table_id: int) -> T | None:
        """The table's catalogue row, locked until the end of the transaction; None when it is gone."""
        return await self._found(db, table_id, sql.SQL("FOR UPDATE"))

    async def keep(self, db: Database, table_id: int) -> T | None:
        """The same, locked against changes and deletion only."""
        return await self._found(db, table_id, sql.SQL("FOR SHARE"))

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
        await db.execute(sql.SQL("DROP TABLE {}").format(ddl.relation_of(table)))

    def is_readable(self, step: Step) -> bool:
        """Whether others may read the table while the step is carried out."""
        return step.kind in {"addIndex", "addLookup", "noNulls", "fits", "rowsNeedDefault"}

    async def apply(self, db: Database, table: T, step: Step) -> int:
        """Carry one step out. Checks return how many rows break the new rule; other steps return 0."""
        match step.kind:
            case "addColumn":
                await ddl.add_column(db, table, step.subject, step.value)
            case "dropColumn":
                await ddl.alter(db, table, ddl.drop(step.subject.column))
            case "addIndex":
                return await ddl.add_index(db, table, step.subject)
            case "dropIndex":
                await db.execute(sql.SQL("DROP INDEX {}").format(ddl.qualified(table, ddl.unique_name(table, step.subject))))
            case "addLookup":
                await ddl.add_lookup(db, table, step.subject)
            case "dropLookup":
                await db.execute(sql.SQL("DROP INDEX {}").format(ddl.qualified(table, ddl.lookup_name(table, step.subject))))
            case _:
                return await check(db, table, step)
        return 0

    async def _found(self, db: Database, table_id: int, lock: sql.SQL) -> T | None:
        query = self._select + sql.SQL("WHERE id = %s ") + lock
        row = await (await db.execute(query, (table_id,))).fetchone()
        return None if row is None else self._table(row)

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
        consent = sql.SQL("DELETE FROM {} WHERE table_id = %s").format(ddl.qualified(table, "consent"))
        await db.execute(consent, (table.id,))

    async def apply(self, db: Database, table: ProfileTable, step: Step) -> int:
        """Carry one step out."""
        match step.kind:
            case "addChoice":
                await ddl.alter(db, table, *(ddl.add(name, type_) for name, type_ in step.subject.columns))
            case "addMembership":
                await ddl.alter(db, table, ddl.add(step.subject.column, ddl.membership_type(step.subject)))
            case "dropMembership":
                await ddl.alter(db, table, ddl.drop(step.subject.column))
            case "noneIn":
                column = sql.Identifier(step.subject.column)
                query = sql.SQL("SELECT count(*) FROM {} WHERE {} = %s").format(ddl.relation_of(table), column)
                return await ddl.count_of(db, query, (step.value.number,))
            case _:
                return await super().apply(db, table, step)
        return 0


async def lock_rows(db: Database, catalogue: Catalogue[T, D], table: T, steps: Sequence[Step]) -> None:
    """Keep everybody from writing the table's rows until the end of the transaction.

    Readers are kept out as well where the steps change columns, from the start: a lock taken in two stages could meet a
    reader who is about to write. Checks and the making of a unique index leave them in peace.
    """
    mode = "SHARE ROW EXCLUSIVE" if all(catalogue.is_readable(step) for step in steps) else "ACCESS EXCLUSIVE"
    await db.execute(sql.SQL("LOCK TABLE {} IN {} MODE").format(ddl.relation_of(table), sql.SQL(mode)))
