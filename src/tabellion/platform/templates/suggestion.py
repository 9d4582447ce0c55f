"""The name that somebody may have meant."""

from collections.abc import Iterable

from tabellion.kit.near import near


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean firstName?`, or nothing when no known name is near."""
    meant = near(name, sorted(known))
    return f"; did you mean {meant}?" if meant else ""
