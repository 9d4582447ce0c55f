"""Forty archives that nobody should take, each with a name for what it tries."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import NamedTuple

CSV = b"emailAddress,lastName\nann@example.com,Vos\n"
_U16, _U32, _TRUE = 0xFFFF, 0xFFFFFFFF, -1
_STAMP = struct.pack("<HHBI", 0x5455, 5, 1, 1_800_000_000)


class File(NamedTuple):
    """One entry, every field of which can be made to lie; None: what is true."""

    name: bytes = b"guests.csv"
    data: bytes = CSV
    method: int = 8
    packed: bytes | None = None
    crc: int | None = None
    packed_size: int | None = None
    size: int | None = None
    flags: int = 0
    local_name: bytes | None = None
    local_size: int | None = None
    local_method: int | None = None
    local_flags: int | None = None
    local_extra: bytes = b""
    offset: int | None = None
    attributes: int = 0
    system: int = 0
    extra: bytes = b""
    comment: bytes = b""
    comment_size: int | None = None
    disk: int = 0


def deflated(data: bytes) -> bytes:
    """As it stands in an archive."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def archive(*files: File, **end: int | bytes) -> bytes:
    """An archive; `end` overrides what its last record says (`count`, `here`, `size`, `begin`, `disk`, `first_disk`, `comment`).

    `behind` follows that record, and `before_end` stands before it.
    """
    out, central, listed = io.BytesIO(), io.BytesIO(), 0
    for file in files:
        packed = file.packed if file.packed is not None else deflated(file.data) if file.method == 8 else file.data
        crc = zlib.crc32(file.data) if file.crc is None else file.crc
        packed_size = len(packed) if file.packed_size is None else file.packed_size
        size = len(file.data) if file.size is None else file.size
        local = file.name if file.local_name is None else file.local_name
        at = out.tell() if file.offset is None else file.offset
        local_method = file.method if file.local_method is None else file.local_method
        local_size = size if file.local_size is None else file.local_size
        sizes = (crc, packed_size, local_size)
        local_flags = file.flags if file.local_flags is None else file.local_flags
        local_lengths = (len(local), len(file.local_extra))
        out.write(struct.pack("<4sHHHIIIIHH", b"PK\x03\x04", 20, local_flags, local_method, 0, *sizes, *local_lengths))
        out.write(local + file.local_extra + packed)
        comment_size = len(file.comment) if file.comment_size is None else file.comment_size
        lengths = (len(file.name), len(file.extra), comment_size, file.disk, 0, file.attributes, at)
        head = (b"PK\x01\x02", 20, file.system, 20, file.flags, file.method, 0, crc, packed_size, size)
        central.write(struct.pack("<4sBBHHHIIIIHHHHHII", *head, *lengths) + file.name + file.extra + file.comment)
        listed += 1
    begin = out.tell()
    directory = central.getvalue()
    comment = bytes(end.get("comment", b""))  # type: ignore[arg-type]
    values = [end.get(n, v) for n, v in (("disk", 0), ("first_disk", 0), ("here", listed), ("count", listed))]
    out.write(directory + bytes(end.get("before_end", b"")))  # type: ignore[arg-type]
    size_, begin_ = end.get("size", len(directory)), end.get("begin", begin)
    out.write(struct.pack("<4sHHHHIIH", b"PK\x05\x06", *values, size_, begin_, len(comment)) + comment)
    return out.getvalue() + bytes(end.get("behind", b""))  # type: ignore[arg-type]


def unfinished(data: bytes) -> bytes:
    """The same with all that it holds, but not its end."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)


def as_blocks(data: bytes) -> bytes:
    """The same in two blocks that are not compressed: 10 bytes more than the data."""
    halves = (b"\x00", data[: len(data) // 2]), (b"\x01", data[len(data) // 2 :])
    return b"".join(last + struct.pack("<HH", len(half), 0xFFFF ^ len(half)) + half for last, half in halves)


def many(count: int) -> bytes:
    """An archive of so many empty files."""
    return archive(*(File(name=b"%d" % i, data=b"", method=0) for i in range(count)))


def _bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()


def _overlapping() -> bytes:
    return archive(File(), File(name=b"b.csv", offset=0, local_name=b"b.csv"))


def _quoted() -> bytes:
    """The better bomb: each file holds the next one's header, and all of them one kernel."""
    kernel = archive(File(name=b"k.csv", method=0))
    return archive(File(name=b"a.csv", method=0, data=kernel[:60]), File(name=b"k.csv", method=0, offset=30 + 5))


