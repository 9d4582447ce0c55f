"""The directory of a ZIP from a stranger, read strictly (APPNOTE.TXT 6.3.10, sections 4.3 and 4.4).

The standard library believes what a ZIP says of itself, and some versions of it overlook entries that share their bytes or
ends that contradict each other. Names are for people: none becomes a path.
"""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

_MAX_ENTRIES = 1000
_MAX_DIRECTORY_BYTES = 1024 * 1024
_END, _END64_LOCATOR, _END64 = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06"
_CENTRAL, _LOCAL = b"PK\x01\x02", b"PK\x03\x04"
_END_SIZE, _LOCATOR_SIZE, _END64_SIZE, _CENTRAL_SIZE, _LOCAL_SIZE = 22, 20, 56, 46, 30
_U16, _U32 = 0xFFFF, 0xFFFFFFFF
STORED, _DEFLATED = 0, 8
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_SIZES_FOLLOW, _UTF8 = 0x0008, 0x0800
_UNIX, _FILE_TYPE, _LINK = 3, 0o170000, 0o120000
_SHOWN = 60


class ArchiveError(Exception):
    """The archive is broken or not to be trusted; the message says why."""


class Entry(NamedTuple):
    """A file in a ZIP. `size` is what it says to hold; `start` is where its bytes begin."""

    name: str
    method: int
    crc: int
    packed: int
    size: int
    start: int


def contents(path: Path, *, cap: int) -> Sequence[Entry]:
    """The files in a ZIP, without folders. Raises `ArchiveError`; `cap` is the most bytes that all may hold together."""
    with path.open("rb") as file:
        count, begin, end = _directory(file)
        file.seek(begin)
        directory = file.read(end - begin)
        entries = [_with_start(file, entry, begin) for entry in _entries(directory, count)]
    _check_room(entries, begin)
    total = sum(entry.size for entry, _ in entries)
    if total > cap:
        raise ArchiveError(f"the zip holds {total:,} bytes; at most {cap:,} are taken")
    return [entry for entry, _ in entries if not entry.name.endswith("/")]


def _directory(file: BinaryIO) -> tuple[int, int, int]:
    """How many entries the directory has, where it begins and where it ends."""
    length = file.seek(0, 2)
    tail_at = max(0, length - _END_SIZE - _U16)
    file.seek(tail_at)
    tail = file.read()
    at = len(tail) - _END_SIZE
    while at >= 0:
        at = tail.rfind(_END, 0, at + len(_END))
        if at < 0 or at + _END_SIZE + int.from_bytes(tail[at + 20 : at + 22], "little") == len(tail):
            break
        at -= 1
    if at < 0:
        raise ArchiveError("the zip has no directory: it is cut off, or something was put behind it")
    disk, first_disk, here, count, size, begin = struct.unpack_from("<4xHHHHII", tail, at)
    end = tail_at + at
    if _U16 in {disk, first_disk, here, count} or _U32 in {size, begin}:
        count, size, begin, end = _zip64(file, end, (here, count, size, begin))
    elif disk or first_disk or here != count:
        raise ArchiveError("the zip is spread over several files; make one of it")
    if begin + size != end:
        raise ArchiveError("the zip's directory is not where it says to be")
    if count > _MAX_ENTRIES:
        raise ArchiveError(f"the zip has {count:,} entries; at most {_MAX_ENTRIES:,} are taken")
    if size > _MAX_DIRECTORY_BYTES:
        raise ArchiveError(f"the zip's directory has {size:,} bytes; at most {_MAX_DIRECTORY_BYTES:,} are taken")
    return count, begin, end


