"""The file of a backup: a plain tar archive (ustar) that any tar reads.

`database/000001` and so on are the pieces of one dump in pg_dump's custom format; `spool/...` are the files of bulk calls;
`secret.key`; then `manifest.json` with the sums of all of these, and `manifest.sha256` with the sum of that.

Reading is strict: whatever this program does not write (links, other names, entries larger than the file) is refused, so
that nothing in a file from a stranger leads anywhere.
"""

import hashlib
import os
import re
import tarfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from tabellion.server.backup.errors import BackupError
from tabellion.server.backup.manifest import DATABASE, FORMAT, KEY, Manifest, Part

_BLOCK = tarfile.BLOCKSIZE
_READ = 1024 * 1024
# In memory while it is written: the length of an entry stands before it.
PIECE = 16 * _READ
# What stands for the standard input or output in the place of a file.
STANDARD = "-"
# How files begin that a backup was put into on its way.
_WRAPPED = {
    b"\x1f\x8b": "compressed with gzip: unpack it",
    b"BZh": "compressed with bzip2: unpack it",
    b"\xfd7zXZ\0": "compressed with xz: unpack it",
    b"\x28\xb5\x2f\xfd": "compressed with zstd: unpack it",
    b"age-encryption.org/": "encrypted with age: decrypt it",
    b"-----BEGIN AGE ENCRYPTED FILE": "encrypted with age: decrypt it",
    b"-----BEGIN PGP MESSAGE": "encrypted with PGP: decrypt it",
}
MANIFEST, SUM = "manifest.json", "manifest.sha256"
_MAX_MANIFEST = 512 * _READ
_NAME = re.compile(
    rf"{DATABASE}/\d{{6,9}}|spool(?:/[A-Za-z0-9][A-Za-z0-9._-]{{0,39}}){{2,3}}|{re.escape(KEY)}|manifest\.(?:json|sha256)"
)


class Entry(NamedTuple):
    """A file in the archive; `start` is where its bytes begin."""

    name: str
    size: int
    start: int


