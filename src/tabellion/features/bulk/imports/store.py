"""The SQL of import jobs."""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from psycopg import sql

from tabellion.features.bulk.imports.model import ENDED, Counters, Job, Order, Place, Status
from tabellion.features.tables import Kind, Table
from tabellion.kit.problem import FieldError
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar, scalars

_COLUMNS = (
    'id, licence_id, entity_id, table_kind, table_id, user_id, "order"::text, folder, status, attempt, line, '
    "bytes_line, bytes_read, bytes, "
    "rows_created, rows_updated, rows_unchanged, rows_in_error, errors::text, created_at, started_at, ended_at, execution_id"
)
_order = msgspec.json.Decoder(Order).decode
_errors = msgspec.json.Decoder(tuple[FieldError, ...]).decode


class PartOf(NamedTuple):
    """The execution of an ETL that an import belongs to, the name of its file, and the file's place in the definition."""

    execution_id: int
    file_name: str
    file_number: int


async def insert(
    db: Database,
    table: Table,
    order: Order,
    folder: str,
    now: datetime,
    *,
    user_id: int | None = None,
    part_of: PartOf | None = None,
) -> int:
    """Enter a job for a table; its number rises from about a million."""
    where = (table.licence_id, table.entity_id, table.kind.subject, table.id)
    return await scalar(
        db,
        "INSERT INTO tabellion.import_job "
        '(licence_id, entity_id, table_kind, table_id, user_id, "order", folder, created_at, '
        "execution_id, file_name, file_number) "
        "VALUES (%s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s, %s, %s) RETURNING id",
        (*where, user_id, msgspec.json.encode(order).decode(), folder, now, *(part_of or (None, None, None))),
    )


async def find(db: Database, job_id: int, licence_id: int | None = None) -> Job | None:
    """A job; where a licence is named, one of its own and not part of an execution."""
    cursor = await db.execute(
        f"SELECT {_COLUMNS} FROM tabellion.import_job WHERE id = %s "  # noqa: S608 - names of our own
        "AND (%s::int IS NULL OR (licence_id = %s::int AND execution_id IS NULL))",
        (job_id, licence_id, licence_id),
    )
    row = await cursor.fetchone()
    return None if row is None else _job(row)


async def listed(db: Database, licence_id: int | None, limit: int) -> list[Job]:
    """The latest jobs, newest first."""
    cursor = await db.execute(
        f"SELECT {_COLUMNS} FROM tabellion.import_job WHERE licence_id = coalesce(%s::int, licence_id) "  # noqa: S608 - names of our own
        "ORDER BY id DESC LIMIT %s",
        (licence_id, limit),
    )
    return [_job(row) for row in await cursor.fetchall()]


_BEGIN = f"""
UPDATE tabellion.import_job SET attempt = attempt + 1, started_at = coalesce(started_at, %(now)s::timestamptz),
    taken_up_at = CASE WHEN status = 'QUEUED' THEN %(now)s::timestamptz ELSE taken_up_at END,
    status = CASE WHEN status = 'QUEUED' THEN 'VALIDATING' ELSE status END, errors = '[]'
WHERE id = %(id)s AND status <> ALL (%(ended)s) RETURNING {_COLUMNS}
"""  # noqa: S608 - names of our own


async def begin(db: Database, job_id: int, now: datetime) -> Job | None:
    """Take the job up, for the first time or again; None when it has ended."""
    cursor = await db.execute(_BEGIN, {"id": job_id, "now": now, "ended": list(ENDED)})
    row = await cursor.fetchone()
    return None if row is None else _job(row)


async def running(db: Database, job: Job, size: int) -> bool:
    """The file was found good and has this many bytes; False when the job was cancelled."""
    cursor = await db.execute(
        "UPDATE tabellion.import_job SET status = 'RUNNING', bytes = %(size)s "
        "WHERE id = %(id)s AND attempt = %(attempt)s AND status IN ('VALIDATING', 'RUNNING')",
        {"id": job.id, "attempt": job.attempt, "size": size},
    )
    return cursor.rowcount == 1


