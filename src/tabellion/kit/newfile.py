"""The file that a verb is told to write: whole and on the disk under its name, or not there at all."""

import errno
import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tabellion.kit import disk

_SUFFIX = ".tabellion-partial"


class NotWritten(Exception):
    """The file cannot be written, or may not; the message says why."""


def check(path: Path, *, force: bool, what: str) -> None:
    """That a file can be written there, before the work is done for it. Raises `NotWritten`."""
    _refuse(path, force=force)
    if not path.parent.is_dir():
        raise NotWritten(f"no {what} can be written to {path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK) and not _takes_what_comes(path):
        raise NotWritten(f"no {what} can be written to {path}: this user has no right to write in {path.parent.absolute()}")


@contextmanager
def written(path: Path, *, force: bool, what: str) -> Generator[BinaryIO]:
    """The file to write; it gets its name, for its owner alone, when the block ends well. `what` it is, for messages.

    Raises `NotWritten`.
    """
    path = path.absolute()
    _refuse(path, force=force)
    if _takes_what_comes(path):
        with path.open("wb") as file:
            yield file
        return
    partial = path.with_name(f".{path.name}{_SUFFIX}")
    try:
        _forget_dead(path.parent)
        handle = _opened(partial)
    except BlockingIOError:
        raise NotWritten(f"another {what} is being written to {path}: wait for it, or choose another file") from None
    except OSError as error:
        raise NotWritten(f"no {what} can be written in {path.parent}: {error.strerror}") from error
    with os.fdopen(handle, "r+b") as file:
        try:
            file.truncate(0)
            yield file
            file.flush()
            os.fsync(handle)
            _refuse(path, force=force)
            partial.replace(path)
        except BaseException as error:
            with suppress(OSError):
                file.truncate(0)  # what is not flushed yet need not find room any more
            partial.unlink(missing_ok=True)
            with suppress(OSError):
                file.close()  # or so little that it is all still to be written, and finds none
            if isinstance(error, OSError) and is_full(error):
                raise full(str(path.parent), what) from error
            raise
    disk.sync_folder(path.parent)


def full(where: str, what: str) -> NotWritten:
    """That there is no room."""
    return NotWritten(f"the disk of {where} is full: no {what} was made, and nothing of it was left there; make room")


def is_full(error: OSError) -> bool:
    """Whether it is that there is no room, on the disk or by the limit of the size of files."""
    return disk.is_full(error) or error.errno == errno.EFBIG


def _refuse(path: Path, *, force: bool) -> None:
    if path.is_dir():
        raise NotWritten(f"{path} is a folder: name a file in it")
    if path.exists() and not force and not _takes_what_comes(path):
        raise NotWritten(f"{path} is there already: choose another name, or replace it with --force")


def _takes_what_comes(path: Path) -> bool:
    """Whether it is a pipe or a device, which keeps its place and loses nothing by being written to."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _opened(partial: Path) -> int:
    """The file, made if need be, and locked: who finds it unlocked knows that its writer was killed.

    Between the two steps others may have taken it for dead, or come to their end with it. Raises `OSError`.
    """
    while True:
        handle = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), partial.lstat()):
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _forget_dead(folder: Path) -> None:
    """Delete what programs have left that were killed."""
    for path in folder.glob(f".*{_SUFFIX}"):
        with suppress(OSError):
            handle = _opened(path)
            try:
                path.unlink()
            finally:
                os.close(handle)
