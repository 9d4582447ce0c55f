"""Addresses of links: parameters added to them, and what a browser is told. The address itself is its author's. Pure."""

from collections.abc import Sequence
from urllib.parse import quote, unquote_plus

# Everything printable in ASCII: what is there already, encoded or not, stays as it is.
_AS_IT_IS = "".join(chr(code) for code in range(0x21, 0x7F))


def with_parameters(address: str, parameters: Sequence[tuple[str, str]]) -> str:
    """An address with parameters behind its own; one that it has already stays. The fragment stays at the end."""
    if not parameters:
        return address
    whole, mark, fragment = address.partition("#")
    path, _, query = whole.partition("?")
    own = {unquote_plus(pair.partition("=")[0]).lower() for pair in query.replace(";", "&").split("&")}
    added = "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in parameters if name.lower() not in own
    )
    if not added:
        return address
    start = f"{path}?{query}" if query else f"{path}?"
    joint = "" if not query or query.endswith("&") else "&"
    return f"{start}{joint}{added}{mark}{fragment}"


def for_header(address: str) -> str:
    """An address in ASCII without blanks and controls, for a `Location`: what is not, is percent-encoded."""
    return quote(address, safe=_AS_IT_IS)