async def advance(db: Database, job: Job, line: int, reached: Place, counters: Counters) -> bool:
    """Everything up to a line is applied, and the file can be read on from a place.

    False when the job was cancelled or taken by another worker: roll back.
    """
    cursor = await db.execute(
        "UPDATE tabellion.import_job SET line = %(line)s, bytes_line = %(bytes_line)s, bytes_read = %(bytes)s, "
        "rows_created = rows_created + %(created)s, rows_updated = rows_updated + %(updated)s, "
        "rows_unchanged = rows_unchanged + %(unchanged)s, rows_in_error = rows_in_error + %(in_error)s "
        "WHERE id = %(id)s AND attempt = %(attempt)s AND status = 'RUNNING'",
        {"id": job.id, "attempt": job.attempt, "line": line, "bytes_line": reached.line, "bytes": reached.position}
        | msgspec.structs.asdict(counters),
    )
    return cursor.rowcount == 1


async def end(db: Database, job_id: int, status: Status, now: datetime, errors: tuple[FieldError, ...] = ()) -> bool:
    """End the job, unless it has ended already (then False)."""
    cursor = await db.execute(
        "UPDATE tabellion.import_job SET status = %(status)s, ended_at = %(now)s::timestamptz, errors = %(errors)s::jsonb, "
        "started_at = coalesce(started_at, %(now)s::timestamptz) WHERE id = %(id)s AND status <> ALL (%(ended)s)",
        {
            "id": job_id,
            "status": status,
            "now": now,
            "errors": msgspec.json.encode(errors).decode(),
            "ended": list(ENDED),
        },
    )
    return cursor.rowcount == 1


async def reopen(db: Database, job_id: int) -> bool:
    """Let a job that failed or was cancelled go on where it was; False when it is in another state.

    When it was at work stays known: others may be between then and the next time, which may not come.
    """
    cursor = await db.execute(
        "UPDATE tabellion.import_job SET status = 'QUEUED', errors = '[]', ended_at = NULL, taken_up_at = 'infinity', "
        "tries = tries + tstzmultirange(tstzrange(least(coalesce(taken_up_at, started_at), ended_at), ended_at, '[]')) "
        "WHERE id = %s AND status IN ('FAILED', 'CANCELLED') AND execution_id IS NULL",
        (job_id,),
    )
    return cursor.rowcount == 1


async def add_part(db: Database, job_id: int, kind: str, line: int, content: bytes) -> None:
    """Keep rows of the error file or the result file until the job ends."""
    await db.execute("INSERT INTO tabellion.import_part VALUES (%s, %s, %s, %s)", (job_id, kind, line, content))


async def parts(db: Database, job_id: int, kind: str) -> AsyncGenerator[bytes]:
    """What was kept, in the file's order, one by one."""
    line = -1
    while True:
        cursor = await db.execute(
            "SELECT line, content FROM tabellion.import_part WHERE job_id = %s AND kind = %s AND line > %s "
            "ORDER BY line LIMIT 1",
            (job_id, kind, line),
        )
        row = await cursor.fetchone()
        if row is None:
            return
        line = row[0]
        yield row[1]


async def drop_parts(db: Database, job_id: int) -> None:
    """What was kept is in the files now."""
    await db.execute("DELETE FROM tabellion.import_part WHERE job_id = %s", (job_id,))


async def catalogue_version(db: Database, kind: Kind, table_id: int) -> int | None:
    """The version of the licence's catalogue; the table's structure stays until the transaction ends. None: it is gone."""
    query = sql.SQL(
        "SELECT l.catalogue_version FROM tabellion.{} t JOIN tabellion.licence l ON l.id = t.licence_id "
        "WHERE t.id = %s FOR SHARE OF t"
    )
    return await scalar(db, query.format(sql.Identifier(kind.catalogue)), (table_id,))


async def purge(db: Database, before: datetime) -> None:
    """Forget the jobs that ended before a moment; those of executions go with them."""
    await db.execute("DELETE FROM tabellion.import_job WHERE ended_at < %s AND execution_id IS NULL", (before,))


async def folders(db: Database) -> set[str]:
    """The folders of all jobs that have one of their own."""
    return set(await scalars(db, "SELECT folder FROM tabellion.import_job WHERE execution_id IS NULL"))


def _job(row: tuple[Any, ...]) -> Job:
    place, counters = Place(*row[11:13]), Counters(*row[14:18])
    values: list[Any] = [*row[:6], _order(row[6]), *row[7:11], place, row[13], counters, _errors(row[18]), *row[19:]]
    return Job(*values)
