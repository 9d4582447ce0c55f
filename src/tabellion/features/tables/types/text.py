"""STRING (at most 255 characters) and TEXT (at most 65,535)."""

from datetime import tzinfo
from decimal import Decimal
from typing import Any

from tabellion.features.tables.types.base import BadValue, Parse, ValueType, as_it_is

MAX_STRING = 255
MAX_TEXT = 65_535


def as_text(value: Any) -> str | None:
    """A value as text: numbers and booleans are taken by their JSON form; the empty string is a value."""
    if value is None or isinstance(value, str):
        return fit(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return format(value, "f") if isinstance(value, Decimal) and abs(value.adjusted()) <= MAX_STRING else str(value)
    raise BadValue("expects a text")


def fit(value: str | None) -> str | None:
    """A text as it is. Raises `BadValue` for one that the database does not take."""
    if value is not None and (
        "\x00" in value or (not value.isprintable() and any("\ud800" <= c <= "\udfff" for c in value))
    ):
        raise BadValue("holds U+0000 or half a surrogate pair", "text.invalid")
    return value


def _bounded(limit: int) -> Parse:
    def parse(value: Any, zone: tzinfo) -> str | None:
        del zone
        text = as_text(value)
        if text is not None and len(text) > limit:
            raise BadValue(f"takes at most {limit:,} characters, not {len(text):,}", "attribute.value")
        return text

    return parse


STRING = ValueType("STRING", "String", 'text COLLATE "C"', "text", _bounded(MAX_STRING), as_it_is, str, is_text=True)
TEXT = ValueType("TEXT", "String", 'text COLLATE "C"', "text", _bounded(MAX_TEXT), as_it_is, str, is_text=True)
