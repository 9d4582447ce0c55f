"""Servers and workers that run beside a test, on an event loop of their own."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

T = TypeVar("T")
_LONGEST_S = 30


@contextmanager
def beside(opening: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """What an asynchronous context gives, open in a thread until the end of the `with`. What it raises there is raised here."""
    opened: Future[tuple[T, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def keep() -> None:
        stop = asyncio.Event()
        async with opening as given:
            opened.set_result((given, asyncio.get_running_loop(), stop))
            await stop.wait()

    with ThreadPoolExecutor(1) as threads:
        kept = threads.submit(asyncio.run, keep())
        wait([opened, kept], _LONGEST_S, FIRST_COMPLETED)
        if kept.done():
            kept.result()
        given, loop, stop = opened.result(0)
        try:
            yield given
        finally:
            if not kept.done():
                loop.call_soon_threadsafe(stop.set)
            kept.result(_LONGEST_S)
