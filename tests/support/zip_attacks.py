"""Forty archives that nobody should take, each with a name for what it tries."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import NamedTuple

CSV = b"emailAddress,lastName\nann@example.com,Vos\n"


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
    offset: int | None = None
    attributes: int = 0
    system: int = 0
    extra: bytes = b""
    comment: bytes = b""
    disk: int = 0


def deflated(data: bytes) -> bytes:
    """As it stands in an archive."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def archive(*files: File, **end: int | bytes) -> bytes:
    """An archive; `end` overrides `count`, `here`, `size`, `begin`, `disk`, `comment` of its last record; `behind` follows it."""
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
        out.write(struct.pack("<4sHHHIIIIHH", b"PK\x03\x04", 20, file.flags, local_method, 0, *sizes, len(local), 0))
        out.write(local + packed)
        lengths = (len(file.name), len(file.extra), len(file.comment), file.disk, 0, file.attributes, at)
        head = (b"PK\x01\x02", 20, file.system, 20, file.flags, file.method, 0, crc, packed_size, size)
        central.write(struct.pack("<4sBBHHHIIIIHHHHHII", *head, *lengths) + file.name + file.extra + file.comment)
        listed += 1
    begin = out.tell()
    directory = central.getvalue()
    comment = bytes(end.get("comment", b""))  # type: ignore[arg-type]
    values = [end.get(n, v) for n, v in (("disk", 0), ("disk", 0), ("here", listed), ("count", listed))]
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


def _bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()


def _overlapping() -> bytes:
    return archive(File(), File(name=b"b.csv", offset=0, local_name=b"b.csv"))


def _quoted() -> bytes:
    """The better bomb: each file holds the next one's header, and all of them one kernel."""
    kernel = archive(File(name=b"k.csv", method=0))
    return archive(File(name=b"a.csv", method=0, data=kernel[:60]), File(name=b"k.csv", method=0, offset=30 + 5))


def _zip64(**lies: int) -> bytes:
    plain = archive(File())
    end = plain.rindex(b"PK\x05\x06")
    count, size, begin = 1, end - plain.index(b"PK\x01\x02"), plain.index(b"PK\x01\x02")
    record = struct.pack(
        "<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, lies.get("here", count), lies.get("count", count),
        lies.get("size", size), lies.get("begin", begin),
    )  # fmt: skip
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, lies.get("at", end), lies.get("disks", 1))
    small = (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF) if not lies.get("small") else (1, lies["small"], size, begin + 76)
    return plain[:end] + record + locator + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, *small, 0)


GB = 1 << 30
PIECE = 64 << 10  # what is read at a time
# Refused by the directory: before a byte is inflated.
VISIBLE: dict[str, Callable[[], bytes]] = {
    "empty file": lambda: b"PK\x05\x06",
    "cut off": lambda: archive(File())[:-30],
    "only a local header": lambda: archive(File())[:60],
    "junk behind the end": lambda: archive(File(), behind=b"junk"),
    "junk before the end": lambda: archive(File(), before_end=b"junk"),
    "junk in front": lambda: b"PK\x03\x04" + b"junk" * 10 + archive(File()),
    "a comment that says to be longer": lambda: archive(File())[:-2] + b"\x10\x00",
    "encrypted": lambda: archive(File(flags=1)),
    "strongly encrypted": lambda: archive(File(flags=0x41)),
    "masked headers": lambda: archive(File(flags=0x2000)),
    "unknown method": lambda: archive(File(method=99, packed=b"x")),
    "bzip2": lambda: archive(File(method=12, packed=b"x")),
    "a link": lambda: archive(File(name=b"x.csv", data=b"/etc/passwd", attributes=0o120777 << 16, system=3, method=0)),
    "parent folders": lambda: archive(File(name=b"../../etc/cron.d/x")),
    "parent folders of Windows": lambda: archive(File(name=b"..\\..\\autoexec.csv")),
    "a name with U+0000": lambda: archive(File(name=b"a.csv\x00.exe")),
    "no name": lambda: archive(File(name=b"")),
    "a name that is no UTF-8": lambda: archive(File(name=b"\xff\xfe.csv", flags=0x800)),
    "one name twice": lambda: archive(File(), File()),
    "one name twice but for case": lambda: archive(File(), File(name=b"GUESTS.csv")),
    "overlapping entries": _overlapping,
    "quoted overlap": _quoted,
    "an entry behind the directory": lambda: archive(File(offset=5000)),
    "an entry in the middle of nothing": lambda: archive(File(offset=3)),
    "two names for one file": lambda: archive(File(local_name=b"hidden.csv")),
    "two lengths for one file": lambda: archive(File(local_size=7)),
    "two methods for one file": lambda: archive(File(local_method=0)),
    "stored with two lengths": lambda: archive(File(method=0, packed_size=10)),
    "declared 5 GB": lambda: archive(*(File(name=b"%d.csv" % i, size=GB) for i in range(5))),
    "declared larger than ZIP can": lambda: archive(File(size=0xFFFFFFFF)),
    "100,000 entries, honestly": lambda: archive(*(File(name=b"%d" % i, data=b"", method=0) for i in range(5000))),
    "65,000 entries, as it says": lambda: archive(File(), count=65000, here=65000),
    "more in the directory than it says": lambda: archive(File(), File(name=b"b.csv"), count=1, here=1),
    "spread over disks": lambda: archive(File(), disk=1),
    "an entry on another disk": lambda: archive(File(disk=1)),
    "ZIP64 says another number": lambda: _zip64(count=7, here=7),
    "ZIP64 and small end differ": lambda: _zip64(small=2),
    "ZIP64 elsewhere": lambda: _zip64(at=5),
    "ZIP64 directory beyond the file": lambda: _zip64(begin=1 << 62),
    "longer than the archive": lambda: archive(File(packed_size=100_000)),
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
        "an absolute name": archive(File(name=b"/var/data/out/guests.csv")),
        "UTF-8 name": archive(File(name="gäste.csv".encode(), flags=0x800)),
        "ZIP64 end": _zip64(),
        "by the library": by_library(),
        "ZIP64 by the library": by_library(force_zip64=True),
        "streamed, sizes follow": streamed.getvalue(),
    }
