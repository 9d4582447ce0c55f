"""Files in the data directory that processes lock; the kernel drops the locks of a dead process."""

import os
from pathlib import Path

from tabellion.server.postgres.errors import EmbeddedPostgresError


def open_lock(path: Path) -> int:
    """Open such a file, made where it is missing, for `fcntl.flock`. Raises `EmbeddedPostgresError`.

    flock and not lockf: the lock belongs to this opening of the file, so two users in one process work as well.
    """
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if os.geteuid() == 0:  # whose data directory it is, must be able to lock it later
            os.fchown(lock, path.parent.stat().st_uid, -1)
    except OSError as error:
        raise EmbeddedPostgresError(f"{path} cannot be opened: {error.strerror}") from error
    return lock
