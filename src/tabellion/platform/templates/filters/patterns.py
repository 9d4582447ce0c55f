"""CLDR patterns that are right and mean something else than whoever wrote them: `YYYY`, `DD`, `mm` in dates."""

import re

# Text in quotes is no pattern; two quotes are one that is printed.
_PARTS = re.compile(r"'[^']*'|([A-Za-z])\1*|[^A-Za-z']+|'")
_HOURS = frozenset("hHkK")


def misread(pattern: str) -> str:
    """What a pattern says that nobody means, and how to write what was meant; empty: nothing."""
    parts = [part[0] for part in _PARTS.finditer(pattern)]
    letters = {part[0] for part in parts if part[0].isalpha()}
    wrong: dict[str, str] = {}
    meant = parts
    if "Y" in letters and not letters & {"w", "W"}:
        wrong["Y"] = "is the year that a week belongs to, another one around New Year"
        meant = [part.lower() if part[0] == "Y" else part for part in meant]
    if "D" in letters and letters & {"M", "L", "m"}:
        wrong["D"] = "is the day of the year"
        meant = [part.lower() if part[0] == "D" else part for part in meant]
    if "m" in letters and _is_month(letters):
        wrong["m"] = "is the minute"
        first = next(i for i, part in enumerate(meant) if part[0] == "m")
        meant = [*meant[:first], meant[first].upper(), *meant[first + 1 :]]
    if not wrong:
        return ""
    said = {letter: next(part for part in parts if part[0] == letter) for letter in wrong}
    told = " and ".join(f"{said[letter]} {what}" for letter, what in wrong.items())
    return f"in {pattern[:40]!r} {told}; write {''.join(meant)[:40]!r}"


def _is_month(letters: set[str]) -> bool:
    """Whether minutes stand where nobody writes them: without an hour, or for the month that a date lacks."""
    if letters & _HOURS:
        return not letters & {"M", "L"} and bool(letters & {"y", "Y"}) and bool(letters & {"d", "D"})
    return "s" not in letters
