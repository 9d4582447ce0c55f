"""The nightly purge of bulk calls: rows first, then whatever no row knows in the spool; the files of erased licences."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path

from procrastinate import App

from tabellion.features.bulk import abandoned, erasing
from tabellion.features.bulk.etls import service as etls
from tabellion.features.bulk.exports import service as exports
from tabellion.features.bulk.imports import service as imports
from tabellion.features.bulk.retrying import Again
from tabellion.platform import files
from tabellion.platform.database.connection import Database
from tabellion.platform.jobs.periodic import periodic

# Each forgets what is over its time, and tells the folders of the rest.
_PURGES: Sequence[Callable[[Database, datetime], Awaitable[set[str]]]] = (imports.purge, etls.purge, exports.purge)
# What was uploaded for a call that was never accepted, and what a purge has left without an owner.
_ORPHANS_KEPT_S = 24 * 3600


def register(jobs: App, url: str, spool: Path) -> None:
    """Register the purge, and the erasure of what an erased licence had."""
    said = "deleted %d files and folders of bulk calls"
    periodic(jobs, url, "bulk.purge", "37 3 * * *", lambda db, now: purge(db, spool, now), says=said)

    @jobs.task(name=erasing.TASK, retry=Again(), pass_context=False)
    async def erase(folders: list[str]) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        await asyncio.to_thread(erasing.erase, spool, folders)


async def purge(db: Database, spool: Path, now: datetime) -> int:
    """Forget what is over its time with its files; returns how many files and folders were deleted.

    What nobody goes on with is cancelled first, so that its time begins.
    """
    await abandoned.cancel(db, now)
    known: set[str] = set()
    for forget in _PURGES:
        known |= await forget(db, now)
    return await asyncio.to_thread(_sweep, spool, known, now.timestamp() - _ORPHANS_KEPT_S)


def _sweep(spool: Path, known: set[str], before: float) -> int:
    old = [path for path in spool.iterdir() if path.name not in known and _changed_at(path) < before]
    with files.deleting(spool):
        for path in old:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
    return len(old)


def _changed_at(path: Path) -> float:
    """What has gone meanwhile (an upload that was accepted or refused) is not old."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
