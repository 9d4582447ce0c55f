"""The DDL of custom tables beyond that of all tables: composite keys and foreign keys. Names are made of integers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString

from psycopg import sql

from tabellion.features.customdata.model import CustomDefinition, CustomTable, ForeignKey
from tabellion.features.profiles import of_delete, unique_columns
from tabellion.features.tables import Attribute, Catalogue, Referrer, Step, alter, count_of, qualified, relation_of
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar

_ON_DELETE: dict[str, LiteralString] = {"CASCADE": "CASCADE", "SET_NULL": "SET NULL", "RESTRICT": "RESTRICT"}


class CustomTables(Catalogue[CustomTable, CustomDefinition]):
    """Custom tables: with keys and foreign keys."""

    def is_readable(self, step: Step) -> bool:
        """Whether others may read the table while the step is carried out."""
        return step.kind == "addReference" or super().is_readable(step)

    async def delete(self, db: Database, table: CustomTable) -> None:
        """The same with what keeps values of other tables from being cleared."""
        # First its own lock, then those of the others, as those take them who write records.
        await super().delete(db, table)
        for key in table.definition.foreign_keys:
            if key.relation != table.relation:
                await _let_clear(db, table, key)

    async def apply(self, db: Database, table: CustomTable, step: Step) -> int:
        """Carry one step out; `addReference` returns how many records refer to nothing."""
        match step.kind:
            case "addKey":
                columns = sql.SQL(", ").join(sql.Identifier(attribute.column) for attribute in step.subject)
                statement = sql.SQL("CREATE UNIQUE INDEX {} ON {} ({})")
                await db.execute(statement.format(sql.Identifier(f"k{table.label}"), relation_of(table), columns))
            case "addReference":
                return await _refer(db, table, step.subject, step.value)
            case "dropReference":
                await alter(db, table, sql.SQL("DROP CONSTRAINT {}").format(_constraint(table, step.subject.number)))
                await _let_clear(db, table, step.subject)
            case _:
                return await super().apply(db, table, step)
        return 0


async def _refer(db: Database, table: CustomTable, attribute: Attribute, key: ForeignKey) -> int:
    """Make a foreign key, unless records refer to nothing: how many.

    What is referred to keeps its links when its value changes (ON UPDATE CASCADE), and does not lose them when it is
    cleared: that is refused (migration 0051), unless the foreign key says that records are kept without their reference.
    """
    target, column = qualified(table, key.relation), sql.Identifier(key.column)
    own = sql.Identifier(attribute.column)
    # The lock that the foreign key needs in any case, now: nobody takes away what the count has found.
    await db.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(target))
    query = sql.SQL("SELECT count(*) FROM {} t WHERE {} IS NOT NULL AND NOT EXISTS (SELECT FROM {} o WHERE o.{} = t.{})")
    lost = await count_of(db, query.format(relation_of(table), own, target, column, own))
    if lost:
        return lost
    action = sql.SQL(_ON_DELETE[key.on_delete])
    constraint = sql.SQL("ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}) ON DELETE {} ON UPDATE CASCADE")
    await alter(db, table, constraint.format(_constraint(table, key.number), own, target, column, action))
    if key.on_delete != "SET_NULL" and key.column != "id":
        # Named so that it fires before what the foreign key does (RI_...).
        trigger = sql.SQL(
            "CREATE TRIGGER {0} AFTER UPDATE OF {2} ON {1} FOR EACH ROW WHEN (OLD.{2} IS NOT NULL AND NEW.{2} IS NULL) "
            "EXECUTE FUNCTION tabellion.keep_referred({3}, {4}, {5}, {6})"
        )
        arguments = (table.relation, attribute.column, key.column, f"f{table.label}_a{key.number:d}")
        named = (_trigger(table, key.number), target, column, *(sql.Literal(argument) for argument in arguments))
        await db.execute(trigger.format(*named))
    return 0


async def _let_clear(db: Database, table: CustomTable, key: ForeignKey) -> None:
    """Take away what keeps the value that a foreign key refers to from being cleared."""
    statement = sql.SQL("DROP TRIGGER IF EXISTS {} ON {}")
    await db.execute(statement.format(_trigger(table, key.number), qualified(table, key.relation)))


def _constraint(table: CustomTable, number: int) -> sql.Composable:
    return sql.Identifier(f"f{table.label}_a{number:d}")


def _trigger(table: CustomTable, number: int) -> sql.Composable:
    return sql.Identifier(f"0{table.label}_a{number:d}")


async def cleaned_licences(db: Database) -> list[tuple[int, str, int]]:
    """Licences with cleaning rules: id, time zone, version of the catalogue."""
    cursor = await db.execute(
        "SELECT l.id, l.time_zone, l.catalogue_version FROM tabellion.licence l "
        "WHERE EXISTS (SELECT FROM tabellion.custom_table c "
        "WHERE c.licence_id = l.id AND c.definition -> 'cleaningRule' <> 'null'::jsonb) ORDER BY l.id"
    )
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


async def clean_batch(  # noqa: PLR0913 - what to delete, and who is in the way
    db: Database,
    table: CustomTable,
    column: str,
    limit: Any,
    now: datetime,
    most: int,
    *,
    told: bool,
    keepers: Sequence[Referrer] = (),
) -> int:
    """Delete records whose column is below a limit, at most so many; none once the structure is another one.

    Those that records refer to by one of `keepers` stay.

    Raises ForeignKeyViolation, RestrictViolation.
    """
    unique = "".join(f", t.{name}" for name in unique_columns(table)) if told else ""
    event = f"{of_delete(table)} " if told else ""
    relation = f"{table.schema}.{table.relation}"
    current = f"EXISTS (SELECT FROM tabellion.custom_table k WHERE k.id = {table.id:d} AND k.version = {table.version:d})"
    kept = "".join(
        f" AND NOT EXISTS (SELECT FROM {table.schema}.{each.relation} r WHERE r.{each.column} = o.{each.target})"
        for each in keepers
    )
    where = f"o.{column} < %(limit)s AND {current}{kept}"
    chosen = f"SELECT o.id FROM {relation} o WHERE {where} LIMIT %(most)s FOR UPDATE OF o SKIP LOCKED"  # noqa: S608 - names of our own
    statement = (
        f"WITH old AS ({chosen}), "  # noqa: S608 - as above
        f"gone AS (DELETE FROM {relation} t USING old WHERE t.id = old.id RETURNING t.id{unique})"
        f"{', ' + event if told else ' '}SELECT count(*) FROM gone"
    )
    return await scalar(db, statement.encode(), {"limit": limit, "most": most, "now": now})
