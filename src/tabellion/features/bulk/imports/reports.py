"""The error file and the result file: rows kept block by block while the job runs, zipped when it ends.

Both have the columns of the input, its separator and its encoding.
"""

import asyncio
import csv
import io
import os
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tabellion.features.bulk.imports import store
from tabellion.features.bulk.imports.model import Job, Order, Outcome, Rejected
from tabellion.features.bulk.imports.source import charset_of
from tabellion.kit.charsets import UTF_16
from tabellion.platform.database.connection import Database

# The library that reads and checks files takes 40 MB, which processes that hand reports out do without.
if TYPE_CHECKING:
    from tabellion.features.bulk.imports.applying import Applied
    from tabellion.features.bulk.imports.rows import Block

ERRORS, RESULT = "E", "R"
NAMES = {ERRORS: "errors", RESULT: "result"}
WHY_MISSING = "it was not made, is over 30 days old, or named somebody who was erased"
_EXTRA = {
    ERRORS: ("lineNumber", "errorCode", "errorColumn", "errorMessage"),
    RESULT: ("lineNumber", "operation", "id"),
}


def error_part(order: Order, rejected: Iterable[Rejected]) -> bytes:
    """Rejected rows as they were read, with line, code and column of the first mistake and the words of all."""
    return _packed(
        order,
        (
            [
                *row.cells,
                row.line,
                row.faults[0].code,
                row.faults[0].column,
                "; ".join(fault.message for fault in row.faults),
            ]
            for row in rejected
        ),
    )


def result_part(order: Order, block: "Block", applied: "Applied") -> bytes:
    """Every row of a block, and what became of it."""
    done = {line: (outcome.value, id_) for line, outcome, id_ in applied.outcomes}
    cells = dict(zip(block.lines.to_list(), block.cells.iter_rows(), strict=True)) | {
        row.line: row.cells for row in applied.rejected
    }
    nothing = (Outcome.ERROR.value, "")
    return _packed(order, ([*cells[line], line, *done.get(line, nothing)] for line in sorted(cells)))


async def write(db: Database, job: Job, folder: Path, headers: Sequence[str]) -> None:
    """Make the files that the job owes from what was kept; what stands there from an earlier attempt is replaced."""
    for kind in (ERRORS, RESULT) if job.order.result_file else (ERRORS,):
        path = path_of(folder, kind)
        writer = _Zip(path.with_suffix(".part"), f"{NAMES[kind]}-{job.id}.csv", job.order)
        try:
            await asyncio.to_thread(writer.add, _text(job.order, [[*headers, *_EXTRA[kind]]]))
            async for part in store.parts(db, job.id, kind):
                await asyncio.to_thread(writer.add_packed, part)
        finally:
            await asyncio.to_thread(writer.close)
        path.with_suffix(".part").replace(path)


def path_of(folder: Path, kind: str) -> Path:
    """Where a job's file of a kind is, once it is made."""
    return folder / f"{NAMES[kind]}.zip"


class _Zip:
    """A zip with one CSV file, written piece by piece."""

    def __init__(self, path: Path, name: str, order: Order) -> None:
        self._file = path.open("wb")
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, compresslevel=3)
        self._entry = self._zip.open(name, "w", force_zip64=True)
        charset = charset_of(order.encoding)
        # The mark is written once, at the beginning.
        self._encoding = "utf-16-le" if charset == UTF_16 else charset
        if charset == UTF_16:
            self._entry.write("\ufeff".encode("utf-16-le"))

    def add(self, text: str) -> None:
        self._entry.write(text.encode(self._encoding, errors="replace"))

    def add_packed(self, part: bytes) -> None:
        self.add(zlib.decompress(part).decode())

    def close(self) -> None:
        self._entry.close()
        self._zip.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def _packed(order: Order, rows: Iterable[Sequence[object]]) -> bytes:
    return zlib.compress(_text(order, rows).encode("utf-8", errors="replace"), 3)


def _text(order: Order, rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    escape = order.escape
    csv.writer(
        out, delimiter=order.separator, quotechar=order.quote, escapechar=escape, doublequote=escape is None
    ).writerows(rows)
    return out.getvalue()
