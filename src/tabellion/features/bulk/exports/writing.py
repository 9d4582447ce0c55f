"""The file of an export: what the database sends, encoded and compressed on the way, counted and hashed."""

import codecs
import csv
import gzip
import hashlib
import io
import os
import queue
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tabellion.kit.charsets import UTF_8, UTF_16

_LEVEL = 1
_WAITING_PIECES = 8
MANIFEST = "manifest.json"
_PIECE = 1 << 20


class Written(NamedTuple):
    """What was written: rows, and size and hash of the file as it is downloaded."""

    rows: int
    bytes: int
    sha256: str


class Target(NamedTuple):
    """The file: where it stands, what the rows are called in a zip, and how it is written. `moment`: of the snapshot."""

    path: Path
    name: str
    compression: str
    charset: str
    moment: str


class Manifest(msgspec.Struct, rename="camel"):
    """The second entry of a zip: what the first has to be; its size and hash are of the text."""

    file: str
    rows: int
    bytes: int
    sha256: str
    exported_at: str


def header(names: list[str], separator: str, enclosing: str) -> str:
    """The first line of a CSV."""
    out = io.StringIO()
    csv.writer(out, delimiter=separator, quotechar=enclosing, lineterminator="\n").writerow(names)
    return out.getvalue()


def write(target: Target, first: str, pieces: Iterator[tuple[bytes, int]], progress: Callable[[int], None]) -> Written:
    """Write a file whole and in its place, or not at all; `first` comes before the pieces. Raises `OSError`.

    Encoding, hashing and compressing have a thread of their own; characters that the encoding lacks become `?`.
    """
    partial = target.path.with_suffix(".part")
    waiting: queue.Queue[bytes | None] = queue.Queue(_WAITING_PIECES)
    sink = _Sink(partial, target)
    worker = threading.Thread(target=sink.work, args=(waiting,), name="export")
    worker.start()
    rows = 0
    try:
        waiting.put(first.encode())
        for piece, count in pieces:
            waiting.put(piece)
            rows += count
            progress(rows)
            if sink.error is not None:
                break
        waiting.put(None)
        worker.join()
        written = sink.close(rows)
    except BaseException:
        waiting.put(None)
        worker.join()
        sink.abandon()
        raise
    partial.replace(target.path)
    return written


class _Sink:
    """Takes text in UTF-8 and writes the file."""

    def __init__(self, path: Path, target: Target) -> None:
        self._path = path
        self._target = target
        self._file = path.open("wb")
        self._zip: zipfile.ZipFile | None = None
        self._out: Any = self._file
        if target.compression == "ZIP":
            self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL)
            self._out = self._zip.open(target.name, "w", force_zip64=True)
        elif target.compression == "GZIP":
            self._out = gzip.GzipFile(fileobj=self._file, mode="wb", compresslevel=_LEVEL, filename="")
        self._charset = target.charset
        self._begins = True
        self._hash = hashlib.sha256()
        self._bytes = 0
        self.error: Exception | None = None

    def work(self, waiting: "queue.Queue[bytes | None]") -> None:
        """Write what comes; after an error, only take it."""
        while (piece := waiting.get()) is not None:
            if self.error is not None:
                continue
            try:
                self._write(piece)
            except Exception as error:  # noqa: BLE001 - it is raised by who waits for the thread
                self.error = error

    def _write(self, piece: bytes) -> None:
        if self._charset != UTF_8:
            text = piece.decode()
            if self._charset == UTF_16:
                piece = (codecs.BOM_UTF16_LE if self._begins else b"") + text.encode("utf-16-le")
            else:
                piece = text.encode(self._charset, errors="replace")
        self._begins = False
        self._hash.update(piece)
        self._bytes += len(piece)
        self._out.write(piece)

    def close(self, rows: int) -> Written:
        """Finish the file, and wait until the disk has it. Raises what went wrong before."""
        if self.error is not None:
            raise self.error
        written = Written(rows, self._bytes, self._hash.hexdigest())
        packed = self._out is not self._file
        if packed:
            self._out.close()
        if self._zip is not None:
            manifest = Manifest(self._target.name, *written, self._target.moment)
            self._zip.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2))
            self._zip.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return _of_file(self._path, rows) if packed else written

    def abandon(self) -> None:
        """Leave nothing behind, also where there is no room for the end of an archive."""
        for each in (self._out, self._zip, self._file):
            with suppress(Exception):
                if each is not None:
                    each.close()
        self._path.unlink(missing_ok=True)


def _of_file(path: Path, rows: int) -> Written:
    """What is said of a compressed file; a zip is not written from its beginning to its end, so that it is read again."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Written(rows, path.stat().st_size, digest)