def _zip64(small: tuple[int, int, int, int] = (_U16, _U16, _U32, _U32), **lies: int) -> bytes:
    """With a large end; `small` is what the small one says: here, count, size, begin."""
    plain = archive(File())
    end = plain.rindex(b"PK\x05\x06")
    count, size, begin = 1, end - plain.index(b"PK\x01\x02"), plain.index(b"PK\x01\x02")
    record = struct.pack(
        "<4sQHHIIQQQQ", b"PK\x06" + bytes([lies.get("signature", 6)]), lies.get("length", 44), 45, 45, lies.get("disk", 0),
        lies.get("first_disk", 0), lies.get("here", count), lies.get("count", count), lies.get("size", size),
        lies.get("begin", begin),
    )  # fmt: skip
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, lies.get("at", end), lies.get("disks", 1))
    said = [true if value == _TRUE else value for value, true in zip(small, (count, count, size, begin), strict=True)]
    return plain[:end] + record + locator + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, *said, 0)


def _large(*before: bytes) -> File:
    """Lengths in the extra field, after others."""
    packed = deflated(CSV)
    extra = b"".join((*before, struct.pack("<HHQQ", 1, 16, len(CSV), len(packed))))
    return File(packed=packed, packed_size=_U32, size=_U32, extra=extra, local_extra=extra)


GB = 1 << 30
PIECE = 64 << 10  # what is read at a time
# Refused by the directory, before a byte is inflated, in these words.
VISIBLE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "empty file": ("no directory", lambda: b"PK\x05\x06"),
    "cut off": ("no directory", lambda: archive(File())[:-30]),
    "only a local header": ("no directory", lambda: archive(File())[:60]),
    "junk behind the end": ("no directory", lambda: archive(File(), behind=b"junk")),
    "junk before the end": ("directory is not where", lambda: archive(File(), before_end=b"junk")),
    "junk in front": ("directory is not where", lambda: b"PK\x03\x04" + b"junk" * 10 + archive(File())),
    "a comment that says to be longer": ("no directory", lambda: archive(File())[:-2] + b"\x10\x00"),
    "encrypted": ("is encrypted", lambda: archive(File(flags=1))),
    "strongly encrypted": ("is encrypted", lambda: archive(File(flags=0x41))),
    "masked headers": ("is encrypted", lambda: archive(File(flags=0x2000))),
    "unknown method": ("(method 99)", lambda: archive(File(method=99, packed=b"x"))),
    "bzip2": ("(method 12)", lambda: archive(File(method=12, packed=b"x"))),
    "a link": (
        "'x.csv' is a link",
        lambda: archive(File(name=b"x.csv", data=b"/etc/passwd", attributes=0o120777 << 16, system=3, method=0)),
    ),
    "parent folders": ("leads out of", lambda: archive(File(name=b"../../etc/cron.d/x"))),
    "parent folders of Windows": ("leads out of", lambda: archive(File(name=b"..\\..\\autoexec.csv"))),
    "a name with U+0000": ("the name 'a.csv\\x00.exe'", lambda: archive(File(name=b"a.csv\x00.exe"))),
    "no name": ("the name ''", lambda: archive(File(name=b""))),
    "a name that is no UTF-8": ("not in UTF-8", lambda: archive(File(name=b"\xff\xfe.csv", flags=0x800))),
    "one name twice": ("'guests.csv' twice", lambda: archive(File(), File())),
    "one name twice but for case": ("'GUESTS.csv' twice", lambda: archive(File(), File(name=b"GUESTS.csv"))),
    "overlapping entries": ("different things about 'b.csv'", _overlapping),
    "quoted overlap": ("'k.csv' shares its bytes", _quoted),
    "an entry behind the directory": ("'guests.csv' is not where", lambda: archive(File(offset=5000))),
    "an entry in the middle of nothing": ("'guests.csv' is not where", lambda: archive(File(offset=3))),
    "two names for one file": ("two different things", lambda: archive(File(local_name=b"hidden.csv"))),
    "two lengths for one file": ("two different things", lambda: archive(File(local_size=7))),
    "two methods for one file": ("two different things", lambda: archive(File(local_method=0))),
    "stored with two lengths": ("two lengths", lambda: archive(File(method=0, packed_size=10))),
    "declared 5 GB": ("5,368,709,120 bytes", lambda: archive(*(File(name=b"%d.csv" % i, size=GB) for i in range(5)))),
    "declared larger than ZIP can": ("how long", lambda: archive(File(size=0xFFFFFFFF))),
    "100,000 entries, honestly": ("5,000 entries", lambda: many(5000)),
    "65,000 entries, as it says": ("65,000 entries", lambda: archive(File(), count=65000, here=65000)),
    "more in the directory than it says": (
        "more than it says",
        lambda: archive(File(), File(name=b"b.csv"), count=1, here=1),
    ),
    "spread over disks": ("several files", lambda: archive(File(), disk=1)),
    "an entry on another disk": ("several files", lambda: archive(File(disk=1))),
    "ZIP64 says another number": ("damaged", lambda: _zip64(count=7, here=7)),
    "ZIP64 elsewhere": ("two directory ends", lambda: _zip64(at=5)),
    "ZIP64 directory beyond the file": ("directory is not where", lambda: _zip64(begin=1 << 62)),
    "longer than the archive": ("longer than the zip", lambda: archive(File(packed_size=100_000))),
    "sizes that nothing tells": ("two different things", lambda: archive(File(local_size=0))),
    "sizes that follow and differ": ("two different things", lambda: archive(File(flags=8, local_size=7))),
    "a length in an extra field that is none": ("two different things", lambda: archive(File(local_size=_U32))),
    "two lengths, and an extra field": ("two different things", lambda: archive(File(local_size=7, local_extra=_STAMP))),
    "encrypted in one place": ("two different things", lambda: archive(File(local_flags=1))),
    "an extra field that says to be longer": ("damaged", lambda: archive(File(extra=struct.pack("<HH", 9, 1)))),
    "a comment of an entry that says to be longer": ("damaged", lambda: archive(File(comment_size=1))),
    "a length that is cut off": ("how long", lambda: archive(File(size=_U32, extra=struct.pack("<HHI", 1, 4, 41)))),
    "an entry that is none": ("damaged", lambda: archive(File(), before_end=b"junk" * 20, size=136, here=2, count=2)),
    "a directory of 1.1 MB": (
        "directory has 1,114,",
        lambda: archive(*(File(name=b"%d" % i, comment=bytes(_U16)) for i in range(17))),
    ),
    "1,001 entries": ("1,001 entries", lambda: many(1001)),
    "begun on another disk": ("several files", lambda: archive(File(), first_disk=1)),
    "more entries than on this disk": ("several files", lambda: archive(File(), count=2)),
    "no room for a ZIP64 end": (
        "no end",
        lambda: struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, _U16, _U16, _U32, _U32, 0),
    ),
    "ZIP64 on another disk": ("several files", lambda: _zip64(disk=1)),
    "ZIP64 begun on another disk": ("several files", lambda: _zip64(first_disk=1)),
    "ZIP64 has more entries than on this disk": ("several files", lambda: _zip64(count=2)),
    "ZIP64 and small end differ": ("two directory ends", lambda: _zip64((_U16, 2, _U32, _U32))),
    "ZIP64 and small end differ in the place": ("two directory ends", lambda: _zip64((_U16, _U16, _TRUE, 7))),
    "ZIP64 without its signature": ("two directory ends", lambda: _zip64(signature=7)),
    "ZIP64 with a longer end": ("two directory ends", lambda: _zip64(length=45)),
    "ZIP64 on two disks": ("two directory ends", lambda: _zip64(disks=2)),
}
# Found out while inflating.
LIARS: dict[str, Callable[[], bytes]] = {
    "says 41 bytes, holds 256 MB": lambda: archive(File(packed=_bomb(256 << 20))),
    "holds less": lambda: archive(File(size=10_000)),
    "another checksum": lambda: archive(File(crc=1)),
    "no deflate at all": lambda: archive(File(packed=b"\xff" * 40)),
    "ends in the middle": lambda: archive(File(packed=deflated(CSV)[:-6])),
    "something after its end": lambda: archive(File(packed=deflated(CSV) + b"more")),
    "no end": lambda: archive(File(packed=unfinished(CSV))),
    "something after an end that is all that was read": lambda: archive(
        File(data=bytes(PIECE - 10), packed=as_blocks(bytes(PIECE - 10)) + b"more")
    ),
}


