"""Who calls, where proxies stand in between."""

from ipaddress import IPv6Address, ip_address
from typing import Any

_FORWARDED = "x-forwarded-for"
_MAPPED = "::ffff:"
# Of what is no address, as much as the longest one has.
_LONGEST = 45


def client_address(scope: Any, headers: dict[str, str], trusted: frozenset[str]) -> str:
    """The caller's address: the socket's, or the last one that trusted proxies have not added themselves."""
    client = scope.get("client")
    address = client[0] if client else ""
    # So a socket for both families, as that of "::", writes IPv4.
    address = address.removeprefix(_MAPPED) if "." in address else address
    if address in trusted and _FORWARDED in headers:
        for hop in reversed([_bare(part.strip()) for part in headers[_FORWARDED].split(",")]):
            if hop and hop not in trusted:
                return hop
    return address


def _bare(hop: str) -> str:
    """An address without the port that some proxies add, and another for each connection."""
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    try:
        found = ip_address(hop)
    except ValueError:
        return hop[:_LONGEST]
    return str((found.ipv4_mapped if isinstance(found, IPv6Address) else None) or found)
