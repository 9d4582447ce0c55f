"""The SQL that tells how many rows break a rule that a change of structure would set."""

from typing import Any, LiteralString

from psycopg import sql

from tabellion.features.tables.ddl import count_of, relation_of
from tabellion.features.tables.model import Attribute, Table
from tabellion.features.tables.plan import Step
from tabellion.features.tables.types.pattern import compile_pattern
from tabellion.features.tables.types.registry import attribute_type, bound
from tabellion.platform.database.connection import Database

# So many values are judged at a time, a millisecond or two in which the process answers nobody.
_BATCH_ROWS = 1000


async def check(db: Database, table: Table, step: Step) -> int:
    """How many rows break the rule of a step: `rowsNeedDefault`, `noNulls`, `fits`. Reads the whole table."""
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
