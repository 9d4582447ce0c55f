"""Rows of a CSV file with their lines, in blocks of about constant size (RFC 4180).

Most blocks are read by polars, in a tenth of the time of Python's `csv`. Its reader is lenient, so what it has read counts
only if it writes back to the very same bytes: whatever is written is read right. Other blocks (broken lines, unusual
quoting) are read row by row, and each block has another chance.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple, Protocol

import polars as pl

from tabellion.features.bulk.fenced import JobError
from tabellion.features.bulk.imports.model import Fault, Place, Rejected
from tabellion.features.bulk.imports.source import Lines, Source, charset_of

BLOCK_ROWS = 20_000
_FIRST_BYTES, _LEAST_BYTES, _MOST_BYTES = 1 << 20, 1 << 16, 1 << 22
# A stray quote swallows what follows; a cell is not larger than the longest text an attribute takes, many times over.
MAX_CELL_CHARACTERS = 1_000_000


class _RowReader(Protocol):
    """What `csv.reader` gives."""

    line_num: int

    def __iter__(self) -> "Iterator[list[str]]": ...
    def __next__(self) -> list[str]: ...


class Block(NamedTuple):
    """Rows in file order: `cells` has a text column `0`, `1`... for each of the header's, empty cells are "". Rows that have
    only such cells, as many as the header has, are left out as empty lines are: spreadsheets write them behind the last one.

    `lines` tells where each row begins; `rejected` are the rows that could not be read. `end` is the line of the last row's
    end. `began` and `reached` are the places where reading the block began, and where it can go on once all up to `end` is
    applied.
    """

    cells: pl.DataFrame
    lines: pl.Series
    rejected: list[Rejected]
    end: int
    began: Place
    reached: Place

    @property
    def height(self) -> int:
        """How many rows could be read."""
        return self.cells.height

    def row(self, index: int) -> tuple[str, ...]:
        """The cells of a row as they stand in the file."""
        return self.cells.row(index)

    def rows(self, lines: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """The rows that begin in these lines."""
        chosen = self.lines.is_in(list(lines))
        return dict(zip(self.lines.filter(chosen).to_list(), self.cells.filter(chosen).iter_rows(), strict=True))

    def halves(self) -> "tuple[Block, Block]":
        """The block in two."""
        middle = self.height // 2
        # The second half's first row begins where the first half ends.
        end: int = self.lines[middle] - 1
        first = [row for row in self.rejected if row.line <= end]
        second = [row for row in self.rejected if row.line > end]
        return (
            self._replace(cells=self.cells[:middle], lines=self.lines[:middle], rejected=first, end=end, reached=self.began),
            self._replace(cells=self.cells[middle:], lines=self.lines[middle:], rejected=second),
        )

    def refused(self, fault: Fault) -> "Block":
        """The same with no row that could be read: all have this fault."""
        rows = zip(self.lines.to_list(), self.cells.iter_rows(), strict=True)
        rejected = [*self.rejected, *(Rejected(line, (fault,), row) for line, row in rows)]
        return self._replace(cells=self.cells.clear(), lines=self.lines.clear(), rejected=rejected)


class Reader:
    """The rows of one open file. Raises `JobError` (import.encoding, import.header, import.quote)."""

    def __init__(self, file: BinaryIO, *, encoding: str, separator: str, quote: str, escape: str | None = None) -> None:
        csv.field_size_limit(MAX_CELL_CHARACTERS)
        self._source = Source(file, encoding, quote)
        self._charset = charset_of(encoding)
        self._separator = separator
        self._quote = quote
        self._escape = escape
        self._line = 0
        self._began = Place(0, 0)
        self._bytes = _FIRST_BYTES
        self.headers = self._header()
        self._names = [str(number) for number in range(len(self.headers))]
        self._schema = dict.fromkeys(self._names, pl.String)
        self._is_plain = separator.isascii() and quote.isascii()
        self._styles: list[bool] = [False, True]

    def skip_to(self, line: int, reached: Place) -> None:
        """Go on after a row that ended in this line, reading from a place before or at it."""
        if reached.position > self._source.position:
            self._source.skip_to(reached.position)
            self._line = reached.line
        reader, before = self._row_reader(self._source.lines(b"")), self._line
        while self._line < line and self._next(reader, before) is not None:
            self._line = before + reader.line_num

    def blocks(self, size: int = BLOCK_ROWS) -> Iterator[Block]:
        """The rows that are left, about `size` at a time."""
        while piece := self._source.take(self._bytes):
            self._began = Place(self._line, self._source.position - len(piece))
            block = self._quick(piece) or self._slow(piece)
            read = block.height + len(block.rejected)
            self._bytes = min(max(self._bytes * size // max(read, 1), _LEAST_BYTES), _MOST_BYTES)
            self._line = block.end
            if read:
                yield block

    def _quick(self, piece: bytes) -> Block | None:
        """The block as polars reads it; None unless it is sure to be right."""
        text = self._source.as_utf8(piece) if self._is_plain else None
        if text is None or (self._escape is not None and self._escape.encode() in text):
            return None
        end = "\r\n" if text.endswith(b"\r\n") else "\n"
        # Every CR is part of a CRLF, or there is none: only then are lines what LF ends.
        if text.count(b"\r") != (text.count(b"\r\n") if end == "\r\n" else 0):
            return None
        try:
            cells = pl.read_csv(
                text if text.endswith(b"\n") else text + b"\n",
                has_header=False,
                schema=self._schema,
                separator=self._separator,
                quote_char=self._quote,
                eol_char="\n",
            )
        except pl.exceptions.PolarsError:
            return None
        if not self._writes_back(cells, text, end):
            return None
        cells = cells.with_columns(pl.all().fill_null(""))
        lines, last = self._lines(cells, text.count(b"\n") + (not text.endswith(b"\n")))
        # The first column alone tells of most blocks that there is no such row.
        if (cells["0"] == "").any():
            filled = cells.select(pl.any_horizontal(pl.all() != "")).to_series()
            cells, lines = cells.filter(filled), lines.filter(filled)
        return Block(cells, lines, [], last, self._began, Place(last, self._source.position))

    def _writes_back(self, cells: pl.DataFrame, text: bytes, end: str) -> bool:
        """Whether the cells make the very text, with quotes where they are needed, or around all; the last style first."""
        for style in self._styles:
            out = io.BytesIO()
            cells.write_csv(
                out,
                include_header=False,
                separator=self._separator,
                quote_char=self._quote,
                line_terminator=end,
                quote_style="always" if style else "necessary",
            )
            written = out.getvalue()
            if written == text or (not text.endswith(b"\n") and written == text + end.encode()):
                self._styles = [style, not style]
                return True
        return False

    def _lines(self, cells: pl.DataFrame, breaks: int) -> tuple[pl.Series, int]:
        """Where each row begins, and the last line."""
        last = self._line + breaks
        if breaks == cells.height:
            return pl.Series("line", range(self._line + 1, last + 1), dtype=pl.Int64), last
        within = pl.sum_horizontal(pl.all().str.count_matches("\n", literal=True).cast(pl.Int64))
        ends = cells.select((within + 1).cum_sum() + self._line).to_series()
        return ends.shift(1, fill_value=self._line).alias("line") + 1, last

    def _slow(self, piece: bytes) -> Block:
        """The block as Python's `csv` reads it, strictly; a row that goes on after the piece is read to its end."""
        lines = self._source.lines(piece)
        reader = self._row_reader(lines)
        width, before = len(self.headers), self._line
        rows: list[list[str]] = []
        begins: list[int] = []
        rejected: list[Rejected] = []
        while lines.in_piece:
            line = before + reader.line_num + 1
            row = self._next(reader, before)
            if row is None:
                break
            if not row or (len(row) == width and not any(row)):
                continue
            if len(row) == width and all(map(_is_whole, row)):
                rows.append(row)
                begins.append(line)
            else:
                rejected.append(_unreadable(line, row, width, self._charset))
        columns = list(zip(*rows, strict=True)) or [()] * width
        series = [pl.Series(name, column, dtype=pl.String) for name, column in zip(self._names, columns, strict=True)]
        starts, end = pl.Series("line", begins, dtype=pl.Int64), before + reader.line_num
        return Block(pl.DataFrame(series), starts, rejected, end, self._began, Place(end, self._source.position))

    def _row_reader(self, lines: Lines) -> _RowReader:
        return csv.reader(
            lines,
            delimiter=self._separator,
            quotechar=self._quote,
            escapechar=self._escape,
            doublequote=self._escape is None,
            strict=True,
        )

    def _next(self, reader: _RowReader, before: int) -> list[str] | None:
        line = before + reader.line_num + 1
        try:
            return next(reader, None)
        except csv.Error as error:
            if "field larger" in str(error) or "unexpected end" in str(error):
                message = f"a quote that opens in line {line} is not closed"
            else:
                allowed = f"only '{self._separator}' or the line's end may come"
                message = f"line {before + reader.line_num}: after a closing quote {allowed}"
            raise JobError("import.quote", message) from None

    def _header(self) -> tuple[str, ...]:
        reader = self._row_reader(self._source.lines(b""))
        row = self._next(reader, 0)
        self._line = reader.line_num
        if not row or not any(cell.strip() for cell in row):
            raise JobError("import.header", "the first line holds the names of the columns; it is empty")
        headers = tuple(_shown(cell.strip()) for cell in row)
        lower = [header.lower() for header in headers]
        twice = next((header for i, header in enumerate(headers) if header.lower() in lower[:i]), None)
        if twice is not None:
            raise JobError("import.header", f"the column '{twice[:100]}' stands in the first line twice")
        return headers


def _unreadable(line: int, row: list[str], width: int, charset: str) -> Rejected:
    if len(row) == width:
        fault = Fault("row.encoding", "", f"the line holds bytes that {charset}, in which the file was read, does not have")
    else:
        fault = Fault("row.columns", "", f"the line has {len(row)} cells, the first line {width}")
    cells = [_shown(cell) for cell in row[:width]] + [""] * (width - len(row))
    return Rejected(line, (fault,), tuple(cells))


def _is_whole(cell: str) -> bool:
    return cell.isascii() or not any("\ud800" <= c <= "\udfff" for c in cell)


def _shown(cell: str) -> str:
    return cell if _is_whole(cell) else "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in cell)
