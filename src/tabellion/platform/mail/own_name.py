"""How this machine calls itself to relays (EHLO; RFC 5321, section 4.1.1.1): many refuse a name that is not a full one."""

import asyncio
import ipaddress
import socket

from tabellion.kit.domain import is_domain

_LOCAL = ("localhost", "localdomain")


class _Own:
    name = ""
    # Of the system; None: not asked for yet. It may ask the DNS, so that it is asked once.
    full: str | None = None


def use_name(name: str) -> None:
    """Say the name; empty: the machine's full one, or its address where it has none."""
    _Own.name = name


async def own_name(connection: socket.socket) -> str:
    """What is said over a connection."""
    if _Own.name:
        return _Own.name
    if _Own.full is None:
        _Own.full = await asyncio.to_thread(socket.getfqdn)
    if is_domain(_Own.full) and _Own.full.rpartition(".")[2] not in _LOCAL:
        return _Own.full
    return literal(connection.getsockname()[0])


def literal(address: str) -> str:
    """An address in place of a name."""
    found = ipaddress.ip_address(address.partition("%")[0])
    return f"[{found}]" if found.version == 4 else f"[IPv6:{found}]"  # noqa: PLR2004
