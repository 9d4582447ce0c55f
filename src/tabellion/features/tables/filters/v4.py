"""The v4 query parameters `search`, `dateFilter` and `number`."""

import re
from collections.abc import Sequence
from datetime import datetime, tzinfo

from tabellion.features.tables.filters.compile import (
    Condition,
    Target,
    both,
    compare,
    is_null,
    like,
    name_of,
    parse_for,
    target_of,
)
from tabellion.features.tables.filters.errors import FilterFault
from tabellion.features.tables.filters.sent import as_sent
from tabellion.features.tables.model import Table
from tabellion.features.tables.types.base import BadValue
from tabellion.features.tables.types.moment import parse_moment, with_plus
from tabellion.kit.problem import invalid
from tabellion.platform.http.call import Parameter

DEFAULT_ROWS = 100
MAX_ROWS = 1000
_TEST = re.compile(r"([^=!<>~]*+)(!=|>=|<=|=|>|<|~)(.*)", re.DOTALL)


def row_parameter(name: str, what: str) -> Parameter:
    """The parameter that `row_limit` reads; `what`: of which rows it is the most."""
    described = (
        f"most {what}: {DEFAULT_ROWS} by default; more than {MAX_ROWS} is lowered, and `X-Lowered-Parameters` says so"
    )
    return Parameter(name, described, "10", schema={"type": "integer"}, most=MAX_ROWS)


def row_limit(text: str | None, parameter: str) -> int:
    """How many rows are asked for: 100 by default, more than 1000 is lowered. Raises `Invalid` below 1 or for no number."""
    if text is None or not text.strip():
        return DEFAULT_ROWS
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit()) or not digits.strip("0"):
        raise invalid(parameter, "parameter.invalid", f"'{parameter}' expects a whole number from 1 up")
    return min(int(digits[:9]) if len(digits.lstrip("0")) <= 9 else MAX_ROWS, MAX_ROWS)  # noqa: PLR2004 - no huge integers


def query_moment(text: str | None, parameter: str, zone: tzinfo) -> datetime | None:
    """The moment that a parameter of a query says; None: it says none. Raises `Invalid`."""
    try:
        return parse_moment(None if text is None else with_plus(text), zone)
    except BadValue as error:
        raise invalid(parameter, error.code, f"'{parameter}' {error}") from None


def compile_v4_search(table: Table, searches: Sequence[str], date_filters: Sequence[str], zone: tzinfo) -> Condition:
    """All the tests of a v4 search together. Raises `FilterFault`."""
    conditions = [_search(table, text, zone) for text in searches if text.strip()]
    conditions += [_date(table, text, zone) for text in date_filters if text.strip()]
    return both(conditions)


def equality(table: Table, name: str, value: str, zone: tzinfo, parameter: str = "") -> Condition:
    """`attribute=value` of a list; an empty value means null. Raises `FilterFault` at `parameter` (by default the name)."""
    parameter = parameter or name
    return _test(table, _target(table, name, parameter), "=", value, zone, parameter)


def _search(table: Table, text: str, zone: tzinfo) -> Condition:
    found = _TEST.fullmatch(text)
    name = found[1].strip() if found else ""
    if found is None or not name:
        raise FilterFault(
            "'search' expects an attribute, an operator (= != > >= < <= ~) and a value: lastName=Vos", 0, parameter="search"
        )
    return _test(table, _target(table, name, "search"), found[2], found[3], zone, "search")


def _date(table: Table, text: str, zone: tzinfo) -> Condition:
    found = _TEST.fullmatch(text)
    name = found[1].strip() if found else ""
    if found is None or found[2] == "~" or name.lower() not in {"creationmoment", "updatemoment"} or not found[3]:
        message = "'dateFilter' expects creationMoment or updateMoment, a comparison (= != > >= < <=) and a moment"
        raise FilterFault(message, 0, parameter="dateFilter")
    return _test(table, _target(table, name, "dateFilter"), found[2], found[3], zone, "dateFilter")


def _target(table: Table, name: str, parameter: str) -> Target:
    target = target_of(table, name)
    if target is None:
        raise FilterFault(table.lacks(name), 0, "attribute.unknown", parameter)
    return target


def _test(table: Table, target: Target, operator: str, text: str, zone: tzinfo, parameter: str) -> Condition:
    name = name_of(table, target)
    if text == "" and operator in {"=", "!="}:
        return is_null(target, negated=operator == "!=")
    if operator == "~" and not target.is_text:
        raise FilterFault(f"'{name}' is no text: ~ does not fit", 0, "attribute.type", parameter)
    if operator not in {"=", "!=", "~"} and not target.is_ordered:
        raise FilterFault(f"'{name}' is true or false: {operator} does not fit", 0, "attribute.type", parameter)
    text = as_sent(target.attribute, target.cast, text)
    try:
        if operator == "~":
            return like(target, text, at_start=False)
        value = parse_for(target, text, zone)
    except BadValue as error:
        raise FilterFault(f"'{name}' {error}", 0, error.code, parameter) from None
    if value is None:
        return is_null(target, negated=operator != "=")
    return compare(target, operator, value)
