"""Cells that need no second look: for each kind of value a test of a whole column at once.

A test accepts only texts that the kind's own parser takes, too, and that the database reads as the parser's value; all
others go to the parser, one by one. So a test may be narrow, but never wide; `tests/features/bulk` holds them to it.
"""

from collections.abc import Callable
from typing import Any

import polars as pl

from tabellion.features.bulk.imports.columns import Column
from tabellion.features.tables import COUNTRIES, LANGUAGES, Attribute

Test = Callable[[pl.Expr], pl.Expr]

_EMAIL = (
    r"^[A-Za-z0-9_%+\-]+(?:\.[A-Za-z0-9_%+\-]+)*@"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}$"
)
_MAX_EMAIL, _MAX_LOCAL = 254, r"^[^@]{1,64}@"
_FLAGS = ["true", "false", "1", "0"]
# Unique values are compared as texts before the database compares them.
_MANY_SPELLINGS = frozenset({"TIMESTAMP", "BOOLEAN"})
# Four digits of a year that every calendar function knows.
_YEAR = "[12][0-9]{3}"


def test_of(column: Column) -> Test | None:
    """The test for the cells of a column; None where each distinct text has to be parsed."""
    attribute = column.attribute
    if attribute is None:
        return _among(_FLAGS) if column.cast == "boolean" else None
    if attribute.multi_valued or (attribute.unique and attribute.value_type in _MANY_SPELLINGS):
        return None
    kind = _BY_TYPE.get(attribute.type) or _BY_VALUE_TYPE.get(attribute.value_type)
    return None if kind is None else _restricted(kind, attribute)


def _restricted(test: Test, attribute: Attribute) -> Test | None:
    limits = attribute.restriction
    if limits is None:
        return test
    if limits.pattern is not None or limits.min is not None or limits.max is not None:
        return None
    accepted: list[Any] | None = list(limits.accepted_values) if limits.accepted_values is not None else None
    if accepted is not None and not all(isinstance(value, str) for value in accepted):
        return None
    least, most = limits.min_length or 0, limits.max_length

    def narrower(cell: pl.Expr) -> pl.Expr:
        wanted = test(cell) & (cell.str.len_chars() >= least)
        if most is not None:
            wanted &= cell.str.len_chars() <= most
        return wanted if accepted is None else wanted & cell.is_in(accepted)

    return narrower


def _matching(pattern: str) -> Test:
    return lambda cell: cell.str.contains(pattern)


def _among(texts: list[str]) -> Test:
    return lambda cell: cell.is_in(texts)


def _text(most: int) -> Test:
    # A character takes a byte or more; U+0000 is no text for the database.
    return lambda cell: (cell.str.len_bytes() <= most) & ~cell.str.contains("\x00", literal=True)


def _email(cell: pl.Expr) -> pl.Expr:
    return cell.str.contains(_EMAIL) & cell.str.contains(_MAX_LOCAL) & (cell.str.len_bytes() <= _MAX_EMAIL)


def _date(cell: pl.Expr) -> pl.Expr:
    shape = cell.str.contains(f"^{_YEAR}-[0-9]{{2}}-[0-9]{{2}}$")
    return shape & cell.str.to_date("%Y-%m-%d", strict=False).is_not_null()


def _moment(cell: pl.Expr) -> pl.Expr:
    shape = cell.str.contains(rf"^{_YEAR}-[0-9]{{2}}-[0-9]{{2}}T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](?:\.[0-9]{{1,3}})?Z$")
    return shape & cell.str.slice(0, 19).str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False).is_not_null()


_BY_VALUE_TYPE: dict[str, Test] = {
    "STRING": _text(255),
    "TEXT": _text(65_535),
    # Numbers as they are answered, without zeros in front or at the end of a fraction: one number, one text.
    "INTEGER": _matching("^(?:0|-?[1-9][0-9]{0,8})$"),
    "LONG": _matching("^(?:0|-?[1-9][0-9]{0,17})$"),
    "NUMBER": _matching(r"^(?:0|-?[1-9][0-9]{0,14}(?:\.[0-9]{0,9}[1-9])?|-?0\.[0-9]{0,9}[1-9])$"),
    "BOOLEAN": _among(_FLAGS),
    "DATE": _date,
    "TIMESTAMP": _moment,
}
_BY_TYPE: dict[str, Test] = {
    "EMAIL_ADDRESS": _email,
    "GSM_NUMBER": _matching(r"^\+[1-9][0-9]{5,14}$"),
    "SEX": _among(["M", "F"]),
    "PERSON_TITLE": _among(["Mr", "Mrs", "Ms"]),
    "MOTHER_LANGUAGE": _among(sorted(LANGUAGES)),
    "ADDRESS_COUNTRY": _among(sorted(COUNTRIES)),
}
