"""From what was uploaded to one file of rows: zipped, gzipped or as it is, told apart by its content."""

import os
from pathlib import Path
from typing import BinaryIO

from tabellion.features.bulk.fenced import JobError
from tabellion.platform.files import ArchiveError, Entry, Kind, contents, gunzip, inflate, kind_of

INPUT = "input"
_ROWS = "rows.csv"
MAX_ROWS_BYTES = 4 * 1024**3
_NOISE = "__macosx/"


def rows_file(folder: Path) -> Path:
    """The file of rows, made now unless an earlier attempt has made it.

    Nothing of an archive is used before the whole of it was inflated and its checksum compared. Raises `JobError`
    (import.fileUnreadable, import.noCsv, import.severalCsv).
    """
    source, rows = folder / INPUT, folder / _ROWS
    partial = rows.with_suffix(".part")
    if rows.exists():
        return rows
    try:
        kind = kind_of(source)
        if kind is Kind.PLAIN:
            return source
        try:
            with partial.open("wb") as target:
                _unpack(source, kind, target)
                target.flush()
                os.fsync(target.fileno())
            _refuse_nested(partial)
        except BaseException:
            # It may be what has filled the disk.
            partial.unlink(missing_ok=True)
            raise
    except ArchiveError as error:
        raise JobError("import.fileUnreadable", str(error)) from None
    except FileNotFoundError:
        raise not_there(folder) from None
    partial.replace(rows)
    return rows


def not_there(folder: Path) -> JobError:
    """Why what was uploaded is not in its folder of the spool."""
    if folder.exists():
        return JobError("import.fileUnreadable", "the uploaded file is no longer there; send it again")
    return JobError(
        "import.fileUnreadable",
        "the worker does not find the folder of the uploaded file in its spool. Where several servers share a database, "
        "their operator has to let them share the spool (the folder 'spool' in the data directory); a restored database may "
        "have come without it. Send the file again then",
    )


def forget_rows(folder: Path) -> None:
    """Give the room of the inflated rows back; what was uploaded stays."""
    (folder / _ROWS).unlink(missing_ok=True)


def csv_entries(source: Path) -> list[Entry]:
    """The files in a zip. Raises `ArchiveError`, `JobError` (import.noCsv)."""
    entries = [e for e in contents(source, cap=MAX_ROWS_BYTES) if not e.name.lower().startswith(_NOISE)]
    if not entries:
        raise JobError("import.noCsv", "the zip holds no file")
    return entries


def _refuse_nested(path: Path) -> None:
    if kind_of(path) is not Kind.PLAIN:
        raise ArchiveError("the archive holds another archive; put the CSV file itself into it")


def _unpack(source: Path, kind: Kind, target: BinaryIO) -> None:
    if kind is Kind.GZIP:
        gunzip(source, target, cap=MAX_ROWS_BYTES)
        return
    if kind is Kind.OTHER:
        raise ArchiveError("the file is an archive of a kind that is not read; send a zip or the CSV file itself")
    entries = csv_entries(source)
    if len(entries) > 1:
        raise JobError("import.severalCsv", f"the zip holds {len(entries)} files; one CSV file is wanted")
    inflate(source, entries[0], target)