def good() -> dict[str, bytes]:
    """Archives as tools make them."""

    def by_library(**how: int | bool) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made, made.open("guests.csv", "w", **how) as entry:
            entry.write(CSV)
        return out.getvalue()

    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

        def seek(self, *_: int) -> int:
            raise OSError

    streamed = Unseekable()
    with zipfile.ZipFile(streamed, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("guests.csv", CSV)
    return {
        "plain": archive(File()),
        "stored": archive(File(method=0)),
        "with a comment": archive(File(), comment=b"made by hand"),
        "with the longest comment": archive(File(), comment=b"x" * _U16),
        "with a comment that looks like an end": archive(File(), comment=b"PK\x05\x06 or more of them PK\x05\x06"),
        "with a folder, extra fields and comments": archive(
            File(name=b"folder/", data=b"", method=0, extra=_STAMP, comment=b"a folder"),
            File(extra=_STAMP, local_extra=_STAMP),
        ),
        "what looks like a link of UNIX, made elsewhere": archive(File(attributes=0o120777 << 16)),
        "lengths in the extra field": archive(_large()),
        "lengths in the extra field, behind another": archive(_large(_STAMP)),
        "lengths in the extra field, and an empty one": archive(_large(struct.pack("<HH", 9, 0))),
        "sizes that follow, and are told": archive(File(flags=8)),
        "an absolute name": archive(File(name=b"/var/data/out/guests.csv")),
        "UTF-8 name": archive(File(name="gäste.csv".encode(), flags=0x800)),
        "ZIP64 end": _zip64(),
        "ZIP64 end for the number of entries": _zip64((_U16, _U16, _TRUE, _TRUE)),
        "ZIP64 end for the place": _zip64((_TRUE, _TRUE, _U32, _U32)),
        "by the library": by_library(),
        "ZIP64 by the library": by_library(force_zip64=True),
        "streamed, sizes follow": streamed.getvalue(),
    }
