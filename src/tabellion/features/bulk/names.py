"""Patterns of file names: `guests_$yyyyMMdd.csv`, `orders_*.csv`."""

import re
from datetime import datetime
from typing import Any

import re2  # pyright: ignore[reportMissingTypeStubs] - the package has none

from tabellion.kit.datepattern import DatePattern

_MAX_NAME = 255
_DATE = re.compile(r"\$([A-Za-z]+)")
_GROUP_NAMES = re.compile(r"\?P<[a-z]+>")
_WRITTEN = {"yyyy": "%Y", "yy": "%y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
_TOKENS = re.compile("|".join(_WRITTEN))


class NamePattern:
    """Text, `*` for any characters, and `$` before the parts of a date (yyyy MM dd HH mm ss); case does not matter."""

    def __init__(self, pattern: str) -> None:
        """Raises `ValueError`, whose text says what is wrong."""
        if not 1 <= len(pattern) <= _MAX_NAME or not pattern.isprintable() or "/" in pattern or "\\" in pattern:
            raise ValueError(f"a name pattern has 1 to {_MAX_NAME} printable characters and no slashes")
        self._pattern = pattern
        parts: list[str] = []
        place = 0
        for date in _DATE.finditer(pattern):
            parts.append(_literal(pattern[place : date.start()]))
            parts.append(f"(?:{_GROUP_NAMES.sub('?:', DatePattern(date[1]).expression)})")
            place = date.end()
        parts.append(_literal(pattern[place:]))
        # In a time that grows with the name: Python's own expressions try every way to share it out among the stars.
        compiled: Any = re2.compile(f"(?is){''.join(parts)}")
        self._matches = compiled.fullmatch

    def matches(self, name: str) -> bool:
        """Whether a file's name, without folders, is one of these."""
        return self._matches(name) is not None

    def at(self, moment: datetime) -> str:
        """The name that a file written at a moment gets."""

        def written(date: re.Match[str]) -> str:
            return _TOKENS.sub(lambda token: moment.strftime(_WRITTEN[token[0]]), date[1])

        return _DATE.sub(written, self._pattern).replace("*", "")


def base_name(name: str) -> str:
    """A client's name for a file, without folders: for people and patterns, never a path of ours."""
    return re.split(r"[/\\]", name)[-1].strip()[:_MAX_NAME]


def _literal(text: str) -> str:
    return ".*".join(re.escape(part) for part in text.split("*"))
