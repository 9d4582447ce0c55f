"""The folder of files that calls and jobs share: uploads on their way, what jobs read and write."""

from pathlib import Path

_folders: list[Path] = []


def use_spool(folder: Path) -> None:
    """Say where it is, once per process; it is made if it is not there, for its owner alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _folders[:] = [folder]


def spool() -> Path:
    """Where it is."""
    if not _folders:
        raise RuntimeError("use_spool() was not called")
    return _folders[0]
