"""Databases of tests outside of pytest's folders.

PostgreSQL does not run as root, and the user it runs as then may not enter the folders of pytest: servers that tests start as root
keep their databases in a folder of the system, as `tabellion serve` tells, and nothing else would remove them.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from tests.support.waiting import until

_SHELTERS = Path("/var/lib/tabellion")


def remove_shelters(folder: Path) -> None:
    """Remove the databases of data directories below `folder`, once their servers have ended: the last may be about to."""
    for note in _SHELTERS.glob("*/postgres/data-directory"):
        if Path(note.read_text().strip()).is_relative_to(folder):
            cluster = note.parent
            # A test that failed may have left its server behind: that is told by the test, and not here.
            with suppress(AssertionError):
                until(lambda cluster=cluster: not _is_served(cluster))
            shutil.rmtree(cluster.parent, ignore_errors=True)


def _is_served(cluster: Path) -> bool:
    try:
        os.kill(int((cluster / "postmaster.pid").read_text().split()[0]), 0)
    except (OSError, ValueError, IndexError):
        return False
    return True