def _zip64(file: BinaryIO, end: int, said: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """The large directory's end; what the small one says has to agree with it."""
    at = end - _LOCATOR_SIZE - _END64_SIZE
    if at < 0:
        raise ArchiveError("the zip's directory has no end")
    file.seek(at)
    raw = file.read(_END64_SIZE + _LOCATOR_SIZE)
    found = struct.unpack_from("<4sQHHIIQQQQ", raw)
    signature, length, _, _, disk, first_disk, here, count, size, begin = found
    located = struct.unpack_from("<4sIQI", raw, _END64_SIZE)
    if signature != _END64 or length != _END64_SIZE - 12 or located != (_END64_LOCATOR, 0, at, 1):
        raise ArchiveError("the zip's two directory ends contradict each other")
    if disk or first_disk or here != count:
        raise ArchiveError("the zip is spread over several files; make one of it")
    for small, large, full in zip(said, (here, count, size, begin), (_U16, _U16, _U32, _U32), strict=True):
        if small not in {full, large}:
            raise ArchiveError("the zip's two directory ends contradict each other")
    return count, size, begin, at


class _Listed(NamedTuple):
    """An entry as the directory has it."""

    raw_name: bytes
    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    at: int


def _entries(directory: bytes, count: int) -> list[_Listed]:
    found: list[_Listed] = []
    names: set[str] = set()
    place = 0
    for _ in range(count):
        if directory[place : place + 4] != _CENTRAL or place + _CENTRAL_SIZE > len(directory):
            raise ArchiveError("the zip's directory is damaged")
        entry, place = _listed(directory, place)
        if entry.name.lower() in names:
            raise ArchiveError(f"the zip holds {shown(entry.name)} twice")
        names.add(entry.name.lower())
        found.append(entry)
    if place != len(directory):
        raise ArchiveError("the zip's directory holds more than it says")
    return found


def _listed(directory: bytes, place: int) -> tuple[_Listed, int]:
    fields = struct.unpack_from("<4xBBHHH4xIIIHHHHHII", directory, place)
    _, system, _, flags, method, crc, packed, size, name_size, extra_size, comment_size, disk, _, attributes, at = fields
    name_at = place + _CENTRAL_SIZE
    extra_at = name_at + name_size
    following = extra_at + extra_size + comment_size
    if following > len(directory):
        raise ArchiveError("the zip's directory is damaged")
    raw_name = directory[name_at:extra_at]
    name = _name(raw_name, flags)
    packed, size, at = _large(directory[extra_at : extra_at + extra_size], (size, packed, at), name)
    if flags & _ENCRYPTED:
        raise ArchiveError(f"{shown(name)} is encrypted; send it without a password")
    if method not in {STORED, _DEFLATED}:
        raise ArchiveError(f"{shown(name)} is packed in an unusual way (method {method}); use plain zip")
    if method == STORED and packed != size:
        raise ArchiveError(f"{shown(name)} has two lengths in the zip's directory")
    if system == _UNIX and (attributes >> 16) & _FILE_TYPE == _LINK:
        raise ArchiveError(f"{shown(name)} is a link, not a file")
    if disk:
        raise ArchiveError("the zip is spread over several files; make one of it")
    return _Listed(raw_name, name, flags, method, crc, packed, size, at), following


def _name(raw: bytes, flags: int) -> str:
    try:
        # What Macs pack is in UTF-8, and does not say so; names in another encoding are hardly ever UTF-8 as well.
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        if flags & _UTF8:
            raise ArchiveError("a name in the zip is not in UTF-8, though the zip says so") from None
        name = raw.decode("cp437")
    if not name or "\0" in name:
        raise ArchiveError(f"the zip holds a file with the name {shown(name)}")
    if ".." in name.replace("\\", "/").split("/"):
        raise ArchiveError(f"{shown(name)} leads out of the zip's own folder; pack the file under its name alone")
    return name


def _large(extra: bytes, said: tuple[int, int, int], name: str) -> tuple[int, int, int]:
    """Packed length, length and place; those that are too large for the directory are in its extra field."""
    place, large = 0, b""
    while place + 4 <= len(extra):
        tag, length = struct.unpack_from("<HH", extra, place)
        if place + 4 + length > len(extra):
            raise ArchiveError("the zip's directory is damaged")
        if tag == 1:
            large = extra[place + 4 : place + 4 + length]
        place += 4 + length
    values: list[int] = []
    for value in said:
        if value == _U32:
            if len(large) < 8:  # noqa: PLR2004 - bytes of a number
                raise ArchiveError(f"the zip does not say how long {shown(name)} is")
            value, large = int.from_bytes(large[:8], "little"), large[8:]  # noqa: PLW2901 - the number that was meant
        values.append(value)
    size, packed, at = values
    return packed, size, at


def _with_start(file: BinaryIO, listed: _Listed, directory: int) -> tuple[Entry, int]:
    """The entry and where its header begins; the header has to say what the directory says."""
    file.seek(listed.at)
    header = file.read(_LOCAL_SIZE)
    if listed.at >= directory or len(header) < _LOCAL_SIZE or header[:4] != _LOCAL:
        raise ArchiveError(f"{shown(listed.name)} is not where the zip's directory says")
    flags, method, crc, packed, size, name_size, extra_size = struct.unpack_from("<6xHH4xIIIHH", header)
    name = file.read(name_size)
    later = bool(flags & _SIZES_FOLLOW)
    same = method == listed.method and name == listed.raw_name and (flags ^ listed.flags) & (_ENCRYPTED | _SIZES_FOLLOW) == 0
    for here, there in ((crc, listed.crc), (packed, listed.packed), (size, listed.size)):
        same &= here == there or (later and here == 0) or (here == _U32 and extra_size > 0)
    if not same:
        raise ArchiveError(f"the zip says two different things about {shown(listed.name)}")
    start = listed.at + _LOCAL_SIZE + name_size + extra_size
    return Entry(listed.name, listed.method, listed.crc, listed.packed, listed.size, start), listed.at


def _check_room(entries: Sequence[tuple[Entry, int]], directory: int) -> None:
    """No two entries have bytes in common."""
    free_from = 0
    for entry, at in sorted(entries, key=lambda pair: pair[1]):
        if at < free_from:
            raise ArchiveError(f"{shown(entry.name)} shares its bytes with another file of the zip")
        free_from = entry.start + entry.packed
    if free_from > directory:
        raise ArchiveError("the zip's files are longer than the zip")


def shown(name: str) -> str:
    """A name from an archive, for messages."""
    text = name.encode("unicode_escape").decode()
    return f"'{text if len(text) <= _SHOWN else text[:_SHOWN] + '...'}'"
