"""Files of ended bulk calls in which a person is named: they are deleted, as a whole. Also what was kept of rows of such."""

import gzip
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Final, NamedTuple, cast

from tabellion.kit.traces import CONTEXT, Finder, Traces
from tabellion.platform import files
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalars

_PIECE_BYTES: Final = 1024 * 1024
# More than an address, each octet of it written as three characters of two octets, with what stands around it.
_OVERLAP_BYTES: Final = 4096
# An archive may be damaged, encrypted, of a kind that nobody knows here, or have names and numbers that are none.
_UNREADABLE: Final = (
    zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, RuntimeError, ValueError, struct.error, OverflowError,
)  # fmt: skip
# Those of executions of ETLs are imports with folders of their own, within or beside that of the execution.
_FOLDERS: Final = """
SELECT DISTINCT folder, ended_at IS NULL FROM (
    SELECT folder, ended_at, licence_id, created_at, id <= %(imports)s AS known FROM tabellion.import_job
    UNION ALL SELECT folder, ended_at, licence_id, created_at, id <= %(etls)s FROM tabellion.etl_execution
    UNION ALL SELECT folder, ended_at, licence_id, created_at, id <= %(exports)s FROM tabellion.export_execution
) f WHERE licence_id = %(licence)s AND (known OR created_at <= %(until)s)
"""
_EXPORTS: Final = """
SELECT folder, ended_at IS NULL FROM tabellion.export_execution
WHERE licence_id = %(licence)s AND created_at > %(since)s AND created_at <= %(until)s
"""
# Those that do not show where mails go to: of a profile table, if they are of some attributes only. Of any other table all.
_WITHOUT_ADDRESS: Final = """
SELECT x.folder FROM tabellion.export_execution x
JOIN unnest(%(tables)s::text[], %(emails)s::text[]) AS t (id, email) ON x.definition ->> 'tableId' = t.id
WHERE x.licence_id = %(licence)s AND x.created_at > coalesce(%(since)s::timestamptz, '-infinity')
  AND (x.created_at <= %(until)s OR x.id <= %(exports)s) AND x.ended_at IS NOT NULL
  AND CASE WHEN t.email IS NULL THEN true WHEN jsonb_typeof(x.definition -> 'attributes') = 'array' THEN NOT EXISTS (
      SELECT FROM jsonb_array_elements_text(x.definition -> 'attributes') AS a (name)
      WHERE tabellion.folded(a.name) = tabellion.folded(t.email)) ELSE false END
"""
_IMPORTS: Final = """
SELECT j.table_id, lower(t.try), upper(t.try)
FROM tabellion.import_job j LEFT JOIN tabellion.etl_execution e ON e.id = j.execution_id
CROSS JOIN LATERAL (
    SELECT unnest(j.tries) UNION ALL
    SELECT tstzrange(least(coalesce(j.taken_up_at, j.started_at, j.created_at), j.ended_at), j.ended_at, '[]')) AS t (try)
WHERE j.licence_id = %(licence)s AND j.table_kind = 'PROFILE_TABLE' AND j.ended_at > %(since)s AND upper(t.try) > %(since)s
  AND (coalesce(e.created_at, j.created_at) <= %(until)s
       OR CASE WHEN e.id IS NULL THEN j.id <= %(imports)s ELSE e.id <= %(etls)s END)
"""
_PARTS: Final = """
SELECT p.job_id, p.kind::text, p.line, p.content FROM tabellion.import_part p
JOIN tabellion.import_job j ON j.id = p.job_id WHERE j.licence_id = %s AND j.ended_at IS NOT NULL
"""
# What was wrong with a file may be its first line, where that is a row: the names of its columns are then somebody's values.
_ERRORS: Final = """
UPDATE tabellion.{table} SET errors = (
    SELECT jsonb_agg(CASE WHEN lower(e.said::text) !~ %(pattern)s THEN e.said
        ELSE jsonb_build_object('field', '', 'code', e.said -> 'code', 'message', %(instead)s::text) END ORDER BY e.place)
    FROM jsonb_array_elements(errors) WITH ORDINALITY AS e (said, place))
WHERE licence_id = %(licence)s AND (created_at <= %(until)s OR id <= {last}) AND ended_at IS NOT NULL
  AND lower(errors::text) LIKE ANY (%(likes)s::text[]) AND lower(errors::text) ~ %(pattern)s
"""
_FILTERS: Final = """
UPDATE tabellion.export_execution SET definition = jsonb_set(definition, '{filter}', to_jsonb(%(instead)s::text))
WHERE licence_id = %(licence)s AND (created_at <= %(until)s OR id <= %(exports)s) AND ended_at IS NOT NULL
  AND lower(definition ->> 'filter') LIKE ANY (%(likes)s::text[]) AND lower(definition ->> 'filter') ~ %(pattern)s
"""
_NAMES: Final = """
UPDATE tabellion.import_job SET file_name = %(instead)s
WHERE licence_id = %(licence)s AND (created_at <= %(until)s OR id <= %(imports)s) AND ended_at IS NOT NULL
  AND lower(file_name) ~ %(pattern)s
"""
_UPLOADS: Final = """
UPDATE tabellion.etl_execution SET uploads = (
    SELECT jsonb_agg(CASE WHEN lower(u.sent ->> 'name') !~ %(pattern)s THEN u.sent
        ELSE jsonb_set(u.sent, '{name}', to_jsonb(%(instead)s::text)) END ORDER BY u.place)
    FROM jsonb_array_elements(uploads) WITH ORDINALITY AS u (sent, place))
WHERE licence_id = %(licence)s AND (created_at <= %(until)s OR id <= %(etls)s) AND ended_at IS NOT NULL
  AND lower(uploads::text) LIKE ANY (%(likes)s::text[]) AND lower(uploads::text) ~ %(pattern)s
"""
# It is no filter: who tries the export again is told so, and does not get everybody.
_INSTEAD = "it named somebody who was erased"


