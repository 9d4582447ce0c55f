"""Folders that backups and restores make, of whoever owns what they are in: the server may remove them then."""

import os
from pathlib import Path


def make_folder(folder: Path, like: Path) -> None:
    """Make a folder unless it is there; where root makes it, for the owner of `like`. Raises `OSError`."""
    if not folder.exists():
        folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            owner = like.stat()
            os.chown(folder, owner.st_uid, owner.st_gid)
