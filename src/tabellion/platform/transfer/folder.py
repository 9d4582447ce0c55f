"""A folder on a server: what can be done with it, and what is told when that fails, for all protocols."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import wraps
from pathlib import Path
from typing import NamedTuple, ParamSpec, TypeVar

from tabellion.platform.transfer.model import RemoteFile, TransferError

# Within this time anything has to be done; files get more, as long as they keep a pace. A server that sends a byte now and
# then would else have a worker's place, and a thread, for as long as it likes: no other limit minds it.
STEP_S = 300.0
PACE_S, PACE_BYTES = 60.0, 1 << 20

P = ParamSpec("P")
T = TypeVar("T")


class Folder(ABC):
    """A folder on a server, for as long as the connection is open. All calls raise `TransferError`.

    One that takes too long, or is cancelled, ends the connection.

    Protocols do the work (`_files` and so on); what their clients raise of `errors` is told with the step and what was done.
    """

    errors: tuple[type[Exception], ...]
    called: str
    """What messages call it."""
    _cut: Callable[[], object]
    """Ends the connection, so that whatever waits for the server fails."""

    async def files(self) -> list[RemoteFile]:
        """The plain files in it."""
        return await self._told("LIST", f"{self.called} cannot be listed", self._files())

    async def fetch(self, name: str, target: Path, max_bytes: int) -> None:
        """Copy a file here, at most so many bytes."""

        def copied() -> int:
            return target.stat().st_size if target.exists() else 0

        target.unlink(missing_ok=True)  # noqa: ASYNC240 - a file of this machine
        await self._told("READ", f"'{name}' cannot be read", self._fetch(name, target, max_bytes), PACE_S, copied)

    async def store(self, source: Path, name: str) -> None:
        """Copy a file there: whole under its name, or not at all. What has the name is replaced."""
        size = source.stat().st_size  # noqa: ASYNC240 - a file of this machine
        within_s = STEP_S + size / PACE_BYTES * PACE_S
        await self._told("WRITE", f"'{name}' cannot be written", self._store(source, name), within_s)

    async def remove(self, name: str) -> None:
        """Delete a file; nothing when it is gone."""
        await self._told("WRITE", f"'{name}' cannot be deleted", self._remove(name))

    async def move(self, name: str, to: str) -> None:
        """Move a file into another folder of the server; nothing when it is gone."""
        await self._told("WRITE", f"'{name}' cannot be moved to '{to}'", self._move(name, to))

    @abstractmethod
    def _files(self) -> Awaitable[list[RemoteFile]]: ...

    @abstractmethod
    def _fetch(self, name: str, target: Path, max_bytes: int) -> Awaitable[None]: ...

    @abstractmethod
    def _store(self, source: Path, name: str) -> Awaitable[None]: ...

    @abstractmethod
    def _remove(self, name: str) -> Awaitable[None]: ...

    @abstractmethod
    def _move(self, name: str, to: str) -> Awaitable[None]: ...

    def _failure(self, step: str, what: str, error: Exception) -> TransferError:
        return TransferError(step, f"{what}: {error}")

    async def _told(
        self,
        step: str,
        what: str,
        work: Awaitable[T],
        within_s: float | None = None,
        copied: Callable[[], int] = lambda: 0,
    ) -> T:
        """`work`, done `within_s`; or again and again within that, as long as `PACE_BYTES` more are `copied` each time."""
        within_s = STEP_S if within_s is None else within_s
        task = asyncio.ensure_future(work)
        now = 0
        try:
            while not (await asyncio.wait({task}, timeout=within_s))[0]:
                before, now = now, copied()
                if now - before < PACE_BYTES:
                    slow = f"{what}: the server is too slow, it was given up after {within_s:g} s"
                    raise TransferError(step, slow)  # noqa: TRY301 - ended as one that the server breaks off
            return task.result()
        except TransferError:
            raise
        except self.errors as error:
            raise self._failure(step, what, error) from None
        finally:
            if not task.done():
                # Its end is not waited for, and cancelled it would ask the server for an orderly one.
                self._cut()
                task.add_done_callback(lambda done: done.cancelled() or done.exception())


class Opened(NamedTuple):
    """A folder, and the host key that the server has shown (SFTP)."""

    folder: Folder
    host_key: str | None = None


Opening = AbstractAsyncContextManager[Opened]


def in_thread(work: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """The work of a client that blocks, done in a thread."""

    @wraps(work)
    def start(*args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        return asyncio.to_thread(work, *args, **kwargs)

    return start