class Accepted(NamedTuple):
    """Bulk calls up to a moment; and up to these ids, whatever moment the machine has given them that accepted them."""

    until: datetime
    imports: int = 0
    etls: int = 0
    exports: int = 0


class Span(NamedTuple):
    """From when until when something was at work."""

    begin: datetime
    end: datetime


class Folders(NamedTuple):
    """Folders in the spool: of bulk calls that have ended, and of others."""

    ended: list[str]
    others: list[str]


async def folders_of(db: Database, licence_id: int, accepted: Accepted) -> Folders:
    """Those of a licence's bulk calls."""
    return _folders(await (await db.execute(_FOLDERS, {"licence": licence_id} | accepted._asdict())).fetchall())


async def exports_between(db: Database, licence_id: int, since: datetime, until: datetime) -> Folders:
    """Those of a licence's exports that were accepted after a moment, until another one."""
    values = {"licence": licence_id, "since": since, "until": until}
    return _folders(await (await db.execute(_EXPORTS, values)).fetchall())


def _folders(rows: Sequence[tuple[str, bool]]) -> Folders:
    others = sorted(folder for folder, open_ in rows if open_)
    return Folders(sorted({folder for folder, open_ in rows if not open_} - set(others)), others)


async def exports_without_address(
    db: Database, licence_id: int, emails: Mapping[str, str | None], since: datetime | None, accepted: Accepted
) -> list[str]:
    """Folders of ended exports that do not show addresses, accepted after a moment (None: at any time).

    `emails`: the attributes that addresses are in, by the ids of tables on the wire; None: the table has none.
    """
    values = {"licence": licence_id, "tables": [*emails], "emails": [*emails.values()], "since": since} | accepted._asdict()
    return await scalars(db, _WITHOUT_ADDRESS, values)


