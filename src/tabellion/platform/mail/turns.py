"""Taking turns on the connections of a relay that takes fewer of them than it may have."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager

# After how long one more connection is tried than the relay took: at first, and at last. It is doubled in between.
_FIRST_S, _LAST_S = 1.0, 60.0


class Turns:
    """Who uses a connection or opens one, and how many connections the relay takes as far as is known.

    `busy`: connections that are being opened or used.
    """

    def __init__(self) -> None:
        self.busy = 0
        self._most: float = math.inf
        self._pause_s, self._again_at = _FIRST_S, 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def may_open(self) -> bool:
        """Whether to open one more now; if not, `wait`. More than the relay took is for one caller at a time to try."""
        if not self.busy or self.busy < self._most:
            return True
        now = time.monotonic()
        if now < self._again_at:
            return False
        self._again_at = now + self._pause_s
        return True

    def opened(self, there: int) -> None:
        """With a new one there are so many."""
        if there > self._most:
            self._most, self._pause_s, self._again_at = there, _FIRST_S, 0.0

    def refused(self, there: int) -> None:
        """The relay takes no more than there are."""
        # Of one in place of one that ended it is soon asked again: it may not have noticed that end yet.
        self._pause_s = _FIRST_S if there < self._most else min(2 * self._pause_s, _LAST_S)
        self._most, self._again_at = there, time.monotonic() + self._pause_s

    @contextmanager
    def taken(self) -> Generator[None]:
        """Use a connection, or open one."""
        self.busy += 1
        try:
            yield
        finally:
            self.busy -= 1
            # All of them, when none is left that could wake them later.
            while self._waiting:
                waiter = self._waiting.popleft()
                if not waiter.done():
                    waiter.set_result(None)
                    if self.busy:
                        break

    async def wait(self) -> None:
        """Wait until one of those that are busy is not any more, or one more may be tried."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await asyncio.wait((waiter,), timeout=max(self._again_at - time.monotonic(), 0.0))
        finally:
            waiter.cancel()
