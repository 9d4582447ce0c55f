"""Connections to a name that may have several addresses, of which some may not answer (RFC 8305, happy eyeballs).

The loops' own way tries one after the other, each for as long as the kernel does: two minutes for a silent one.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")
# What a socket is connected to: an address, a port, and of some IPv6 addresses a flow and a scope.
Place = tuple[Any, ...]

# An address that has not answered after this is tried on beside the next one.
_NEXT_AFTER_S = 1.0
# A look-up occupies a thread for as long as its name servers are silent: with the usual handful, a few such names would
# delay all others.
_LOOK_UPS = ThreadPoolExecutor(64, thread_name_prefix="look-up")


async def look_up(host: str, port: int) -> list[Place]:
    """Where a host can be reached, most promising first. Raises `OSError` when it has no address."""
    ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_LOOK_UPS, ask)
    return [place for *_, place in found]


async def connected(places: Iterable[Place]) -> socket.socket:
    """A socket that is connected to the first of the places that answers. Raises `OSError` when all have refused."""

    async def close(raw: socket.socket) -> None:
        raw.close()

    return await first_of([partial(_to, place) for place in places], close)


async def first_of(ways: Iterable[Callable[[], Coroutine[Any, Any, T]]], close: Callable[[T], Awaitable[object]]) -> T:
    """What the first way that works comes to. Raises as the last one that failed.

    The next one is tried when one fails, and beside those that have come to nothing for a second. What others have come to
    meanwhile is closed. Time limits are the caller's.
    """
    waiting = list(ways)
    trying: set[asyncio.Task[T]] = set()
    last: BaseException | None = None
    try:
        while waiting or trying:
            if waiting:
                trying.add(asyncio.create_task(waiting.pop(0)()))
            within_s = _NEXT_AFTER_S if waiting else None
            done, _ = await asyncio.wait(trying, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                trying.remove(each)
                last = each.exception()
                if last is None:
                    return each.result()
    finally:
        for each in trying:
            each.cancel()
        for late in await asyncio.gather(*trying, return_exceptions=True):
            if not isinstance(late, BaseException):
                await close(late)
    raise last or OSError("it has no address")


async def _to(place: Place) -> socket.socket:
    raw = socket.socket(socket.AF_INET6 if ":" in place[0] else socket.AF_INET, socket.SOCK_STREAM)
    raw.settimeout(0)
    try:
        await asyncio.get_running_loop().sock_connect(raw, place)
    except BaseException:
        raw.close()
        raise
    return raw
