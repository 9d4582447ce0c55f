"""A cache whose entries carry the version of the data they were made from."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class VersionedCache(Generic[K, V]):
    """Keeps the `max_entries` most recently used values. One per process and event loop; it is not thread-safe.

    The caller says which version it needs (the gate hands it over with each call); an older entry is loaded anew, and
    concurrent callers share one load.
    """

    def __init__(self, max_entries: int) -> None:
        if max_entries < 1:
            raise ValueError("max_entries must be at least 1")
        self._max_entries = max_entries
        self._entries: OrderedDict[K, tuple[int, V]] = OrderedDict()
        self._loads: dict[K, tuple[int, asyncio.Future[V]]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def peek(self, key: K, version: int) -> V | None:
        """The value if it is cached in this version or a newer one; never loads."""
        entry = self._entries.get(key)
        if entry is None or entry[0] < version:
            return None
        self._entries.move_to_end(key)
        return entry[1]

    async def get(self, key: K, version: int, load: Callable[[], Awaitable[V]]) -> V:
        """The value in `version` or newer; otherwise what `load` gives, kept as `version`.

        `load` must read committed data, on a connection outside a transaction, after `version` was read: then what it
        sees is at least that version. When it raises, all who waited for it get the error and nothing is kept.
        A caller that is cancelled does not disturb the others.
        """
        while True:
            entry = self._entries.get(key)
            if entry is not None and entry[0] >= version:
                self._entries.move_to_end(key)
                return entry[1]
            running = self._loads.get(key)
            if running is None or running[0] < version:
                return await self._load(key, version, load)
            try:
                return await asyncio.shield(running[1])
            except asyncio.CancelledError:
                # Ours or the loader's? If the loader was cancelled, one of those who waited takes over.
                task = asyncio.current_task()
                if not running[1].cancelled() or (task is not None and task.cancelling()):
                    raise

    def forget(self, key: K) -> None:
        """Drop an entry; a load under way is not kept either."""
        self._entries.pop(key, None)
        self._loads.pop(key, None)

    def clear(self) -> None:
        """Drop everything."""
        self._entries.clear()
        self._loads.clear()

    async def _load(self, key: K, version: int, load: Callable[[], Awaitable[V]]) -> V:
        future: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        running = (version, future)
        self._loads[key] = running
        try:
            value = await load()
        except asyncio.CancelledError:
            future.cancel()
            raise
        except BaseException as error:
            future.set_exception(error)
            future.exception()  # looked at, so that asyncio does not complain when nobody else waits
            raise
        else:
            future.set_result(value)
            if self._loads.get(key) is running:
                self._keep(key, version, value)
            return value
        finally:
            if self._loads.get(key) is running:
                del self._loads[key]

    def _keep(self, key: K, version: int, value: V) -> None:
        entry = self._entries.get(key)
        if entry is not None and entry[0] > version:
            return
        self._entries[key] = (version, value)
        self._entries.move_to_end(key)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)
