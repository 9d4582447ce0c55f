"""Looking for words in mails: several times in each, so that it is done by what goes through memory fastest."""

from collections.abc import Callable
from typing import Any

import re2  # pyright: ignore[reportMissingTypeStubs] - the package has none


class Lines(bytes):
    """Octets with no other carriage returns and line feeds than the CRLF at the ends of lines; their maker saw to it."""

    __slots__ = ()


def finder(expression: bytes) -> Callable[[bytes], Any]:
    """A search for an expression; ten times as fast as Python's own where it begins with an octet that is rare."""
    options: Any = re2.Options()
    # Octets are octets.
    options.encoding = re2.Options.Encoding.LATIN1
    compiled: Any = re2.compile(expression, options)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return compiled.search
