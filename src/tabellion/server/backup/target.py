"""The file that a backup is written to: whole and on the disk under its name, or not there at all."""

import errno
import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tabellion.kit import disk
from tabellion.server.backup.errors import BackupError

_SUFFIX = ".tabellion-partial"


@contextmanager
def written(path: Path, *, force: bool) -> Generator[BinaryIO]:
    """The file to write; it gets its name, for its owner alone, when the block ends well. Raises `BackupError`."""
    path = path.absolute()
    _refuse(path, force=force)
    partial = path.with_name(f".{path.name}{_SUFFIX}")
    try:
        _forget_dead(path.parent)
        handle = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise BackupError(f"no backup can be written in {path.parent}: {error.strerror}") from error
    with os.fdopen(handle, "r+b") as file:
        try:
            # Who finds it unlocked knows that its writer was killed.
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"another backup is being written to {path}: wait for it, or choose another file") from None
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
            if isinstance(error, OSError) and is_full(error):
                raise full(str(path.parent)) from error
            raise
    disk.sync_folder(path.parent)


def full(where: str) -> BackupError:
    """That there is no room."""
    return BackupError(f"the disk of {where} is full: no backup was made, and nothing of it was left there; make room")


def is_full(error: OSError) -> bool:
    """Whether it is that there is no room, on the disk or by the limit of the size of files."""
    return disk.is_full(error) or error.errno == errno.EFBIG


def _refuse(path: Path, *, force: bool) -> None:
    if path.is_dir():
        raise BackupError(f"{path} is a folder: name the file that the backup is written to")
    if path.exists() and not force:
        raise BackupError(f"{path} is there already: choose another name, or replace it with --force")


def _forget_dead(folder: Path) -> None:
    """Delete what backups have left that were killed."""
    for path in folder.glob(f".*{_SUFFIX}"):
        with suppress(OSError):
            handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(handle)
