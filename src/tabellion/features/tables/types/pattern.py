"""Patterns of value restrictions: RE2's dialect, whose matching time is linear in the value, whatever the pattern.

(Python's own expressions backtrack: a pattern such as `(a+)+b` would let one value hold a core for hours.)
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import re2  # pyright: ignore[reportMissingTypeStubs] - the package has none

MAX_LENGTH = 500


class BadPattern(ValueError):
    """The pattern is no regular expression of RE2's dialect; the message says why."""


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """A test whether a whole text matches. Raises `BadPattern`."""
    if len(pattern) > MAX_LENGTH:
        raise BadPattern(f"a pattern has at most {MAX_LENGTH} characters")
    options: Any = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        compiled: Any = re2.compile(pattern, options)
    except (re2.error, UnicodeError) as error:
        reason = error.args[0] if error.args else ""
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(error)
        raise BadPattern(f"not a regular expression: {text}") from None

    def matches(text: str) -> bool:
        # With texts the library works out where in them each match lies, which takes longer than to find it.
        return compiled.fullmatch(text.encode()) is not None

    return matches
