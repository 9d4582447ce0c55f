"""Work beside a loop that must not wait for it."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

from tabellion.features.delivery.setbacks import Setbacks


class Beside:
    """Does `work` once at a time; after a failure not again before its setbacks say so."""

    def __init__(self, work: Callable[[], Awaitable[object]], setbacks: Setbacks) -> None:
        self._work, self._setbacks = work, setbacks
        self._task: asyncio.Task[None] | None = None
        self._not_before = 0.0

    def begin(self) -> None:
        """Do it, unless it is being done or is to wait."""
        if (self._task is None or self._task.done()) and monotonic() >= self._not_before:
            self._task = asyncio.create_task(self._run())

    def cancel(self) -> None:
        """Stop what is being done."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            await self._work()
            self._setbacks.over()
        except Exception as error:  # noqa: BLE001 - it is tried again
            self._not_before = monotonic() + self._setbacks.happened(error)
