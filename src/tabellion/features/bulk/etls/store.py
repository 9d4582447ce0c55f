"""The SQL of ETLs and their executions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg.types.json import Jsonb

from tabellion.features.bulk.etls.model import Due, Etl, Execution, NewExecution, Part, Uploaded
from tabellion.features.bulk.imports import ENDED, Counters, Status
from tabellion.features.licences import Owner
from tabellion.kit.problem import FieldError
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar, scalars

_ETL = (
    "SELECT id, name, is_active, definition, location_id, next_run_at, looked_at, look_error FROM tabellion.etl "
    "WHERE licence_id = %s AND entity_id = %s "
)
_EXECUTION = (
    "SELECT id, licence_id, entity_id, etl_id, user_id, definition, uploads, folder, status, attempt, errors, "
    "created_at, started_at, ended_at, location_id FROM tabellion.etl_execution "
)
_PARTS = (
    "SELECT execution_id, id, file_name, file_number, status, folder, "
    "rows_created, rows_updated, rows_unchanged, rows_in_error, "
    "CASE WHEN status IN ('DONE', 'DONE_WITH_ERRORS') THEN 100 "
    "WHEN bytes = 0 THEN 0 ELSE least(bytes_read * 100 / bytes, 99) END, errors "
    "FROM tabellion.import_job WHERE execution_id = ANY (%s) ORDER BY id"
)
_faults = tuple[FieldError, ...]


async def listed(db: Database, owner: Owner) -> list[Etl]:
    """The ETLs of an entity, by name."""
    cursor = await db.execute(_ETL + "ORDER BY tabellion.folded(name)", owner)
    return [Etl(*row) for row in await cursor.fetchall()]


async def find(db: Database, owner: Owner, etl_id: int, *, lock: bool = False) -> Etl | None:
    """One ETL; `lock` keeps its row for the transaction."""
    query = _ETL + ("AND id = %s FOR UPDATE" if lock else "AND id = %s")
    row = await (await db.execute(query, (*owner, etl_id))).fetchone()
    return None if row is None else Etl(*row)


async def find_named(db: Database, owner: Owner, name: str) -> Etl | None:
    """One ETL by its name, whatever the case."""
    query = _ETL + "AND tabellion.folded(name) = tabellion.folded(%s)"
    row = await (await db.execute(query, (*owner, name))).fetchone()
    return None if row is None else Etl(*row)


async def insert(db: Database, owner: Owner, etl: Etl, now: datetime) -> int | None:
    """Enter an ETL; None when the name is used."""
    return await scalar(
        db,
        "INSERT INTO tabellion.etl "
        "(licence_id, entity_id, name, is_active, definition, location_id, next_run_at, created_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (entity_id, tabellion.folded(name)) DO NOTHING RETURNING id",
        (*owner, *_values(etl), now),
    )


async def update(db: Database, etl: Etl) -> None:
    """Write an ETL back. Raises UniqueViolation when the name is used."""
    await db.execute(
        "UPDATE tabellion.etl SET name = %s, is_active = %s, definition = %s, location_id = %s, next_run_at = %s, "
        "look_error = NULL WHERE id = %s",
        (*_values(etl), etl.id),
    )


async def delete(db: Database, owner: Owner, etl_id: int) -> None:
    """Delete an ETL. Its executions stay."""
    query = "DELETE FROM tabellion.etl WHERE licence_id = %s AND entity_id = %s AND id = %s"
    await db.execute(query, (*owner, etl_id))


async def enter(db: Database, new: NewExecution, now: datetime) -> int:
    """Enter an execution; its number."""
    return await scalar(
        db,
        "INSERT INTO tabellion.etl_execution "
        "(licence_id, entity_id, user_id, etl_id, definition, uploads, folder, location_id, created_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
        (*new[:4], Jsonb(new.definition), Jsonb(msgspec.to_builtins(new.uploads)), new.folder, new.location_id, now),
    )


async def execution(db: Database, number: int) -> Execution | None:
    """An execution with its parts."""
    row = await (await db.execute(_EXECUTION + "WHERE id = %s", (number,))).fetchone()
    return None if row is None else (await _with_parts(db, [row]))[0]


async def latest(db: Database, licence_id: int | None, limit: int) -> list[Execution]:
    """Executions of a licence, or of all, the latest first."""
    cursor = await db.execute(
        _EXECUTION + "WHERE licence_id = coalesce(%s::int, licence_id) ORDER BY id DESC LIMIT %s", (licence_id, limit)
    )
    return await _with_parts(db, await cursor.fetchall())


async def executions(
    db: Database, owner: Owner, *, etl_id: int | None, status: str | None, before: int | None, limit: int
) -> list[Execution]:
    """Executions of an entity, the latest first."""
    cursor = await db.execute(
        _EXECUTION + "WHERE licence_id = %s AND entity_id = %s AND id < coalesce(%s::bigint, 9223372036854775807) "
        "AND (%s::int IS NULL OR etl_id = %s::int) AND (%s::text IS NULL OR status = %s::text) ORDER BY id DESC LIMIT %s",
        (*owner, before, etl_id, etl_id, status, status, limit),
    )
    return await _with_parts(db, await cursor.fetchall())


async def begin(db: Database, number: int, now: datetime) -> Execution | None:
    """Take an execution up, for the first time or again; None when it has ended."""
    cursor = await db.execute(
        "UPDATE tabellion.etl_execution SET attempt = attempt + 1, started_at = coalesce(started_at, %s::timestamptz), "
        "status = CASE WHEN status = 'QUEUED' THEN 'VALIDATING' ELSE status END, errors = '[]' "
        "WHERE id = %s AND status <> ALL (%s)",
        (now, number, list(ENDED)),
    )
    return await execution(db, number) if cursor.rowcount else None


async def transfer_failed(db: Database, taken: Execution) -> int | None:
    """Count a time that its file server has failed; how many now, or None when it has ended, or another worker has it."""
    return await scalar(
        db,
        "UPDATE tabellion.etl_execution SET failed_transfers = failed_transfers + 1 "
        "WHERE id = %s AND attempt = %s AND ended_at IS NULL RETURNING failed_transfers",
        (taken.id, taken.attempt),
    )


async def keep_uploads(db: Database, taken: Execution, uploads: Sequence[Uploaded]) -> bool:
    """Say which files were fetched; False when it was cancelled, or taken by another worker."""
    cursor = await db.execute(
        "UPDATE tabellion.etl_execution SET uploads = %s WHERE id = %s AND attempt = %s AND status = 'VALIDATING'",
        (Jsonb(msgspec.to_builtins(tuple(uploads))), taken.id, taken.attempt),
    )
    return cursor.rowcount == 1


async def running(db: Database, taken: Execution) -> bool:
    """Its files were found good; False when it was cancelled, or taken by another worker."""
    cursor = await db.execute(
        "UPDATE tabellion.etl_execution SET status = 'RUNNING' WHERE id = %s AND attempt = %s AND status = 'VALIDATING'",
        (taken.id, taken.attempt),
    )
    return cursor.rowcount == 1


async def end(db: Database, number: int, status: Status, now: datetime, why: Sequence[FieldError] = ()) -> bool:
    """End an execution with what has not ended of its parts; False when it has ended already."""
    cursor = await db.execute(
        "UPDATE tabellion.etl_execution SET status = %s, ended_at = %s::timestamptz, errors = %s, "
        "started_at = coalesce(started_at, %s::timestamptz) WHERE id = %s AND status <> ALL (%s)",
        (status, now, Jsonb(msgspec.to_builtins(tuple(why))), now, number, list(ENDED)),
    )
    await db.execute(
        "UPDATE tabellion.import_job SET status = 'CANCELLED', ended_at = %s::timestamptz "
        "WHERE execution_id = %s AND status <> ALL (%s)",
        (now, number, list(ENDED)),
    )
    return cursor.rowcount == 1


async def due(db: Database, now: datetime) -> Due | None:
    """An ETL that is to be looked after, kept for the transaction; those that others have are passed over."""
    cursor = await db.execute(
        "SELECT id, licence_id, entity_id, definition, location_id FROM tabellion.etl "
        "WHERE is_active AND next_run_at <= %s AND location_id IS NOT NULL "
        "ORDER BY next_run_at LIMIT 1 FOR UPDATE SKIP LOCKED",
        (now,),
    )
    row = await cursor.fetchone()
    return None if row is None else Due(*row)


async def waiting(db: Database, etl_id: int) -> Due | None:
    """An ETL that is switched on and gets its files from a location; None: it is not, or not any more."""
    cursor = await db.execute(
        "SELECT id, licence_id, entity_id, definition, location_id FROM tabellion.etl "
        "WHERE id = %s AND is_active AND location_id IS NOT NULL",
        (etl_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else Due(*row)


async def set_next_run(db: Database, etl_id: int, moment: datetime | None) -> None:
    """When it is looked after again."""
    await db.execute("UPDATE tabellion.etl SET next_run_at = %s WHERE id = %s", (moment, etl_id))


async def looked(db: Database, etl_id: int, now: datetime, error: str | None) -> None:
    """What came of a look into its location."""
    await db.execute("UPDATE tabellion.etl SET looked_at = %s, look_error = %s WHERE id = %s", (now, error, etl_id))


async def is_busy(db: Database, etl_id: int) -> bool:
    """Whether an execution of the ETL has not ended."""
    query = "SELECT 1 FROM tabellion.etl_execution WHERE etl_id = %s AND ended_at IS NULL LIMIT 1"
    return await (await db.execute(query, (etl_id,))).fetchone() is not None


async def taken_files(db: Database, etl_id: int, *, but_failed: bool) -> dict[str, tuple[int, str]]:
    """The files that executions have taken: size and stamp by name; `but_failed`: those of failed ones left out."""
    cursor = await db.execute(
        "SELECT f.name, f.size, f.stamp FROM tabellion.etl_source_file f "
        "LEFT JOIN tabellion.etl_execution x ON x.id = f.execution_id "
        "WHERE f.etl_id = %s AND NOT (%s AND coalesce(x.status IN ('FAILED', 'CANCELLED'), false))",
        (etl_id, but_failed),
    )
    return {row[0]: (row[1], row[2]) for row in await cursor.fetchall()}


async def files_of(db: Database, execution_id: int) -> dict[str, tuple[int, str]]:
    """The files that an execution has taken: size and stamp by name."""
    query = "SELECT name, size, stamp FROM tabellion.etl_source_file WHERE execution_id = %s"
    return {row[0]: (row[1], row[2]) for row in await (await db.execute(query, (execution_id,))).fetchall()}


async def take_files(db: Database, etl_id: int, execution_id: int, files: Sequence[tuple[str, int, str]]) -> None:
    """Enter files (name, size, stamp) as taken by an execution. Of an ETL that was deleted nobody asks what it has taken."""
    async with db.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO tabellion.etl_source_file (etl_id, name, size, stamp, execution_id) "
            "SELECT id, %s, %s, %s, %s FROM tabellion.etl WHERE id = %s FOR KEY SHARE ON CONFLICT (etl_id, name) DO UPDATE "
            "SET size = EXCLUDED.size, stamp = EXCLUDED.stamp, execution_id = EXCLUDED.execution_id",
            [(*file, execution_id, etl_id) for file in files],
        )


async def forget_file(db: Database, execution_id: int, name: str) -> None:
    """A file of an execution is no longer in its location."""
    query = "DELETE FROM tabellion.etl_source_file WHERE execution_id = %s AND name = %s"
    await db.execute(query, (execution_id, name))


async def forget_gone(db: Database, etl_id: int, names: Sequence[str]) -> None:
    """Forget the files of an ETL that are not among those in its location any more."""
    query = "DELETE FROM tabellion.etl_source_file WHERE etl_id = %s AND name <> ALL (%s)"
    await db.execute(query, (etl_id, list(names)))


async def max_file_bytes(db: Database, licence_id: int) -> int:
    """The limit of the licence for the file of a bulk call."""
    query = "SELECT max_bulk_file_bytes FROM tabellion.licence WHERE id = %s"
    return await scalar(db, query, (licence_id,)) or 0


async def purge(db: Database, before: datetime) -> None:
    """Forget the executions that ended before a moment."""
    await db.execute("DELETE FROM tabellion.etl_execution WHERE ended_at < %s", (before,))


async def folders(db: Database) -> set[str]:
    """The folders of all executions."""
    return set(await scalars(db, "SELECT folder FROM tabellion.etl_execution"))


async def _with_parts(db: Database, rows: Sequence[tuple[Any, ...]]) -> list[Execution]:
    found: dict[int, list[Part]] = {row[0]: [] for row in rows}
    for row in await (await db.execute(_PARTS, (list(found),))).fetchall():
        values: list[Any] = [*row[1:6], Counters(*row[6:10]), row[10], msgspec.convert(row[11], _faults)]
        found[row[0]].append(Part(*values))
    return [_execution(row, tuple(found[row[0]])) for row in rows]


def _execution(row: tuple[Any, ...], parts: tuple[Part, ...]) -> Execution:
    uploads, faults = msgspec.convert(row[6], tuple[Uploaded, ...]), msgspec.convert(row[10], _faults)
    values: list[Any] = [*row[:6], uploads, *row[7:10], faults, *row[11:], parts]
    return Execution(*values)


def _values(etl: Etl) -> tuple[Any, ...]:
    return (etl.name, etl.is_active, Jsonb(etl.definition), etl.location_id, etl.next_run_at)
