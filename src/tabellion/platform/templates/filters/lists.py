"""Filters on lists: linked rows and multi-valued attributes."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, cast

from tabellion.platform.templates.filters.values import items, joined, number, refuse, text


def _size(value: object) -> int:
    if isinstance(value, str | list | range):
        return len(cast("str", value))
    return 0 if value is None else 1


def _join(value: object, separator: object = ", ") -> str:
    return joined(text(separator), items(value))


def _first(value: object) -> object:
    return next(iter(items(value)), None)


def _last(value: object) -> object:
    found = items(value)
    return found[-1] if found else None


def _map(value: object, name: object) -> list[object]:
    return [_member(row, name) for row in items(value)]


def _where(value: object, name: object, wanted: object = None) -> list[object]:
    if wanted is None:
        return [row for row in items(value) if _member(row, name) is not None and _member(row, name) is not False]
    return [row for row in items(value) if _member(row, name) == wanted]


def _sort(value: object, name: object = None) -> list[object]:
    return sorted(items(value), key=lambda item: _order(item if name is None else _member(item, name)))


def _reverse(value: object) -> list[object]:
    return items(value)[::-1]


def _uniq(value: object) -> list[object]:
    found: dict[str, object] = {}
    for item in items(value):
        found.setdefault(repr(item), item)
    return list(found.values())


def _compact(value: object) -> list[object]:
    return [item for item in items(value) if item is not None]


def _concat(value: object, more: object) -> list[object]:
    return items([*items(value), *items(more)])


def _sum(value: object, name: object = None) -> Decimal:
    found = (number(item if name is None else _member(item, name)) for item in items(value))
    return sum((part for part in found if part is not None), Decimal(0))


def _member(row: object, name: object) -> Any:
    if not isinstance(row, dict):
        raise refuse("this filter takes a list of rows")
    members = cast("dict[object, object]", row)
    key = str(text(name))
    if key not in members:
        raise refuse(f"the rows have no field {key!r}")
    return members[key]


def _order(value: object) -> tuple[int, Decimal, str]:
    """Numbers by size, then texts without regard to case, then nothing."""
    if value is None:
        return 2, Decimal(0), ""
    found = None if isinstance(value, str) else number(value)
    return (1, Decimal(0), text(value).casefold()) if found is None else (0, found, "")


FILTERS: Mapping[str, Callable[..., Any]] = {
    "size": _size,
    "join": _join,
    "first": _first,
    "last": _last,
    "map": _map,
    "where": _where,
    "sort": _sort,
    "reverse": _reverse,
    "uniq": _uniq,
    "compact": _compact,
    "concat": _concat,
    "sum": _sum,
}

# What remains a list of the same rows, and which of its arguments names a field.
KEEPS_ROWS = frozenset({"where", "sort", "reverse", "uniq", "compact", "concat"})
TAKES_ONE = frozenset({"first", "last"})
TAKES_ROWS = KEEPS_ROWS | TAKES_ONE | {"map", "sum", "size", "default"}
NAMES_FIELD = frozenset({"map", "where", "sort", "sum"})
