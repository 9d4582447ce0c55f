"""Folders of the server's own machine, below the one that the operator has set aside for a licence."""

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from tabellion.platform.egress import Policy
from tabellion.platform.transfer.model import (
    Opened,
    RemoteFile,
    Server,
    TransferError,
    is_plain_name,
    partial_name,
    too_large,
)

T = TypeVar("T")
_BLOCK = 1 << 20


@asynccontextmanager
async def open_folder(server: Server, path: str, policy: Policy) -> AsyncGenerator[Opened]:
    """A folder below `server.root`. Raises `TransferError`."""
    if server.root is None:
        raise TransferError("CONNECT", "the operator has set no folder aside (TABELLION_TRANSFERS_FOLDER)")
    yield Opened(_LocalFolder(server.root, path))


class _LocalFolder:
    def __init__(self, root: Path, path: str) -> None:
        self._root = root
        self._path = path

    async def files(self) -> list[RemoteFile]:
        return await self._run("LIST", f"the folder '{self._path}' cannot be listed", self._files)

    async def fetch(self, name: str, target: Path, max_bytes: int) -> None:
        await self._run("READ", f"'{name}' cannot be read", lambda: self._fetch(name, target, max_bytes))

    async def store(self, source: Path, name: str) -> None:
        await self._run("WRITE", f"'{name}' cannot be written", lambda: self._store(source, name))

    async def remove(self, name: str) -> None:
        await self._run(
            "WRITE", f"'{name}' cannot be deleted", lambda: self._folder().joinpath(name).unlink(missing_ok=True)
        )

    async def move(self, name: str, to: str) -> None:
        await self._run("WRITE", f"'{name}' cannot be moved to '{to}'", lambda: self._move(name, to))

    def _folder(self, path: str | None = None) -> Path:
        """The folder, links followed: it must be below the root even then."""
        path = self._path if path is None else path
        folder = (self._root / path.lstrip("/")).resolve()
        if not folder.is_relative_to(self._root.resolve()):
            raise FileNotFoundError(2, "no such folder")
        if not folder.is_dir():
            raise FileNotFoundError(2, "no such folder")
        return folder

    def _files(self) -> list[RemoteFile]:
        with os.scandir(self._folder()) as entries:
            plain = [e for e in entries if e.is_file(follow_symlinks=False) and is_plain_name(e.name)]
            return [RemoteFile(e.name, (found := e.stat()).st_size, str(found.st_mtime_ns)) for e in plain]

    def _fetch(self, name: str, target: Path, max_bytes: int) -> None:
        source = os.open(self._folder() / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        copied = 0
        with os.fdopen(source, "rb") as file, target.open("wb") as out:
            while block := file.read(_BLOCK):
                copied += len(block)
                if copied > max_bytes:
                    raise too_large(name, max_bytes)
                out.write(block)

    def _store(self, source: Path, name: str) -> None:
        folder = self._folder()
        partial = folder / partial_name(name)
        with source.open("rb") as file, partial.open("wb") as out:
            shutil.copyfileobj(file, out, _BLOCK)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(folder / name)

    def _move(self, name: str, to: str) -> None:
        source = self._folder() / name
        if source.exists():
            source.replace(self._folder(to) / name)

    @staticmethod
    async def _run(step: str, what: str, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except TransferError:
            raise
        except OSError as error:
            raise TransferError(step, f"{what}: {(error.strerror or 'it fails').lower()}") from None
