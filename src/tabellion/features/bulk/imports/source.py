"""The bytes of a CSV file, piece by piece, cut where a row is likely to end; their encoding."""

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO

from tabellion.features.bulk.fenced import JobError
from tabellion.kit.charsets import CHARSETS, UTF_8, UTF_16, charset_named

_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_READ_BYTES = 1 << 18
# As a row is kept in memory.
_MOST_LINE_BYTES = 1 << 24
# Where quotes make no sense, the row reader says so; looking further for the end of a row would not.
_MOST_CUTS = 1000


def charset_of(encoding: str) -> str:
    """What a Content-Type, and Python, call an encoding. Raises `JobError` (import.encoding)."""
    charset = charset_named(encoding)
    if charset is None:
        known = ", ".join(sorted(CHARSETS))
        raise JobError("import.encoding", f"the encoding '{encoding[:50]}' is not known; known are {known}")
    return charset


class Source:
    """Reads one open file from its beginning; a byte-order mark is skipped, and says it better than the order does."""

    def __init__(self, file: BinaryIO, encoding: str, quote: str) -> None:
        self._file: BinaryIO | _Utf16 = file
        self._charset = charset_of(encoding)
        mark = file.read(len(codecs.BOM_UTF8))
        utf16 = _MARKS.get(mark[:2], "utf-16-le" if self._charset == UTF_16 else "")
        self._buffer = mark
        if utf16:
            file.seek(2 if mark[:2] in _MARKS else 0)
            self._file, self._charset, self._buffer = _Utf16(file, utf16), UTF_8, b""
        elif mark == codecs.BOM_UTF8:
            self._charset, self._buffer = UTF_8, b""
        self._quote = quote.encode(self._charset, errors="replace")
        self._given = len(codecs.BOM_UTF8) if mark == codecs.BOM_UTF8 else 0

    @property
    def position(self) -> int:
        """The place after all that was given out, in bytes (of UTF-8, if the file is UTF-16)."""
        return self._given

    def skip_to(self, position: int) -> None:
        """Go on from a position."""
        missing = position - self._given - len(self._buffer)
        if missing < 0:
            self._buffer = self._buffer[missing:]
        else:
            self._buffer = b""
            self._skip(missing)
        self._given = position

    def take(self, size: int) -> bytes:
        """About so many bytes, up to the end of a row, as far as quotes tell; empty at the end of the file."""
        cut = 0
        while not cut and (len(self._buffer) >= size or self._more()):
            if len(self._buffer) >= size:
                self._refuse_long_line()
                cut, size = self._cut(), 2 * size
        return self._give(cut or len(self._buffer))

    def as_utf8(self, piece: bytes) -> bytes | None:
        """The piece in UTF-8; None if there are bytes that the encoding does not have."""
        try:
            text = piece.decode(self._charset)
        except UnicodeError:
            return None
        return piece if self._charset == UTF_8 else text.encode()

    def lines(self, piece: bytes) -> "Lines":
        """The lines of a piece, and those that come after it as long as somebody asks."""
        return Lines(io.StringIO(self._text(piece), newline=""), self._following())

    def _text(self, piece: bytes) -> str:
        # A row with bytes that the encoding does not have is refused, not the file: they are carried along as surrogates.
        return piece.decode(self._charset, errors="surrogateescape")

    def _following(self) -> Iterator[str]:
        while True:
            ends = [end for end in (self._buffer.find(b"\n"), self._buffer.find(b"\r")) if end >= 0]
            end = min(ends, default=-1)
            # A CR at the end of what is there may belong to an LF that is not.
            is_open = end < 0 or (end == len(self._buffer) - 1 and self._buffer.endswith(b"\r"))
            if end < 0:
                self._refuse_long_line()
            if is_open and self._more():
                continue
            if not self._buffer:
                return
            if end < 0:
                yield self._text(self._give(len(self._buffer)))
            else:
                yield self._text(self._give(end + 1 + (self._buffer[end : end + 2] == b"\r\n")))

    def _refuse_long_line(self) -> None:
        if len(self._buffer) > _MOST_LINE_BYTES:
            raise JobError("import.fileUnreadable", f"a line is longer than {_MOST_LINE_BYTES >> 20} MB")

    def _cut(self) -> int:
        """Where the last row of the buffer seems to end; 0 where no line ends."""
        end, quotes = len(self._buffer), self._buffer.count(self._quote)
        for _ in range(_MOST_CUTS):
            cut = self._buffer.rfind(b"\n", 0, end)
            if cut < 0:
                break
            quotes -= self._buffer.count(self._quote, cut + 1, end)
            if quotes % 2 == 0:
                return cut + 1
            end = cut
        # Either the lines end in CR, or nothing can be told from the quotes: the row reader goes on to the row's end.
        return self._buffer.rfind(b"\n") + 1 or self._buffer.rfind(b"\r", 0, len(self._buffer) - 1) + 1

    def _give(self, size: int) -> bytes:
        piece, self._buffer = self._buffer[:size], self._buffer[size:]
        self._given += len(piece)
        return piece

    def _more(self) -> bool:
        piece = self._file.read(_READ_BYTES)
        self._buffer += piece
        return bool(piece)

    def _skip(self, size: int) -> None:
        if isinstance(self._file, _Utf16):
            while size > 0 and (piece := self._file.read(min(size, _READ_BYTES))):
                size -= len(piece)
        else:
            self._file.seek(size, io.SEEK_CUR)


class Lines:
    """Lines one by one. `in_piece`: the next one comes from the piece itself."""

    def __init__(self, piece: io.StringIO, following: Iterator[str]) -> None:
        self._piece = piece
        self._following = following
        self._next = piece.readline()

    @property
    def in_piece(self) -> bool:
        """Whether the piece has another line."""
        return bool(self._next)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if not self._next:
            return next(self._following)
        line, self._next = self._next, self._piece.readline()
        return line


class _Utf16:
    """A file of UTF-16 as if it were UTF-8."""

    def __init__(self, file: BinaryIO, codec: str) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(codec)()
        self._rest = b""

    def read(self, size: int) -> bytes:
        """At most `size` bytes; empty at the end. Raises `JobError`."""
        while not self._rest:
            piece = self._file.read(_READ_BYTES)
            try:
                self._rest = self._decoder.decode(piece, final=not piece).encode()
            except UnicodeError:
                raise JobError("import.encoding", "the file is not in the encoding UTF-16") from None
            if not piece:
                break
        given, self._rest = self._rest[:size], self._rest[size:]
        return given
