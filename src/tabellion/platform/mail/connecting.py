"""Connections to a name that may have several addresses, of which some may not answer (RFC 8305, happy eyeballs)."""

import asyncio
import socket
from typing import Any

# An address that has not answered after this is tried on beside the next one.
_NEXT_AFTER_S = 1.0


async def connected(host: str, port: int) -> socket.socket:
    """A socket that is connected to the first of a host's addresses that answers. Raises `OSError` when all have refused.

    The loops' own way tries one after the other, each for as long as the kernel does: two minutes for a silent one.
    """
    waiting = await _addresses(host, port)
    trying: set[asyncio.Task[socket.socket]] = set()
    last: BaseException | None = None
    try:
        while waiting or trying:
            if waiting:
                trying.add(asyncio.create_task(_to(*waiting.pop(0))))
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
            each.add_done_callback(_unwanted)
    raise last or OSError("it has no address")


async def _addresses(host: str, port: int) -> list[tuple[int, Any]]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


async def _to(family: int, address: Any) -> socket.socket:
    raw = socket.socket(family, socket.SOCK_STREAM)
    raw.settimeout(0)
    try:
        await asyncio.get_running_loop().sock_connect(raw, address)
    except BaseException:
        raw.close()
        raise
    return raw


def _unwanted(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
