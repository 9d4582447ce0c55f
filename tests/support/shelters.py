"""Databases of tests outside of pytest's folders.

PostgreSQL does not run as root, and the user it runs as then may not enter the folders of pytest: servers that tests start as root
keep their databases in a folder of the system, as `tabellion serve` tells, and nothing else would remove them.
"""

import shutil
from pathlib import Path

_SHELTERS = Path("/var/lib/tabellion")


def remove_shelters(folder: Path) -> None:
    """Remove the databases of data directories below `folder`; their servers have ended."""
    for note in _SHELTERS.glob("*/postgres/data-directory"):
        if Path(note.read_text().strip()).is_relative_to(folder):
            shutil.rmtree(note.parent.parent)
