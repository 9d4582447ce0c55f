"""Runs the statements of `sql.py`: rows become records, constraint violations become the feature's errors."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from psycopg import AsyncClientCursor, errors
from psycopg.pq import TransactionStatus

from tabellion.features.profiles.model import Choice, Consent, Details, Profile, Written
from tabellion.features.profiles.sql import Shape, sql_of
from tabellion.features.tables import Attribute, Table
from tabellion.features.tables.filters import Condition
from tabellion.kit.problem import invalid
from tabellion.platform.database.connection import Database, fetch
from tabellion.platform.database.errors import Unavailable

# u31_a4: the unique index of an attribute; fc5_a4: its foreign key; kc5: the composite key of a table.
_CONSTRAINT = re.compile(r"^[uf](c?\d+)_a(\d+)$")
_CHOICE_COLUMNS = 3
# A race is lost to a call that went through, so a third defeat in a row means heavy traffic on one row.
ATTEMPTS = 4


def too_busy(table: Table) -> Unavailable:
    """That others were faster each time."""
    return Unavailable(f"too many calls change this {table.kind.row} at once; repeat in a moment")


class StaleDefinition(Unavailable):
    """The table's structure changed after it was read: read it again and repeat, or have the call repeated."""

    def __init__(self) -> None:
        super().__init__("the table's structure is being changed; repeat the call in a moment")


class Taken(Exception):
    """A unique value belongs to another row, or to one that another call created this very moment.

    `attribute` None: the values of the composite key.
    """

    def __init__(self, attribute: Attribute | None) -> None:
        super().__init__()
        self.attribute = attribute


class Dangling(Exception):
    """A write refers to a row that does not exist; `attribute` is that of the foreign key."""

    def __init__(self, attribute: Attribute) -> None:
        super().__init__()
        self.attribute = attribute


class Held(Exception):
    """Records refer to a row that would be deleted, or to a value of it that would be cleared.

    `constraint` is the foreign key's name in the database.
    """

    def __init__(self, constraint: str) -> None:
        super().__init__()
        self.constraint = constraint


class WriteRow(NamedTuple):
    """What a write statement found and did; the ids are None where nothing of the kind happened."""

    current: bool
    matches: int
    matched_id: int | None
    updated_at: datetime | None
    changed_id: int | None
    created_id: int | None


class DeleteRow(NamedTuple):
    """What a delete statement found and did; `undisturbed` None: there is no row."""

    current: bool
    updated_at: datetime | None
    deleted_id: int | None
    undisturbed: bool | None


async def read(db: Database, table: Table, attribute: Attribute | None, key: Any) -> Profile | None:
    """The profile whose unique attribute (None: id) is `key`."""
    rows = await _run(db, table, sql_of(table).read(attribute), {"key": key})
    return to_profile(table, rows[0]) if rows else None


async def search(
    db: Database, table: Table, condition: Condition, order: str, limit: int, after: Condition | None = None
) -> list[Profile]:
    """Profiles that satisfy a compiled condition, in a compiled order (`filters`); at most `limit`."""
    where, parameters = condition.sql, list(condition.params)
    if after is not None:
        where, parameters = f"({where}) AND ({after.sql})", [*parameters, *after.params]
    text = f"{sql_of(table).select}{where} ORDER BY {order} LIMIT %s"
    rows = await _run(db, table, text.encode(), [*parameters, limit], keyed=False)
    return [to_profile(table, row) for row in rows]


async def count(db: Database, table: Table, condition: Condition) -> int:
    """How many profiles satisfy a compiled condition."""
    rows = await _run(db, table, f"{sql_of(table).count}{condition.sql}".encode(), condition.params, keyed=False)
    return rows[0][0]


async def are_over(db: Database, table: Table, condition: Condition, number: int) -> bool:
    """Whether more profiles than this satisfy a compiled condition; stops counting there."""
    some = f"{sql_of(table).some}{condition.sql} OFFSET %s)"
    rows = await _run(db, table, some.encode(), [*condition.params, number], keyed=False)
    return rows[0][0]


async def find(db: Database, table: Table, matches: Sequence[tuple[Attribute, Any]], *, together: bool = False) -> list[int]:
    """The ids of the rows that own one of these unique values (`together`: all of them)."""
    if not matches:
        return []
    parameters = {f"k{i}": value for i, (_, value) in enumerate(matches)}
    statement = sql_of(table).find([a for a, _ in matches], together=together)
    return [row[0] for row in await _run(db, table, statement, parameters)]


async def write(
    db: Database, table: Table, shape: Shape, parameters: Mapping[str, Any], *, listened: frozenset[str]
) -> WriteRow:
    """Run a write, which tells of itself where somebody listens. Raises `Taken`, `Dangling`, `Held`, `StaleDefinition`."""
    rows = await _run(db, table, sql_of(table).write(shape, listened), parameters)
    return WriteRow(*rows[0])


