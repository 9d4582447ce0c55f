"""Archives from strangers: judged by their directory before a byte is inflated, and held to it while it is."""

import zlib
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from tabellion.platform.files.directory import STORED, ArchiveError, Entry, shown

_PIECE = 64 * 1024


class Kind(Enum):
    """What a file is by its first bytes."""

    ZIP = "ZIP"
    GZIP = "GZIP"
    OTHER = "other archive"
    PLAIN = "plain"


_MAGIC = (
    (b"PK\x03\x04", Kind.ZIP),
    (b"PK\x05\x06", Kind.ZIP),
    (b"PK\x07\x08", Kind.ZIP),
    (b"\x1f\x8b", Kind.GZIP),
    (b"7z\xbc\xaf\x27\x1c", Kind.OTHER),
    (b"Rar!\x1a\x07", Kind.OTHER),
    (b"BZh", Kind.OTHER),
    (b"\xfd7zXZ\x00", Kind.OTHER),
    (b"\x28\xb5\x2f\xfd", Kind.OTHER),
)


def kind_of(path: Path) -> Kind:
    """What a file is, whatever it is called."""
    with path.open("rb") as file:
        head = file.read(8)
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), Kind.PLAIN)


def inflate(path: Path, entry: Entry, target: BinaryIO) -> None:
    """Write what an entry holds, and compare its length and checksum. Raises `ArchiveError`.

    It stops at most 128 KiB after what the entry said to hold.
    """
    with path.open("rb") as file:
        file.seek(entry.start)
        packed = _pieces(file, entry.packed)
        crc = size = 0
        for piece in packed if entry.method == STORED else _deflated(packed, entry):
            size += len(piece)
            if size > entry.size:
                raise ArchiveError(f"{shown(entry.name)} holds more than the zip's directory says")
            crc = zlib.crc32(piece, crc)
            target.write(piece)
    if size != entry.size:
        raise ArchiveError(f"{shown(entry.name)} holds {size:,} bytes, the zip's directory says {entry.size:,}")
    if crc != entry.crc:
        raise ArchiveError(f"the checksum of {shown(entry.name)} is wrong: the zip was damaged on its way")


def gunzip(path: Path, target: BinaryIO, *, cap: int) -> None:
    """Write what a GZIP file holds, all its members (RFC 1952). Raises `ArchiveError`."""
    size = 0
    with path.open("rb") as file:
        member = zlib.decompressobj(31)
        rest = b""
        while True:
            rest = rest or file.read(_PIECE)
            if member.eof:
                # Some tools fill the last block up with zeros.
                if not rest.strip(b"\0"):
                    if not rest:
                        return
                    rest = b""
                    continue
                member = zlib.decompressobj(31)
            if not rest:
                raise ArchiveError("the GZIP file is cut off; send it again")
            try:
                piece = member.decompress(rest, _PIECE)
            except zlib.error:
                raise ArchiveError("the GZIP file is damaged; send it again") from None
            rest = member.unused_data if member.eof else member.unconsumed_tail
            size += len(piece)
            if size > cap:
                raise ArchiveError(f"the GZIP file holds more than {cap:,} bytes, which is the most that is taken")
            target.write(piece)


def _pieces(file: BinaryIO, left: int) -> Iterator[bytes]:
    """A number of bytes of a file."""
    while piece := file.read(min(_PIECE, left)):
        left -= len(piece)
        yield piece


def _deflated(packed: Iterator[bytes], entry: Entry) -> Iterator[bytes]:
    stream = zlib.decompressobj(-15)
    try:
        for rest in packed:
            while rest:
                yield stream.decompress(rest, _PIECE)
                rest = stream.unconsumed_tail  # noqa: PLW2901 - what is left of it
            if stream.eof:
                break
        while piece := stream.decompress(b"", _PIECE):
            yield piece
    except zlib.error:
        raise ArchiveError(f"{shown(entry.name)} is damaged; make the zip again") from None
    if not stream.eof or stream.unused_data or next(packed, b""):
        raise ArchiveError(f"{shown(entry.name)} does not end where the zip's directory says")
