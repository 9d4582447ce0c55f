"""Several things in a sentence, for people."""

from collections.abc import Sequence
from typing import Literal


def enumerated(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def first_few(parts: Sequence[str], most: int, between: Literal[", ", "; "] = ", ") -> str:
    """The first `most` of them, and how many there are besides: `a, b and 3 more`, `a; b; and 3 more`."""
    shown, others = between.join(parts[:most]), len(parts) - most
    if others <= 0:
        return shown
    return f"{shown}{'' if between == ', ' else ';'} and {others} more"
