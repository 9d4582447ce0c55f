"""How scalars of documents are read. What is no such value is noted, and whatever is returned then is not used."""

import re
from decimal import Decimal
from typing import Any

from tabellion.kit.near import MOST_LOOKED_FOR, near
from tabellion.platform.http.query import FLAGS
from tabellion.platform.http.walk import Context, Path, Read

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_MAX_DIGITS = 40
# Larger numbers are written with their exponent, lest a few characters become a million.
_MAX_SHOWN_DIGITS = 255


def literal(values: tuple[str, ...]) -> Read:
    """One of some words."""

    def read_literal(value: Any, path: Path, context: Context) -> Any:
        if value not in values:
            context.wrong(path, "one of " + ", ".join(values), _nearly(value, values, context))
        return value

    return read_literal


def _nearly(value: Any, values: tuple[str, ...], context: Context) -> str | None:
    return near(value, values) if isinstance(value, str) and len(context.errors) < MOST_LOOKED_FOR else None


def flag(*, nullable: bool) -> Read:
    """A boolean as integrations write them: `"true"`, `1`, `"0"`; where it may be null, `""` is that too."""

    def read_flag(value: Any, path: Path, context: Context) -> Any:
        if nullable and (value is None or value == ""):
            return None
        if isinstance(value, bool):
            return value
        if isinstance(value, str):
            text = value.strip().lower()
            found = FLAGS.get(text, _bit(_whole(_number(text))))
        else:
            found = _bit(_whole(value))
        if found is None:
            context.wrong(path, "true or false")
        return found

    return read_flag


def _bit(number: int | None) -> bool | None:
    return bool(number) if number in {0, 1} else None


def anything(value: Any, path: Path, context: Context) -> Any:
    """Whatever it is."""
    del path, context
    return value


def null(value: Any, path: Path, context: Context) -> Any:
    """Null."""
    if value is not None:
        context.wrong(path, "null")


def text(value: Any, path: Path, context: Context) -> Any:
    """A text."""
    if not isinstance(value, str):
        context.wrong(path, "a text")
    return value


def text_coerced(value: Any, path: Path, context: Context) -> Any:
    """A text, also when a number or a boolean was written."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal) and abs(value.adjusted()) <= _MAX_SHOWN_DIGITS:
        return format(value, "f")
    return str(value) if isinstance(value, int | Decimal) else text(value, path, context)


def boolean(value: Any, path: Path, context: Context) -> Any:
    """A boolean."""
    if context.from_xml and isinstance(value, str) and value.strip().lower() in FLAGS:
        return FLAGS[value.strip().lower()]
    if not isinstance(value, bool):
        context.wrong(path, "true or false")
    return value


def integer(value: Any, path: Path, context: Context) -> Any:
    """A whole number."""
    if context.from_xml and isinstance(value, str):
        value = _number(value)
    whole = _whole(value)
    if whole is None:
        context.wrong(path, "a whole number")
    return whole


def decimal(value: Any, path: Path, context: Context) -> Any:
    """A number, exact."""
    if context.from_xml and isinstance(value, str):
        value = _number(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        context.wrong(path, "a number")
    return value


def real(value: Any, path: Path, context: Context) -> Any:
    """A number that need not be exact, such as a share."""
    if isinstance(value, float):
        return value
    number = decimal(value, path, context)
    return float(number) if isinstance(number, int | Decimal) else number


def _whole(value: Any) -> int | None:
    """A whole number, also when written `42.0`; an exponent cannot make it huge."""
    if isinstance(value, Decimal):
        if value.adjusted() > _MAX_DIGITS or value != value.to_integral_value():
            return None
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(text: str) -> Decimal | None:
    """The number that a text is in JSON's grammar, but for zeros in front."""
    if not _NUMBER.fullmatch(text.strip()):
        return None
    try:
        return Decimal(text.strip())
    except ArithmeticError:
        return None
