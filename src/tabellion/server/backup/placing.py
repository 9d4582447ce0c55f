"""The files of a backup into a data directory."""

import os
import shutil
from pathlib import Path

from tabellion.kit.disk import sync_folder
from tabellion.platform.secrets import ring
from tabellion.server.backup.archive import Reader
from tabellion.server.backup.errors import BackupError
from tabellion.server.backup.folders import make_folder
from tabellion.server.backup.manifest import KEY, SPOOL


def check_key(reader: Reader, data_dir: Path) -> None:
    """That a file of keys which is there already opens what the backup's does, where it has one. Raises `BackupError`."""
    there = data_dir / KEY
    if _holds_key(reader) and there.exists() and not _opens_as_much(there, b"".join(reader.read(KEY))):
        raise BackupError(
            f"{there.absolute()} is another key than the backup's: move it away, or choose another data directory"
        )


def has_files(data_dir: Path) -> bool:
    """Whether the spool holds anything."""
    spool = data_dir / SPOOL
    return spool.is_dir() and any(spool.iterdir())


def remove_files(data_dir: Path) -> None:
    """Remove what a restore has put into the spool."""
    spool = data_dir / SPOOL
    for path in spool.iterdir() if spool.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def place_files(reader: Reader, data_dir: Path) -> int:
    """Write the files, so that they are there after a power cut; how many of bulk calls. Raises `BackupError`, `OSError`."""
    owner = data_dir.stat() if os.geteuid() == 0 else None
    folders = {data_dir}
    count = 0
    for part in reader.manifest.parts:
        # The names were checked when the archive was read.
        if part.name != KEY and not part.name.startswith(f"{SPOOL}/"):
            continue
        path = data_dir / part.name
        if part.name == KEY and path.exists():
            continue  # the same one, or one of later
        count += part.name != KEY
        for folder in reversed(path.relative_to(data_dir).parents[:-1]):
            make_folder(data_dir / folder, data_dir)
            folders.add(data_dir / folder)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            for piece in reader.read(part.name):
                file.write(piece)
            file.flush()
            os.fsync(handle)
            if owner is not None:
                os.fchown(handle, owner.st_uid, owner.st_gid)
    for folder in folders:
        sync_folder(folder)
    return count


def _opens_as_much(there: Path, other: bytes) -> bool:
    """Whether the file has all keys of another one, as a server's has that was rotated since."""
    try:
        one, two = ring.parse(there.read_bytes(), there), ring.parse(other, there)
    except ring.KeyUnusable:
        return False
    known = {key.raw for key in one.opening}
    return one.hashing.raw == two.hashing.raw and known.issuperset(key.raw for key in two.opening)


def _holds_key(reader: Reader) -> bool:
    return any(part.name == KEY for part in reader.manifest.parts)