class Writer:
    """Writes an archive from its beginning to its end, to a file or a pipe. `parts` is what has been written."""

    def __init__(self, out: BinaryIO, made_at: datetime) -> None:
        self._out = out
        self._mtime = int(made_at.timestamp())
        self.parts: list[Part] = []
        self.bytes = 0

    def stream(self, name: str, pieces: Iterable[bytes]) -> None:
        """Add a part whose length is not known, as entries `name/000001`, ..."""
        digest, size, number = hashlib.sha256(), 0, 0
        for number, piece in enumerate(pieces, 1):
            self._entry(f"{name}/{number:06d}", len(piece), [piece])
            digest.update(piece)
            size += len(piece)
        self.parts.append(Part(name, size, digest.hexdigest(), number))

    def file(self, name: str, path: Path) -> None:
        """Add a file as long as it is by now. What grows, shrinks or is gone meanwhile is of no row in the backup."""
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.sha256()

            def pieces() -> Iterator[bytes]:
                left = size
                while left:
                    piece = file.read(min(_READ, left)) or bytes(min(_READ, left))
                    left -= len(piece)
                    digest.update(piece)
                    yield piece

            self._entry(name, size, pieces())
        self.parts.append(Part(name, size, digest.hexdigest()))

    def close(self, manifest: Manifest) -> None:
        """Add the manifest, and end the archive."""
        content = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
        self._entry(MANIFEST, len(content), [content])
        line = f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}\n".encode()
        self._entry(SUM, len(line), [line])
        self._write(bytes(2 * _BLOCK))

    def _entry(self, name: str, size: int, pieces: Iterable[bytes]) -> None:
        if _NAME.fullmatch(name) is None:
            raise BackupError(f"{name} cannot be in a backup: nothing of Tabellion's has such a name")
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size, self._mtime, 0o600
        # Numbers that ustar has no room for (8 GB) are written as GNU tar does.
        self._write(info.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict"))
        for piece in pieces:
            self._write(piece)
        self._write(bytes(-size % _BLOCK))

    def _write(self, data: bytes) -> None:
        self._out.write(data)
        self.bytes += len(data)


class Reader:
    """A backup that is read; the file has to be a real one, as it is read twice. Raises `BackupError`."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        entries = list(self._entries())
        if [entry.name for entry in entries[-2:]] != [MANIFEST, SUM]:
            raise self._broken("its manifest is missing: it is cut off, or no backup of Tabellion")
        self.manifest = self._manifest(*entries[-2:])
        self._parts = {part.name: (part, mine) for part, mine in self._matched(entries[:-2])}

    def check(self) -> None:
        """Read all, and compare each sum."""
        for name in self._parts:
            for _ in self.read(name):
                pass

    def read(self, name: str) -> Iterator[bytes]:
        """The content of a part; ends with an error when it is not what the manifest says."""
        part, entries = self._parts[name]
        digest = hashlib.sha256()
        for entry in entries:
            self._file.seek(entry.start)
            left = entry.size
            while left:
                piece = self._file.read(min(_READ, left))
                if not piece:
                    raise self._broken("it is cut off")
                left -= len(piece)
                digest.update(piece)
                yield piece
        if digest.hexdigest() != part.sha256:
            raise self._broken(f"the sum of {part.name} is wrong")

    def _refuse_wrapped(self) -> None:
        """That nobody has packed or encrypted the backup. Raises `BackupError`."""
        self._file.seek(0)
        block = self._file.read(_BLOCK)
        for beginning, what in _WRAPPED.items():
            if block.startswith(beginning):
                raise BackupError(f"{self._name} cannot be restored as it is: it is {what} first. Nothing was changed")

    def _entries(self) -> Iterator[Entry]:
        end = self._file.seek(0, os.SEEK_END)
        at = 0
        self._refuse_wrapped()
        while True:
            self._file.seek(at)
            block = self._file.read(_BLOCK)
            if not block.strip(b"\0") and len(block) == _BLOCK:
                return
            try:
                info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
            except (tarfile.HeaderError, UnicodeError, ValueError):
                raise self._broken("it is cut off, or no backup of Tabellion" if at else "it is no tar archive") from None
            if info.type not in {tarfile.REGTYPE, tarfile.AREGTYPE} or _NAME.fullmatch(info.name) is None:
                raise self._broken(f"it holds {info.name[:80]!r}, which no backup holds")
            start = at + _BLOCK
            if info.size < 0 or start + info.size > end:
                raise self._broken(f"{info.name} says to hold {info.size:,} bytes, and the file ends before that")
            yield Entry(info.name, info.size, start)
            at = start + info.size + -info.size % _BLOCK

    def _manifest(self, entry: Entry, sum_entry: Entry) -> Manifest:
        if entry.size > _MAX_MANIFEST or sum_entry.size > _BLOCK:
            raise self._broken("its manifest is too large")
        content, line = (self._whole(each) for each in (entry, sum_entry))
        if line != f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}\n".encode():
            raise self._broken(f"the sum of {MANIFEST} is wrong")
        try:
            number = msgspec.json.decode(content, type=dict[str, msgspec.Raw])["format"]
            if int(bytes(number)) > FORMAT:
                raise BackupError(
                    f"{self._name} was made by a newer Tabellion: restore it with that version, or a later one"
                )
            return msgspec.json.decode(content, type=Manifest)
        except (msgspec.DecodeError, KeyError, ValueError):
            raise self._broken("its manifest cannot be read") from None

    def _matched(self, entries: list[Entry]) -> Iterator[tuple[Part, list[Entry]]]:
        """The parts of the manifest with their entries: each is there, in its order, and nothing else is."""
        at = 0
        seen: set[str] = set()
        for part in self.manifest.parts:
            mine = entries[at : at + part.pieces]
            stream = part.name == DATABASE
            names = [f"{DATABASE}/{n:06d}" for n in range(1, part.pieces + 1)] if stream else [part.name]
            if [e.name for e in mine] != names or sum(e.size for e in mine) != part.bytes or part.name in seen:
                raise self._broken(f"{part.name} is not what its manifest says")
            seen.add(part.name)
            at += len(mine)
            yield part, mine
        if at != len(entries) or DATABASE not in seen:
            raise self._broken("it does not hold what its manifest says")

    def _whole(self, entry: Entry) -> bytes:
        self._file.seek(entry.start)
        return self._file.read(entry.size)

    def _broken(self, why: str) -> BackupError:
        return BackupError(f"{self._name} cannot be restored: {why}. Nothing was changed; use another backup")


def open_backup(path: Path) -> BinaryIO:
    """Open the file of a backup. Raises `BackupError`."""
    try:
        if path.is_dir():
            raise BackupError(f"{path} is a folder: name the file of a backup in it")
        if not path.is_file():
            if path.exists() or path == Path(STANDARD):
                raise BackupError(f"{path} is no file: a backup is read twice, so that it cannot come from a pipe")
            raise BackupError(f"there is no file {path.absolute()}")
        return path.open("rb")
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror}") from error
