"""BOOLEAN: true and false, as integrations write them."""

from datetime import UTC, tzinfo
from typing import Any

from tabellion.features.tables.types.base import BadValue, ValueType, as_it_is
from tabellion.features.tables.types.number import as_decimal

_WORDS = {"true": True, "false": False}


def parse(value: Any, zone: tzinfo) -> bool | None:
    """True, false, their texts in any case, the numbers 1 and 0 and their texts; null for the empty string."""
    del zone
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and (word := value.strip().lower()) in _WORDS:
        return _WORDS[word]
    number = as_decimal(value, "true or false")
    if number is not None and number not in {0, 1}:
        raise BadValue("expects true or false")
    return None if number is None else number == 1


def _text(value: Any) -> str:
    return "true" if value else "false"


BOOLEAN = ValueType("BOOLEAN", "Boolean", "boolean", "boolean", parse, as_it_is, _text, is_ordered=False)


def parse_flag(value: Any) -> bool:
    """True or false, as integrations write them; null is refused. Raises `BadValue`."""
    flag = parse(value, UTC)
    if flag is None:
        raise BadValue("expects true or false")
    return flag
