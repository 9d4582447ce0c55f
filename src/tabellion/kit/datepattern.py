"""Dates by pattern, as users of import tools write them: `dd.MM.yyyy`, `yyyyMMdd`, `yyyy-MM-dd'T'HH:mm:ss`."""

import re
from datetime import date, datetime

# Each token: the digits that it reads, its part of a moment.
_TOKENS = {
    "yyyy": (r"(?P<year>[0-9]{4})", "year"),
    "yy": (r"(?P<short>[0-9]{2})", "short"),
    "MM": (r"(?P<month>[0-9]{2})", "month"),
    "M": (r"(?P<month>[0-9]{1,2})", "month"),
    "dd": (r"(?P<day>[0-9]{2})", "day"),
    "d": (r"(?P<day>[0-9]{1,2})", "day"),
    "HH": (r"(?P<hour>[0-9]{2})", "hour"),
    "H": (r"(?P<hour>[0-9]{1,2})", "hour"),
    "mm": (r"(?P<minute>[0-9]{2})", "minute"),
    "ss": (r"(?P<second>[0-9]{2})", "second"),
    "SSS": (r"(?P<millisecond>[0-9]{3})", "millisecond"),
}
_PIECE = re.compile(r"'(?P<quoted>[^']*)'|(?P<letters>([A-Za-z])\3*)|(?P<other>[^A-Za-z'])", re.DOTALL)
_MAX_PATTERN = 60
# POSIX: 69 is 1969, 68 is 2068.
_CENTURY_TURNS = 69


class DatePattern:
    """A pattern of tokens (yyyy yy MM M dd d HH H mm ss SSS), text in quotes, and characters that are no letters."""

    def __init__(self, pattern: str) -> None:
        """Raises `ValueError`, whose text says what is wrong with the pattern."""
        if not 1 <= len(pattern) <= _MAX_PATTERN:
            raise ValueError(f"a date pattern has 1 to {_MAX_PATTERN} characters")
        known = ", ".join(_TOKENS)
        parts: list[str] = []
        names: list[str] = []
        place = 0
        while place < len(pattern):
            piece = _PIECE.match(pattern, place)
            if piece is None:
                raise ValueError("a quote in the date pattern is not closed")
            place = piece.end()
            letters = piece["letters"]
            if letters is None:
                parts.append(re.escape(piece["quoted"] if piece["quoted"] is not None else piece["other"]))
                continue
            if letters not in _TOKENS:
                raise ValueError(f"'{letters}' is no part of a date pattern; known are {known}, and text in quotes")
            expression, name = _TOKENS[letters]
            if name in names:
                raise ValueError(f"the date pattern names the {name} twice")
            names.append(name)
            parts.append(expression)
        if "year" in names and "short" in names:
            raise ValueError("the date pattern names the year twice")
        self.has_date = {"month", "day"} <= set(names) and bool({"year", "short"} & set(names))
        self.has_time = bool({"hour", "minute", "second", "millisecond"} & set(names))
        self.expression = "".join(parts)
        self._matches = re.compile(self.expression, re.ASCII).fullmatch

    def read(self, text: str) -> date | datetime | None:
        """The date that a text names, with the time (no zone) if the pattern has one; None: it names none."""
        found = self._matches(text)
        if found is None:
            return None
        parts = {name: int(digits) for name, digits in found.groupdict().items()}
        short = parts.get("short", 0)
        year = parts.get("year", short + (1900 if short >= _CENTURY_TURNS else 2000))
        try:
            if not self.has_time:
                return date(year, parts["month"], parts["day"])
            time = (parts.get("hour", 0), parts.get("minute", 0), parts.get("second", 0), parts.get("millisecond", 0) * 1000)
            return datetime(year, parts["month"], parts["day"], *time)  # noqa: DTZ001 - the pattern knows no zone
        except (KeyError, ValueError):
            return None
