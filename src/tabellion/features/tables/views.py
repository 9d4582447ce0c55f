"""Views for analysts: a table under its own name, with columns named as the attributes are.

They exist for licences that have given analysts access. A view follows its table in the transaction of each change of
structure: it goes before the first step and comes back after the last.
"""

from psycopg import sql

from tabellion.features.licences import views_schema_of
from tabellion.features.tables.ddl import relation_of
from tabellion.features.tables.model import CREATION_MOMENT, UPDATE_MOMENT, Segmentation, Table
from tabellion.platform.database.connection import Database
from tabellion.platform.database.names import distinguished, identifier


def columns_of(table: Table) -> list[tuple[str, sql.Composable]]:
    """The view's columns: their names, and what they are of the row `t`."""
    found: list[tuple[str, str, sql.Composable]] = [
        (table.kind.id_name, "id", sql.SQL("t.id")),
        *((a.name, a.column, _column(a.column)) for a in table.attributes),
        *((f"subscriptions.{s.name}", s.column, _column(s.column)) for s in table.subscriptions),
        *((f"segmentations.{s.name}", s.column, _membership(s)) for s in table.segmentations),
        (CREATION_MOMENT, "created", sql.SQL("t.created_at")),
        (UPDATE_MOMENT, "updated", sql.SQL("t.updated_at")),
    ]
    return [(identifier(name, column), expression) for name, column, expression in found]


async def drop_view(db: Database, table: Table) -> None:
    """Drop the table's view, if it has one: its columns are about to change, or the table is to go.

    Raises LockNotAvailable while somebody reads it, DependentObjectsStillExist when another view is built on it.
    """
    schema = await views_schema_of(db, table.entity_id)
    if schema is None:
        return
    query = """
        SELECT DISTINCT v.relname FROM pg_depend d
        JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
        JOIN pg_class v ON v.oid = r.ev_class AND v.relkind = 'v'
        JOIN pg_namespace n ON n.oid = v.relnamespace AND n.nspname = %s
        WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass(%s)
    """
    cursor = await db.execute(query, (schema, f"{table.schema}.{table.relation}"))
    for (name,) in await cursor.fetchall():
        await db.execute(sql.SQL("DROP VIEW {}").format(sql.Identifier(schema, name)))


async def make_view(db: Database, table: Table) -> None:
    """Make the table's view, if the licence has analysts; where a table of the other kind has its name, `~p31` follows."""
    schema = await views_schema_of(db, table.entity_id)
    if schema is None:
        return
    name = identifier(table.name, table.relation)
    query = "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s"
    if await (await db.execute(query, (schema, name))).fetchone() is not None:
        name = distinguished(table.name, table.relation)
    columns = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(expression, sql.Identifier(column)) for column, expression in columns_of(table)
    )
    statement = sql.SQL("CREATE VIEW {} AS SELECT {} FROM {} t")
    await db.execute(statement.format(sql.Identifier(schema, name), columns, relation_of(table)))


def _column(name: str) -> sql.Composable:
    return sql.SQL("t.{}").format(sql.Identifier(name))


def _membership(segmentation: Segmentation) -> sql.Composable:
    """Whether a row is in a simple segmentation; the name of its category in an exclusive one."""
    column = _column(segmentation.column)
    if segmentation.type == "SIMPLE":
        return sql.SQL("coalesce({}, false)").format(column)
    names = [sql.SQL("WHEN {} THEN {}").format(sql.Literal(c.number), sql.Literal(c.name)) for c in segmentation.categories]
    return sql.SQL("CASE {} {} END::text").format(column, sql.SQL(" ").join(names))
