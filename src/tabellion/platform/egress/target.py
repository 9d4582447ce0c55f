"""From a URL that somebody gave to addresses that may be connected to.

The URL is taken apart once, by a grammar stricter than RFC 3986, and the connection is made from its parts: there is no
second parser that could read it otherwise.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address

import msgspec

from tabellion.kit.domain import in_ascii
from tabellion.platform.egress.addresses import Address, Policy, is_allowed
from tabellion.platform.sockets import look_up

MAX_URL_LENGTH = 2000
_HIGHEST_PORT = 65535
_LOWEST_FREE_PORT = 1024
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]\\%]+)(?::(?P<port>\d{1,5}))?"
    r"(?P<rest>(?:/[^\s\\#]*)?(?:\?[^\s\\#]*)?)",
    re.IGNORECASE,
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMERIC = re.compile(r"(?:\d+|0x[0-9a-f]*)", re.ASCII)
_PORTS = {"http": 80, "https": 443}
_MAX_NAME = 253

# Host and port to addresses, as `getaddrinfo` does; raises OSError when there is none.
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]


class TargetRefused(Exception):
    """The URL may not be called; the message ends the sentence "the target ..."."""


class Target(msgspec.Struct, frozen=True):
    """A URL in parts. `host` is an ASCII name or an address, `resource` path and query."""

    scheme: str
    host: str
    port: int
    resource: str

    @property
    def authority(self) -> str:
        """What the `Host` header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def parse_target(url: str, policy: Policy) -> Target:
    """Take a URL apart. Raises `TargetRefused`; names are looked up later, by `resolve`."""
    if len(url) > MAX_URL_LENGTH:
        raise TargetRefused(f"is over {MAX_URL_LENGTH} characters")
    found = _URL.fullmatch(url)
    if found is None:
        raise TargetRefused("is no URL such as https://www.example.com/path (without user, blanks or fragment)")
    scheme = found["scheme"].lower()
    if scheme == "http" and not policy.allow_http:
        raise TargetRefused("must begin with https://")
    port = int(found["port"]) if found["port"] else _PORTS[scheme]
    if not (port in _PORTS.values() or _LOWEST_FREE_PORT <= port <= _HIGHEST_PORT):
        raise TargetRefused("takes the ports 80, 443 and those from 1024 up")
    rest = found["rest"]
    resource = rest if rest.startswith("/") else f"/{rest}"
    return Target(scheme, _host(found["host"], policy), port, _escaped(resource))


async def resolve(target: Target, policy: Policy, resolver: Resolver | None = None) -> list[Address]:
    """The addresses of a target; one that may not be connected to refuses the whole name.

    Raises `TargetRefused`, and OSError when the name has no address.
    """
    literal = _literal(target.host)
    if literal is not None:
        return [literal]  # looked at by `parse_target`
    return await _looked_up(target.host, target.port, policy, resolver or _addresses)


async def resolve_host(host: str, port: int, policy: Policy) -> list[Address]:
    """The same for a host that stands in no URL. Raises as `resolve` does."""
    name = parse_host(host, policy)
    literal = _literal(name)
    return [literal] if literal is not None else await _looked_up(name, port, policy, _addresses)


def parse_host(text: str, policy: Policy) -> str:
    """A host's name, or its address without brackets, as it may be connected to. Raises `TargetRefused`."""
    return _host(f"[{text}]" if ":" in text else text, policy)


async def _looked_up(host: str, port: int, policy: Policy, resolver: Resolver) -> list[Address]:
    texts = await resolver(host, port)
    addresses: list[Address] = []
    for text in texts:
        try:
            address = ip_address(text)
        except ValueError:
            raise TargetRefused("has an address that cannot be read") from None
        if not is_allowed(address, policy):
            raise TargetRefused("leads to an address that is not public")
        addresses.append(address)
    if not addresses:
        raise OSError(f"{host} has no address")
    return addresses


def _host(text: str, policy: Policy) -> str:
    if text.startswith("["):
        try:
            address: Address = IPv6Address(text[1:-1])
        except AddressValueError:
            raise TargetRefused("has an IPv6 address that cannot be read") from None
        return _allowed(address, policy)
    name = _ascii(text).removesuffix(".")
    labels = name.split(".")
    if _NUMERIC.fullmatch(labels[-1]):
        # A name that ends in a number is an address (URL Standard); of its spellings only the plain one is taken.
        try:
            address = IPv4Address(name)
        except AddressValueError:
            raise TargetRefused("has an IPv4 address that is not written as four decimal numbers") from None
        return _allowed(address, policy)
    if len(name) > _MAX_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise TargetRefused("has a host name that cannot be")
    if len(labels) == 1 and not policy.allow_private:
        raise TargetRefused("has a host name without a domain")
    return name


def _ascii(text: str) -> str:
    """The name in lower case and ASCII (IDNA); what only looks like digits or dots has become what it looks like."""
    name = in_ascii(text)
    if name is None:
        raise TargetRefused("has a host name that cannot be")
    return name.lower()


def _allowed(address: Address, policy: Policy) -> str:
    if not is_allowed(address, policy):
        raise TargetRefused("is an address that is not public")
    return str(address)


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _escaped(resource: str) -> str:
    return "".join(c if "!" <= c <= "~" else "".join(f"%{byte:02X}" for byte in c.encode()) for c in resource)


async def _addresses(host: str, port: int) -> Sequence[str]:
    return list(dict.fromkeys(str(address) for address, *_ in await look_up(host, port)))
