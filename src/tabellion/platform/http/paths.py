"""Addresses: one family prefix is taken off, then the rest is routed.

Segments stay percent-encoded until a handler asks for them, so that an encoded slash or semicolon belongs to its name.
"""

from typing import NamedTuple

from tabellion.platform.http.query import decode

CATEGORIES = frozenset(
    {
        "custom-data",
        "custom-table-structure",
        "email-campaigns",
        "entities",
        "exports",
        "file-transfers",
        "forms",
        "mass-imports",
        "profile-table-structure",
        "profiles",
        "push-campaigns",
        "scenarios",
        "sms-campaigns",
        "usage",
        "webhooks",
    }
)
LEGACY_V4 = "/ActitoWebServices/ws"
LEGACY_V5 = "/actito-publicapi"
VERSIONS = frozenset({"v4", "v5"})
_BLANKS = ("%20", " ")


class Address(NamedTuple):
    """A request path: `family` is the prefix that was taken off, `path` the rest, still percent-encoded."""

    family: str
    path: str


def to_root(raw_path: bytes) -> str:
    """How links of a page at this path begin that lead to other pages: a proxy may have taken a path off before it."""
    return "../" * (raw_path.count(b"/") - 1)


def normalise(raw_path: bytes) -> Address:
    """Collapse slashes, drop trailing slashes and blanks, take one family prefix off."""
    parts = [part for part in raw_path.decode("latin-1").split("/") if part]
    while parts and parts[-1].endswith(_BLANKS):
        parts[-1] = _without_blank(parts[-1])
        if not parts[-1]:
            parts.pop()
    family = ""
    match parts:
        case ["ActitoWebServices", "ws", *rest]:
            family, parts = LEGACY_V4, rest
        case ["actito-publicapi", *rest]:
            family, parts = LEGACY_V5, rest
        case [first, version, *rest] if version in VERSIONS and first in CATEGORIES:
            family, parts = f"/{first}", [version, *rest]
        case _:
            pass
    return Address(family, "/" + "/".join(parts))


def _without_blank(segment: str) -> str:
    return segment[:-3] if segment.endswith("%20") else segment[:-1]


def decode_segment(raw: str) -> str:
    """A path segment as text: decoded once, as UTF-8; `+` is a plus."""
    return decode(raw.encode("latin-1"), plus_is_blank=False) if "%" in raw or not raw.isascii() else raw


def split_matrix(raw: str) -> tuple[str, dict[str, str]]:
    """Split `VIP;category=Gold` into the name and its matrix parameters, both decoded.

    Only `category` is recognised; any other `;` belongs to the name, as an encoded one always does.
    """
    name, marker, category = raw.partition(";category=")
    if not marker:
        return decode_segment(raw), {}
    return decode_segment(name), {"category": decode_segment(category)}
