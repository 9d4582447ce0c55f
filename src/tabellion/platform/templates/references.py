"""Attribute values as browsers read them: character references, and addresses that are broken into lines."""

import re
from html import unescape
from html.entities import html5

# Taken whole or not at all.
_REFERENCE = re.compile(r"&(?:#[0-9]++;?|#[xX][0-9a-fA-F]++;?|[a-zA-Z][a-zA-Z0-9]*+(?:;|(?!=)))")
_LINE_ENDS = str.maketrans("", "", "\t\r\n")


def attribute_text(value: str) -> str:
    """What an attribute says.

    A name without its semicolon counts when nothing follows that could go on with it (HTML, 13.2.5.73): the `&currency=` and
    `&section=` of addresses are no signs, although `&curren` and `&sect` are.
    """
    return value if "&" not in value else _REFERENCE.sub(_sign, value)


def address_text(value: str) -> str:
    """The address that an attribute says; browsers leave line ends out of it, and blanks around it."""
    text = attribute_text(value)
    if "{{" not in text and "{%" not in text:
        text = text.translate(_LINE_ENDS)
    return text.strip()


def _sign(found: re.Match[str]) -> str:
    reference = found[0]
    return unescape(reference) if reference[1] == "#" or reference[1:] in html5 else reference
