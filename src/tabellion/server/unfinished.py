"""The mark of a restore in a data directory, from its first moment until the database in it has a mark of its own.

A restore that ends while it makes the embedded database would else leave what looks like a new, empty server.
"""

import os
from pathlib import Path

from tabellion.kit.disk import sync_folder
from tabellion.server.postgres.errors import EmbeddedPostgresError
from tabellion.server.postgres.place import is_made

FILE = "restore.unfinished"


def mark(data_dir: Path) -> None:
    """Mark the data directory, which exists, unless it has a database: that is somebody's, or has been marked itself."""
    if is_made(data_dir):
        return
    os.close(os.open(data_dir / FILE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    sync_folder(data_dir)


def take_away(data_dir: Path) -> None:
    """Take the mark away: the database has its own, or is somebody's."""
    (data_dir / FILE).unlink(missing_ok=True)


def refuse(data_dir: Path) -> None:
    """Raise `EmbeddedPostgresError` when a restore has left the data directory without coming to a database."""
    if (data_dir / FILE).exists():
        folder = data_dir.absolute()
        raise EmbeddedPostgresError(
            f"a restore into {folder} has begun and did not come to its end: when none is under way there any more, run "
            f"tabellion restore FILE --data-dir {folder} again, which begins anew. To begin an empty server instead, remove "
            f"that folder first"
        )
