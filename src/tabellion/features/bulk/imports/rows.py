"""Rows of a CSV file with their lines, in blocks of constant size (RFC 4180; contract, section 15.2)."""

import codecs
import csv
import io
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO, NamedTuple

from tabellion.features.bulk.imports.model import Fault, JobError, Rejected

BLOCK_ROWS = 20_000
# A stray quote swallows what follows; a cell is not larger than the longest text an attribute takes, many times over.
MAX_CELL_CHARACTERS = 1_000_000
_ENCODINGS = {
    "utf-8": "utf-8-sig",
    "utf8": "utf-8-sig",
    "utf-16": "utf-16",
    "iso-8859-1": "latin-1",
    "iso-8859-15": "iso8859-15",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
}
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Block(NamedTuple):
    """Rows in file order, with as many cells as the header has. `end` is the line of the last row's end.

    `rows` and `lines` (where each row begins) belong together; `rejected` are the rows that could not be read.
    """

    rows: list[list[str]]
    lines: list[int]
    rejected: list[Rejected]
    end: int


class Reader:
    """The rows of one open file. Raises `JobError` (import.encoding, import.header, import.quote)."""

    def __init__(self, file: BinaryIO, *, encoding: str, separator: str, quote: str) -> None:
        self._raw = file
        self._separator = separator
        # A row with bytes that the encoding does not have is refused, not the file: they are carried along as surrogates.
        text = io.TextIOWrapper(file, encoding=_codec(file, encoding), errors="surrogateescape", newline="")
        csv.field_size_limit(MAX_CELL_CHARACTERS)
        self._rows = csv.reader(text, delimiter=separator, quotechar=quote, strict=True)
        self.headers = self._header()

    @property
    def position(self) -> int:
        """About how many bytes have been read."""
        return self._raw.tell()

    def skip_to(self, line: int) -> None:
        """Go on after a row that ended at this line."""
        while self._rows.line_num < line:
            if self._next() is None:
                return

    def blocks(self, size: int = BLOCK_ROWS) -> Iterator[Block]:
        """The rows that are left."""
        width = len(self.headers)
        while True:
            rows: list[list[str]] = []
            lines: list[int] = []
            rejected: list[Rejected] = []
            line = self._rows.line_num
            for row in islice(self._all(), size):
                if len(row) == width:
                    rows.append(row)
                    lines.append(line + 1)
                elif row:
                    rejected.append(_wrong_width(line + 1, row, width))
                line = self._rows.line_num
            if not rows and not rejected:
                return
            _set_undecodable_apart(rows, lines, rejected)
            yield Block(rows, lines, rejected, line)

    def _all(self) -> Iterator[list[str]]:
        while (row := self._next()) is not None:
            yield row

    def _next(self) -> list[str] | None:
        line = self._rows.line_num + 1
        try:
            return next(self._rows, None)
        except csv.Error as error:
            if "field larger" in str(error) or "unexpected end" in str(error):
                message = f"a quote that opens in line {line} is not closed"
            else:
                message = (
                    f"line {self._rows.line_num}: after a closing quote only '{self._separator}' or the line's end may come"
                )
            raise JobError("import.quote", message) from None
        except UnicodeError:
            raise JobError("import.encoding", f"line {line} is not in the encoding that was named") from None

    def _header(self) -> tuple[str, ...]:
        row = self._next()
        if not row or not any(cell.strip() for cell in row):
            raise JobError("import.header", "the first line holds the names of the columns; it is empty")
        headers = tuple(cell.strip() for cell in row)
        lower = [header.lower() for header in headers]
        twice = next((header for i, header in enumerate(headers) if header.lower() in lower[:i]), None)
        if twice is not None:
            raise JobError("import.header", f"the column '{twice[:100]}' stands in the first line twice")
        return headers


def codec_of(encoding: str) -> str:
    """Python's name of an encoding. Raises `JobError` (import.encoding)."""
    codec = _ENCODINGS.get(encoding.strip().lower())
    if codec is None:
        known = ", ".join(sorted({"UTF-8", "UTF-16", "ISO-8859-1", "ISO-8859-15", "Windows-1252"}))
        raise JobError("import.encoding", f"the encoding '{encoding[:50]}' is not known; known are {known}")
    return codec


def _codec(file: BinaryIO, encoding: str) -> str:
    codec = codec_of(encoding)
    mark = file.read(2)
    file.seek(0)
    # A mark says it better than the order does.
    return "utf-16" if mark in _UTF16_MARKS else codec


def _wrong_width(line: int, row: list[str], width: int) -> Rejected:
    message = f"the line has {len(row)} cells, the first line {width}"
    cells = [_shown(cell) for cell in row[:width]] + [""] * (width - len(row))
    return Rejected(line, (Fault("row.columns", "", message),), tuple(cells))


def _set_undecodable_apart(rows: list[list[str]], lines: list[int], rejected: list[Rejected]) -> None:
    try:
        "".join(map("".join, rows)).encode()
    except UnicodeEncodeError:
        pass
    else:
        return
    good = [all(_is_whole(cell) for cell in row) for row in rows]
    fault = Fault("row.encoding", "", "the line holds bytes that the file's encoding does not have")
    rejected += [
        Rejected(line, (fault,), tuple(_shown(cell) for cell in row))
        for row, line, is_good in zip(rows, lines, good, strict=True)
        if not is_good
    ]
    lines[:] = [line for line, is_good in zip(lines, good, strict=True) if is_good]
    rows[:] = [row for row, is_good in zip(rows, good, strict=True) if is_good]


def _is_whole(cell: str) -> bool:
    return cell.isascii() or not any("\ud800" <= c <= "\udfff" for c in cell)


def _shown(cell: str) -> str:
    return cell if _is_whole(cell) else "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in cell)