async def choose(
    db: Database, table: Table, number: int, parameters: Mapping[str, Any], *, listened: frozenset[str]
) -> None:
    """Record one choice of many profiles, which tells of itself where somebody listens. Raises `StaleDefinition`."""
    rows = await _run(db, table, sql_of(table).choose(number, listened), parameters, keyed=False)
    if not rows[0][0]:
        raise StaleDefinition


async def change_known(
    db: Database, table: Table, shape: Shape, parameters: Mapping[str, Any], *, listened: frozenset[str]
) -> Written | None:
    """Take the short way of a write, where it has one.

    None: nothing is changed and nothing is known, ask `write`. Raises as that does.
    """
    statement = sql_of(table).short(shape, listened)
    if statement is None:
        return None
    for found, changed, differs in await _run(db, table, statement, parameters):
        if changed is not None or not differs:
            return Written(found, "UNCHANGED" if changed is None else "UPDATED")
    return None


async def delete(
    db: Database,
    table: Table,
    attribute: Attribute | None,
    parameters: Mapping[str, Any],
    *,
    expected: bool,
    listened: frozenset[str],
) -> DeleteRow:
    """Run a delete, which tells of itself where somebody listens. Raises `Held`, `StaleDefinition` and `Unavailable`."""
    statement = sql_of(table).delete(attribute, expected=expected, listened=listened)
    for _ in range(ATTEMPTS):
        try:
            rows = await _run(db, table, statement, parameters)
        except Dangling as error:
            # A record of the same table refers to this one.
            raise Held(f"f{table.label}_{error.attribute.column}") from error
        row = DeleteRow(*rows[0])
        if row.undisturbed is not False:
            return row
    raise too_busy(table)


async def history(db: Database, table: Table, profile_id: int, limit: int) -> list[Consent]:
    """The consent history of a profile, newest first."""
    parameters = {"profile": profile_id, "limit": limit}
    rows = await _run(db, table, sql_of(table).history(), parameters)
    return [Consent(*row[0:4], details=msgspec.convert(row[4] or {}, Details)) for row in rows]


def to_profile(table: Table, row: tuple[Any, ...]) -> Profile:
    """Cut a row of `TableSql.select` into its parts."""
    first_choice = 3 + len(table.attributes)
    first_membership = first_choice + _CHOICE_COLUMNS * len(table.subscriptions)
    choices = tuple(Choice(*row[i : i + _CHOICE_COLUMNS]) for i in range(first_choice, first_membership, _CHOICE_COLUMNS))
    return Profile(row[0], row[1], row[2], row[3:first_choice], choices, row[first_membership:])


async def _run(
    db: Database,
    table: Table,
    statement: bytes,
    parameters: Mapping[str, Any] | Sequence[Any],
    *,
    keyed: bool = True,
) -> list[tuple[Any, ...]]:
    execute = fetch if keyed else _explore
    try:
        if db.pgconn.transaction_status == TransactionStatus.INTRANS:
            # Inside a transaction (Idempotency-Key) a violation must not spoil the rest: the caller may try again.
            async with db.transaction():
                return await execute(db, statement, parameters)
        return await execute(db, statement, parameters)
    except (errors.UndefinedTable, errors.UndefinedColumn) as error:
        raise StaleDefinition from error
    except errors.ProgramLimitExceeded as error:
        # A row has to fit into a page; some 500 long texts beside each other do not.
        message = f"the {table.kind.row} is larger than a row of the database may be; shorten its texts"
        raise invalid("attributes", "attribute.value", message) from error
    except errors.NumericValueOutOfRange as error:
        # Of the statement by which records follow a change of what they refer to; the database made it, and quotes it. The
        # values of a call fit their columns.
        if "UPDATE ONLY" not in (error.diag.context or ""):
            raise
        message = "records of a custom table refer to this value by an INTEGER, and 32 bits have no room for the new one"
        raise invalid("attributes", "attribute.value", message) from error
    except errors.UniqueViolation as error:
        raise Taken(_attribute_of(table, error)) from error
    except (errors.ForeignKeyViolation, errors.RestrictViolation) as error:
        attribute = _attribute_of(table, error)
        if attribute is None or isinstance(error, errors.RestrictViolation):
            raise Held(error.diag.constraint_name or "") from error
        raise Dangling(attribute) from error


def _attribute_of(table: Table, error: errors.IntegrityError) -> Attribute | None:
    found = _CONSTRAINT.match(error.diag.constraint_name or "")
    if found is None or found[1] != table.label:
        return None
    return next((a for a in table.attributes if a.number == int(found[2])), None)


async def _explore(db: Database, statement: bytes, parameters: Mapping[str, Any] | Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run a statement whose best plan depends on its values: a filter that finds three rows, or a million.

    The values go with the text (escaped by the driver), so it is planned for them, and no room is kept for it.
    """
    cursor = AsyncClientCursor(db)
    await cursor.execute(statement, parameters)
    return await cursor.fetchall()
