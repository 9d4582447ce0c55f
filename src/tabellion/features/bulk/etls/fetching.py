"""Files of a location: which are for an ETL, fetching them, and what becomes of them when they are loaded."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from tabellion.features.bulk.etls.definition import Definition
from tabellion.features.bulk.etls.model import Uploaded
from tabellion.features.bulk.fenced import JobError
from tabellion.features.bulk.names import NamePattern
from tabellion.features.transfers import Location
from tabellion.platform.files import MAX_FILES
from tabellion.platform.transfer import Folder, RemoteFile, TransferError

# How long a file must stay as it is before it is believed to be whole, and how often that is tried.
SETTLED_S = 5.0
_TURNS = 12
Taken = Mapping[str, tuple[int, str]]


def meant(files: Sequence[RemoteFile], definition: Definition, taken: Taken) -> list[RemoteFile]:
    """The files of a listing that match a pattern and were not taken as they are, by name."""
    patterns = [NamePattern(file.name_pattern) for file in definition.files if file.name_pattern is not None]
    found = [
        file
        for file in files
        if taken.get(file.name) != (file.size, file.stamp) and any(pattern.matches(file.name) for pattern in patterns)
    ]
    return sorted(found, key=lambda file: file.name)


def is_complete(files: Sequence[RemoteFile], definition: Definition) -> bool:
    """Whether there are files at all, and one for each that is required. Archives hold any of them."""
    if not files:
        return False
    patterns = [NamePattern(f.name_pattern) for f in definition.files if f.name_pattern is not None and f.required]
    return all(any(pattern.matches(file.name) for file in files) for pattern in patterns)


async def fetch(
    folder: Folder, definition: Definition, taken: Taken, target: Path, max_bytes: int
) -> tuple[list[Uploaded], list[RemoteFile]]:
    """Copy what is meant into a folder of the spool, once it does not grow any more; names are not taken over.

    Raises `TransferError`, `JobError` (transfer.tooLarge, transfer.tooMany).
    """
    chosen = await _settled(folder, definition, taken)
    if len(chosen) > MAX_FILES:
        raise JobError("transfer.tooMany", f"{len(chosen)} files are meant; an execution takes {MAX_FILES} at most")
    if sum(file.size for file in chosen) > max_bytes:
        raise JobError("transfer.tooLarge", f"the files are over {max_bytes:,} bytes, the licence's limit of a bulk call")
    uploads: list[Uploaded] = []
    left = max_bytes
    await asyncio.to_thread(target.mkdir, mode=0o700, exist_ok=True)
    for number, file in enumerate(chosen):
        place = f"upload-{number}"
        await folder.fetch(file.name, target / place, left)
        left -= (target / place).stat().st_size
        uploads.append(Uploaded(place, file.name))
    return uploads, chosen


async def put_away(folder: Folder, location: Location, loaded: Taken) -> list[str]:
    """Delete or move the files that were loaded, unless they are others by now; the names of those that are gone.

    Safe to repeat: what is gone is gone. Raises `TransferError`.
    """
    now = {file.name: (file.size, file.stamp) for file in await folder.files()}
    gone: list[str] = []
    for name, as_it_was in loaded.items():
        if name in now and now[name] != as_it_was:
            continue
        if location.after_read == "DELETE":
            await folder.remove(name)
        elif location.move_to is not None:
            await folder.move(name, location.move_to)
        gone.append(name)
    return gone


async def _settled(folder: Folder, definition: Definition, taken: Taken) -> list[RemoteFile]:
    """What is meant, once it stays as it is; what has come meanwhile and is not known to be whole is for the next execution,
    unless it is required.

    Raises `TransferError` (READ) for a file that does not come to rest: half a file has half a line at its end.
    """
    before = now = meant(await folder.files(), definition, taken)
    for _ in range(_TURNS):
        if not now:
            return now
        await asyncio.sleep(SETTLED_S)
        before, now = now, meant(await folder.files(), definition, taken)
        if now == before:
            return now
    seen = {file.name for file in before}
    whole = [file for file in now if file in before]
    unsettled = [file.name for file in now if file.name in seen and file not in before]
    if not unsettled and is_complete(now, definition) and not is_complete(whole, definition):
        unsettled = [file.name for file in now if file.name not in seen]
    if unsettled:
        raise TransferError(
            "READ",
            f"'{unsettled[0]}' is not at rest after {_TURNS * SETTLED_S:g} s; have it sent under another name, "
            "and renamed once it is whole",
        )
    return whole
