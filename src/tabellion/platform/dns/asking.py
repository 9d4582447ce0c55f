"""One question to name servers."""

from collections.abc import Sequence

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver

from tabellion.platform.dns.errors import LookUpFailed, NameUnknown


async def ask(servers: Sequence[tuple[str, int]], name: str, kind: str, within_s: float) -> dns.resolver.Answer | None:
    """The records of a name, from `servers` or, where there are none, those of the system; None: it has none of this kind.

    Raises `NameUnknown`, `LookUpFailed`.
    """
    try:
        return await _resolver(servers).resolve(name.rstrip(".") + ".", kind, lifetime=within_s)
    except dns.resolver.NXDOMAIN:
        raise NameUnknown(f"there is no name {name}") from None
    except dns.resolver.NoAnswer:
        return None
    except (dns.exception.DNSException, OSError, UnicodeError) as error:
        raise LookUpFailed(f"{name} could not be looked up ({type(error).__name__})") from None


def _resolver(servers: Sequence[tuple[str, int]]) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=not servers)
    if servers:
        resolver.nameservers = [dns.nameserver.Do53Nameserver(address, port) for address, port in servers]
    return resolver
