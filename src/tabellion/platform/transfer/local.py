"""Folders of the server's own machine, below the one that the operator has set aside for a licence."""

import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from tabellion.platform.egress import Policy
from tabellion.platform.transfer.folder import Folder, Opened, in_thread
from tabellion.platform.transfer.model import (
    RemoteFile,
    Server,
    Tally,
    TransferError,
    is_plain_name,
    partial_name,
    too_large,
)

_BLOCK = 1 << 20


@asynccontextmanager
async def open_folder(server: Server, path: str, policy: Policy) -> AsyncGenerator[Opened]:
    """A folder below `server.root`. Raises `TransferError`."""
    if server.root is None:
        raise TransferError("CONNECT", "the operator has set no folder aside (TABELLION_TRANSFERS_FOLDER)")
    yield Opened(_LocalFolder(server.root, path))


class _LocalFolder(Folder):
    errors = (OSError,)

    def __init__(self, root: Path, path: str) -> None:
        self.called = f"the folder '{path}'"
        self._root = root
        self._cut = lambda: None
        self._path = path

    def _failure(self, step: str, what: str, error: Exception) -> TransferError:
        # Not where the folder is on this machine, which the error itself tells.
        why = error.strerror if isinstance(error, OSError) else None
        return TransferError(step, f"{what}: {(why or 'it fails').lower()}")

    def _folder(self, path: str | None = None) -> Path:
        """The folder, links followed: it must be below the root even then."""
        path = self._path if path is None else path
        folder = (self._root / path.lstrip("/")).resolve()
        if not folder.is_relative_to(self._root.resolve()):
            raise FileNotFoundError(2, "no such folder")
        if not folder.is_dir():
            raise FileNotFoundError(2, "no such folder")
        return folder

    @in_thread
    def _files(self) -> list[RemoteFile]:
        with os.scandir(self._folder()) as entries:
            found, tally = list[RemoteFile](), Tally()
            for each in entries:
                tally.take()
                if each.is_file(follow_symlinks=False) and is_plain_name(each.name):
                    status = each.stat()
                    found.append(RemoteFile(each.name, status.st_size, str(status.st_mtime_ns)))
            return found

    @in_thread
    def _fetch(self, name: str, target: Path, max_bytes: int) -> None:
        source = os.open(self._folder() / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        copied = 0
        with os.fdopen(source, "rb") as file, target.open("wb") as out:
            while block := file.read(_BLOCK):
                copied += len(block)
                if copied > max_bytes:
                    raise too_large(name, max_bytes)
                out.write(block)

    @in_thread
    def _store(self, source: Path, name: str) -> None:
        folder = self._folder()
        partial = folder / partial_name(name)
        with source.open("rb") as file, partial.open("wb") as out:
            shutil.copyfileobj(file, out, _BLOCK)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(folder / name)

    @in_thread
    def _remove(self, name: str) -> None:
        self._folder().joinpath(name).unlink(missing_ok=True)

    @in_thread
    def _move(self, name: str, to: str) -> None:
        source = self._folder() / name
        if source.exists():
            source.replace(self._folder(to) / name)
