"""The mark of a restore in a data directory, from its first moment until the database in it has a mark of its own.

A restore that is killed while it makes the embedded database would else leave what looks like a new, empty server.
"""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from tabellion.kit.disk import sync_folder
from tabellion.server.postgres.errors import EmbeddedPostgresError

FILE = "restore.unfinished"


@contextmanager
def marked(data_dir: Path) -> Generator[Callable[[], None]]:
    """Mark the data directory, which exists; by the function, or at the end of the block, the mark is taken away."""
    path = data_dir / FILE
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    sync_folder(data_dir)

    def take_away() -> None:
        path.unlink(missing_ok=True)

    try:
        yield take_away
    finally:
        take_away()


def refuse(data_dir: Path) -> None:
    """Raise `EmbeddedPostgresError` when a restore has left the data directory without coming to a database."""
    if (data_dir / FILE).exists():
        folder = data_dir.absolute()
        raise EmbeddedPostgresError(
            f"a restore into {folder} has begun and did not come to its end: when none is under way there any more, run "
            f"tabellion restore FILE --data-dir {folder} again, which begins anew. To begin an empty server instead, remove "
            f"that folder first"
        )
