"""One `tabellion serve` for each data directory: a second one would be meant for another, or forgotten the first.

Where the database is an own one, several servers may share a data directory, as several machines do.
"""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tabellion.server.postgres.locks import open_lock

_FILE = "serve.lock"


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
    try:
        refuse_second(data_dir)
    except AlreadyServed:
        return (data_dir.absolute() / _FILE).read_text(errors="replace").partition(", ")[2]
    return None


@contextmanager
def claimed(data_dir: Path, address: str) -> Generator[None]:
    """Be the server of the data directory, which exists. Raises `AlreadyServed`."""
    path = data_dir.absolute() / _FILE
    lock = open_lock(path)
    try:
        _lock(lock, fcntl.LOCK_EX, path)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"process {os.getpid()}, {address}".encode(), 0)
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
