"""BOOLEAN: true and false, as integrations write them."""

from decimal import Decimal
from typing import Any

from tabellion.features.tables.types.base import BadValue, ValueType

_TEXTS = {"true": True, "false": False, "1": True, "0": False}


def parse(value: Any, zone: Any) -> bool | None:
    """True, false, their texts in any case, 1 and 0; null for the empty string."""
    del zone
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        text = value.strip().lower()
        if not text:
            return None
        if text in _TEXTS:
            return _TEXTS[text]
    elif isinstance(value, int | Decimal) and Decimal(value).is_finite() and value in {0, 1}:
        return value == 1
    raise BadValue("expects true or false")


def _text(value: Any) -> str:
    return "true" if value else "false"


def _same(value: Any) -> Any:
    return value


BOOLEAN = ValueType("BOOLEAN", "Boolean", "boolean", "boolean", parse, _same, _text, is_ordered=False)


def parse_flag(value: Any) -> bool:
    """True or false, as integrations write them; null is refused. Raises `BadValue`."""
    flag = parse(value, None)
    if flag is None:
        raise BadValue("expects true or false")
    return flag
