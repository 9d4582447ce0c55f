"""The folder of files that calls and jobs share: uploads on their way, what jobs read and write.

A file is there before the row that names it is committed, and goes after the row has said so. A backup takes its snapshot
and the names of the files at one moment, during which nobody deletes (`keeping`, `deleting`).
"""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_folders: list[Path] = []
# Beside the folder: in it, it would be taken for what a call has left.
_LOCK = "spool.lock"


def use_spool(folder: Path) -> None:
    """Say where it is, once per process; it is made if it is not there, for its owner alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _folders[:] = [folder]


def spool() -> Path:
    """Where it is."""
    if not _folders:
        raise RuntimeError("use_spool() was not called")
    return _folders[0]


@contextmanager
def deleting(folder: Path) -> Generator[None]:
    """While files that rows have named are deleted from the spool `folder`; waits for a backup's snapshot, some moments."""
    with _locked(folder, fcntl.LOCK_SH):
        yield


@contextmanager
def keeping(folder: Path) -> Generator[None]:
    """While nothing may be deleted from the spool `folder`."""
    with _locked(folder, fcntl.LOCK_EX):
        yield


@contextmanager
def _locked(folder: Path, kind: int) -> Generator[None]:
    lock = os.open(folder.with_name(_LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if os.geteuid() == 0:  # a backup that root makes must not shut the server out
            owner = folder.parent.stat()
            os.fchown(lock, owner.st_uid, -1)
        fcntl.flock(lock, kind)
        yield
    finally:
        os.close(lock)
