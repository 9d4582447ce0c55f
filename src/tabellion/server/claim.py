"""One `tabellion serve` for each data directory: a second one would be meant for another, or forgotten the first.

Where the database is an own one, several servers may share a data directory, as several machines do.
"""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tabellion import __version__
from tabellion.server.postgres.locks import open_lock

_FILE = "serve.lock"
# Releases up to 0.10.0 do not say it.
_OF_THIS_VERSION = f" of version {__version__}, "


class AlreadyServed(Exception):
    """Another server runs on the data directory; the message names it."""


def refuse_second(data_dir: Path) -> None:
    """Raise `AlreadyServed` if a server runs on the data directory; makes nothing."""
    path = data_dir.absolute() / _FILE
    if path.exists():
        lock = open_lock(path)
        try:
            _lock(lock, fcntl.LOCK_SH, path)
        finally:
            os.close(lock)


def served_at(data_dir: Path) -> str | None:
    """The address of the server that runs on the data directory, empty while it starts; None: none runs."""
    told = _told(data_dir)
    return None if told is None else told.partition(", ")[2]


def is_served(data_dir: Path, *, by_this_version: bool = False) -> bool:
    """Whether a server runs on the data directory, or starts there, or stops; of any version, or of this program's."""
    told = _told(data_dir)
    return told is not None and (not by_this_version or _OF_THIS_VERSION in told)


def _told(data_dir: Path) -> str | None:
    """What the server says of itself that runs on the data directory; None: none runs."""
    try:
        refuse_second(data_dir)
    except AlreadyServed:
        return (data_dir.absolute() / _FILE).read_text(errors="replace")
    return None


@contextmanager
def claimed(data_dir: Path, address: str) -> Generator[None]:
    """Be the server of the data directory, which exists. Raises `AlreadyServed`."""
    path = data_dir.absolute() / _FILE
    lock = open_lock(path)
    try:
        _lock(lock, fcntl.LOCK_EX, path)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"process {os.getpid()}{_OF_THIS_VERSION}{address}".encode(), 0)
        yield
    finally:
        os.close(lock)


def _lock(lock: int, kind: int, path: Path) -> None:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        who = path.read_text(errors="replace").strip() or "it is just starting"
        raise AlreadyServed(
            f"a server runs on the data directory {path.parent} already ({who}): use it, stop it first, or choose another "
            "--data-dir; more API processes come with --workers"
        ) from None
