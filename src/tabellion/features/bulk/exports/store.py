"""The SQL of exports and their executions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from psycopg.types.json import Jsonb

from tabellion.features.bulk.exports.model import Execution, Export
from tabellion.features.bulk.imports import ENDED, Status
from tabellion.features.licences import Owner
from tabellion.kit.problem import FieldError
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar, scalars

_EXPORT = (
    "SELECT id, name, is_active, definition, location_id, next_run_at, changed_since FROM tabellion.export "
    "WHERE licence_id = %s AND entity_id = %s "
)
_EXECUTION = (
    "SELECT id, licence_id, entity_id, export_id, definition, changed_since, folder, status, attempt, rows_exported, "
    "rows_expected, bytes, sha256, errors, created_at, started_at, ended_at FROM tabellion.export_execution "
)


class Due(NamedTuple):
    """A stored export whose time has come."""

    id: int
    owner: Owner
    definition: dict[str, Any]
    changed_since: datetime | None


async def listed(db: Database, owner: Owner) -> list[Export]:
    """The exports of an entity, by name."""
    cursor = await db.execute(_EXPORT + "ORDER BY tabellion.folded(name)", owner)
    return [Export(*row) for row in await cursor.fetchall()]


async def find(db: Database, owner: Owner, number: int, *, lock: bool = False) -> Export | None:
    """One export; `lock` keeps its row for the transaction."""
    query = _EXPORT + ("AND id = %s FOR UPDATE" if lock else "AND id = %s")
    row = await (await db.execute(query, (*owner, number))).fetchone()
    return None if row is None else Export(*row)


async def find_named(db: Database, owner: Owner, name: str) -> Export | None:
    """One export by its name, whatever the case."""
    row = await (await db.execute(_EXPORT + "AND tabellion.folded(name) = tabellion.folded(%s)", (*owner, name))).fetchone()
    return None if row is None else Export(*row)


async def insert(db: Database, owner: Owner, export: Export, now: datetime) -> int | None:
    """Enter an export; None when the name is used."""
    return await scalar(
        db,
        "INSERT INTO tabellion.export "
        "(licence_id, entity_id, name, is_active, definition, location_id, next_run_at, created_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (entity_id, tabellion.folded(name)) DO NOTHING RETURNING id",
        (*owner, *_values(export), now),
    )


async def update(db: Database, export: Export) -> None:
    """Write an export back. Raises UniqueViolation when the name is used."""
    await db.execute(
        "UPDATE tabellion.export SET name = %s, is_active = %s, definition = %s, location_id = %s, next_run_at = %s, "
        "changed_since = %s WHERE id = %s",
        (*_values(export), export.changed_since, export.id),
    )


async def delete(db: Database, owner: Owner, number: int) -> None:
    """Delete an export. Its executions stay."""
    query = "DELETE FROM tabellion.export WHERE licence_id = %s AND entity_id = %s AND id = %s"
    await db.execute(query, (*owner, number))


async def due(db: Database, now: datetime) -> Due | None:
    """A stored export whose time has come, kept for the transaction; those that others have are passed over."""
    cursor = await db.execute(
        "SELECT id, licence_id, entity_id, definition, changed_since FROM tabellion.export "
        "WHERE is_active AND next_run_at <= %s ORDER BY next_run_at LIMIT 1 FOR UPDATE SKIP LOCKED",
        (now,),
    )
    row = await cursor.fetchone()
    return None if row is None else Due(row[0], Owner(*row[1:3]), *row[3:])


async def set_next_run(db: Database, number: int, moment: datetime | None) -> None:
    """When the schedule starts the next execution."""
    await db.execute("UPDATE tabellion.export SET next_run_at = %s WHERE id = %s", (moment, number))


class NewExecution(NamedTuple):
    """What an execution is made of."""

    owner: Owner
    export_id: int | None
    definition: dict[str, Any]
    changed_since: datetime | None
    folder: str


async def enter(db: Database, new: NewExecution, now: datetime) -> int:
    """Enter an execution; its number."""
    return await scalar(
        db,
        "INSERT INTO tabellion.export_execution "
        "(licence_id, entity_id, export_id, definition, changed_since, folder, created_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id",
        (*new.owner, new.export_id, Jsonb(new.definition), new.changed_since, new.folder, now),
    )


async def execution(db: Database, number: int) -> Execution | None:
    """An execution."""
    row = await (await db.execute(_EXECUTION + "WHERE id = %s", (number,))).fetchone()
    return None if row is None else _execution(row)


async def latest(db: Database, licence_id: int | None, limit: int) -> list[Execution]:
    """Executions of a licence, or of all, the latest first."""
    cursor = await db.execute(
        _EXECUTION + "WHERE licence_id = coalesce(%s::int, licence_id) ORDER BY id DESC LIMIT %s", (licence_id, limit)
    )
    return [_execution(row) for row in await cursor.fetchall()]


async def executions(
    db: Database, owner: Owner, *, export_id: int | None, status: str | None, before: int | None, limit: int
) -> list[Execution]:
    """Executions of an entity, the latest first."""
    cursor = await db.execute(
        _EXECUTION + "WHERE licence_id = %s AND entity_id = %s AND id < coalesce(%s::bigint, 9223372036854775807) "
        "AND (%s::int IS NULL OR export_id = %s::int) AND (%s::text IS NULL OR status = %s::text) ORDER BY id DESC LIMIT %s",
        (*owner, before, export_id, export_id, status, status, limit),
    )
    return [_execution(row) for row in await cursor.fetchall()]


async def begin(db: Database, number: int, now: datetime) -> Execution | None:
    """Take an execution up, for the first time or again, from its beginning; None when it has ended."""
    cursor = await db.execute(
        "UPDATE tabellion.export_execution SET attempt = attempt + 1, started_at = %s::timestamptz, status = 'RUNNING', "
        "rows_exported = 0, errors = '[]' WHERE id = %s AND status <> ALL (%s)",
        (now, number, list(ENDED)),
    )
    return await execution(db, number) if cursor.rowcount else None


async def transfer_failed(db: Database, taken: Execution) -> int | None:
    """Count a time that its file server has failed; how many now, or None when it has ended, or another worker has it."""
    return await scalar(
        db,
        "UPDATE tabellion.export_execution SET failed_transfers = failed_transfers + 1 "
        "WHERE id = %s AND attempt = %s AND ended_at IS NULL RETURNING failed_transfers",
        (taken.id, taken.attempt),
    )


async def advance(db: Database, taken: Execution, rows: int, expected: int) -> bool:
    """So many rows are written; False when it was cancelled, or taken by another worker."""
    cursor = await db.execute(
        "UPDATE tabellion.export_execution SET rows_exported = %s, rows_expected = %s "
        "WHERE id = %s AND attempt = %s AND status = 'RUNNING'",
        (rows, max(rows, expected), taken.id, taken.attempt),
    )
    return cursor.rowcount == 1


async def finish(db: Database, taken: Execution, written: tuple[int, int, str], now: datetime) -> bool:
    """The file is there; `written`: rows, bytes, hash. False as in `advance`."""
    cursor = await db.execute(
        "UPDATE tabellion.export_execution SET status = 'DONE', rows_exported = %s, bytes = %s, sha256 = %s, "
        "ended_at = %s::timestamptz WHERE id = %s AND attempt = %s AND status = 'RUNNING'",
        (*written, now, taken.id, taken.attempt),
    )
    return cursor.rowcount == 1


async def set_changed_since(db: Database, taken: Execution, moment: datetime) -> None:
    """What the next incremental execution begins with; never earlier than before.

    Of an export that was changed since it was taken up, the next one begins with all rows.
    """
    await db.execute(
        "UPDATE tabellion.export e SET changed_since = greatest(e.changed_since, %s::timestamptz) "
        "FROM tabellion.export_execution x WHERE x.id = %s AND e.id = x.export_id AND e.definition = x.definition",
        (moment, taken.id),
    )


async def end(db: Database, number: int, status: Status, now: datetime, why: Sequence[FieldError] = ()) -> bool:
    """End an execution without a file; False when it has ended already."""
    cursor = await db.execute(
        "UPDATE tabellion.export_execution SET status = %s, ended_at = %s::timestamptz, errors = %s "
        "WHERE id = %s AND status <> ALL (%s)",
        (status, now, Jsonb(msgspec.to_builtins(tuple(why))), number, list(ENDED)),
    )
    return cursor.rowcount == 1


async def reopen(db: Database, number: int) -> bool:
    """Let an execution that failed or was cancelled write its file anew; False when it is in another state."""
    cursor = await db.execute(
        "UPDATE tabellion.export_execution SET status = 'QUEUED', errors = '[]', ended_at = NULL "
        "WHERE id = %s AND status IN ('FAILED', 'CANCELLED')",
        (number,),
    )
    return cursor.rowcount == 1


async def purge(db: Database, files_before: datetime, rows_before: datetime) -> set[str]:
    """Forget the executions that ended before a moment; returns the folders whose files are still within their time."""
    await db.execute("DELETE FROM tabellion.export_execution WHERE ended_at < %s", (rows_before,))
    return set(
        await scalars(
            db, "SELECT folder FROM tabellion.export_execution WHERE ended_at IS NULL OR ended_at >= %s", (files_before,)
        )
    )


def _execution(row: tuple[Any, ...]) -> Execution:
    values: list[Any] = [*row[:13], msgspec.convert(row[13], tuple[FieldError, ...]), *row[14:]]
    return Execution(*values)


def _values(export: Export) -> tuple[Any, ...]:
    return (export.name, export.is_active, Jsonb(export.definition), export.location_id, export.next_run_at)