async def imports_since(db: Database, licence_id: int, since: datetime, accepted: Accepted) -> dict[int, list[Span]]:
    """When imports were at work that ended after a moment and had been accepted by then, with their ETL.

    By the id of the profile table, into which no two are at work at once.
    """
    spans: dict[int, list[Span]] = {}
    values = {"licence": licence_id, "since": since} | accepted._asdict()
    for table_id, *span in await (await db.execute(_IMPORTS, values)).fetchall():
        spans.setdefault(table_id, []).append(Span(*span))
    return spans


def forget_files(spool: Path, folders: Sequence[str], traces: Traces) -> int:
    """Delete the files in which a person is named; how many. Those that are gone already are no matter. Raises `OSError`."""
    names_them = traces.finder()
    return _delete(spool, (path for path in _files_in(spool, folders) if is_in_file(path, names_them)))


def forget_all_files(spool: Path, folders: Sequence[str]) -> int:
    """Delete the files of folders; how many. Those that are gone already are no matter. Raises `OSError`."""
    return _delete(spool, _files_in(spool, folders))


def _files_in(spool: Path, folders: Sequence[str]) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in sorted((spool / folder).rglob("*")) if path.is_file())


def _delete(spool: Path, paths: Iterable[Path]) -> int:
    gone = 0
    for path in paths:
        with files.deleting(spool):
            path.unlink(missing_ok=True)
        gone += 1
    return gone


async def forget_parts(db: Database, licence_id: int, traces: Traces) -> int:
    """Delete what was kept of rows in which a person is named, of imports that ended before their time; how many blocks.

    In the caller's transaction.
    """
    names_them = traces.finder()
    async with db.cursor("parts") as cursor:
        await cursor.execute(_PARTS, (licence_id,))
        found = [row[:3] async for row in cursor if names_them(zlib.decompress(row[3]))]
    for key in found:
        await db.execute('DELETE FROM tabellion.import_part WHERE job_id = %s AND kind = %s::"char" AND line = %s', key)
    return len(found)


async def forget_records(db: Database, licence_id: int, traces: Traces, accepted: Accepted) -> None:
    """Take out of records of bulk calls that have ended what names a person.

    What was wrong with a file, the names of those that were sent to ETLs, and the filter of an export. In the caller's
    transaction.
    """
    values = {
        "licence": licence_id,
        "likes": traces.likes,
        "pattern": traces.pattern,
        "instead": _INSTEAD,
    } | accepted._asdict()
    for table, last in (("import_job", "imports"), ("etl_execution", "etls"), ("export_execution", "exports")):
        await db.execute(_ERRORS.replace("{table}", table).replace("{last}", f"%({last})s").encode(), values)
    for query in (_NAMES, _UPLOADS, _FILTERS):
        await db.execute(query, values)


def is_in_file(path: Path, is_in: Finder) -> bool:
    """Whether something is in a part of a file: as it is, compressed, or in an archive. Raises `OSError` of the disk."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return any(_holds(each, is_in) for each in _entries(archive))
        with path.open("rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            return _holds(cast("IO[bytes]", gzip.GzipFile(fileobj=plain)) if packed else plain, is_in)
    except FileNotFoundError:
        return False
    except OSError as error:
        # Decompressors have no number for what is wrong.
        if error.errno is not None:
            raise
        return True
    except _UNREADABLE:
        # What cannot be read may hold anybody.
        return True


def _entries(archive: zipfile.ZipFile) -> Iterator[IO[bytes]]:
    for entry in archive.infolist():
        if not entry.is_dir():
            with archive.open(entry) as content:
                yield content


def _holds(content: IO[bytes], is_in: Finder) -> bool:
    """Part by part; what begins near the end of one is looked at with the next, where what stands around it is known."""
    whole, begin = b"", 0
    while piece := content.read(_PIECE_BYTES):
        whole += piece
        # Even, as a letter may have two octets.
        end = max(begin, (len(whole) - _OVERLAP_BYTES) // 2 * 2)
        if is_in(whole, begin, end):
            return True
        before = max(end - CONTEXT, 0)
        whole, begin = whole[before:], end - before
    return is_in(whole, begin)
