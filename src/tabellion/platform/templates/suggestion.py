"""The name that somebody may have meant."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean firstName?`, or nothing when no known name is near."""
    by_folded = {each.casefold(): each for each in sorted(known)}
    near = difflib.get_close_matches(name.casefold(), by_folded, 1, 0.6)
    return f"; did you mean {by_folded[near[0]]}?" if near else ""
