"""Of disks: whether one is full, and what is still there after a power cut."""

import errno
import os
from pathlib import Path

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_full(error: OSError) -> bool:
    """Whether there was no room."""
    return error.errno in _FULL


def sync_folder(folder: Path) -> None:
    """Have the names in a folder be those that they are now, after a power cut as well. Raises `OSError`."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
