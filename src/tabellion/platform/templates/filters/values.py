"""What filters have in common: reading their values, and keeping what they make small."""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final, Protocol, cast
from zoneinfo import ZoneInfo

from babel import Locale
from liquid import Markup, RenderContext, escape
from liquid.exceptions import FilterArgumentError, LoopIterationLimitError, OutputStreamLimitError

# No text that is longer than the whole mail may be, no list that a loop could not go through.
MAX_TEXT: Final = 2_000_000
MAX_ITEMS: Final = 10_000
_MAX_EXPONENT = 30


class Settings(Protocol):
    """Language and time zone of a template, and those that its filters name."""

    locale: Locale
    zone: ZoneInfo
    locales: Mapping[str, Locale]
    zones: Mapping[str, ZoneInfo]


def settings(context: RenderContext) -> Settings:
    """The settings of the template that is rendered."""
    return cast("Settings", context.template)


def refuse(message: str) -> FilterArgumentError:
    """The error of a filter, without the value: reports tell and keep it. The place is added by the renderer."""
    return FilterArgumentError(message, token=None)


def text(value: object) -> str:
    """A value as it would be printed, without escaping."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        value = unsigned(value)
        return format(value, "f") if abs(value.adjusted()) <= _MAX_EXPONENT else str(value)
    if isinstance(value, list | tuple):
        return joined(", ", cast("list[object]", value))
    if isinstance(value, int | float | range):
        return str(value)
    raise refuse("this is a row and not a value; name one of its members")


def unsigned(value: Decimal) -> Decimal:
    """A number; nothing that is left below zero (-0) is 0."""
    return value or abs(value)


def sized(value: str) -> str:
    """The text itself; raises when it is longer than a mail may be."""
    if len(value) > MAX_TEXT:
        raise OutputStreamLimitError(f"a text of more than {MAX_TEXT:,} characters", token=None)
    return value


def joined(separator: str, values: Iterable[object]) -> str:
    """Values as one text; what the author wrote is escaped no more, and all else then is."""
    parts = [text(each) for each in values]
    return sized((escape(separator) if any(isinstance(each, Markup) for each in parts) else separator).join(parts))


def items(value: object) -> list[object]:
    """A list of at most 10,000 items; a single value is a list of one, nothing a list of none."""
    if value is None or value == "":
        return []
    if isinstance(value, list | tuple | range):
        listed = cast("list[object]", value)
        try:
            length = len(listed)
        except OverflowError:
            length = MAX_ITEMS + 1
        if length > MAX_ITEMS:
            raise LoopIterationLimitError(f"a list of more than {MAX_ITEMS:,} items", token=None)
        return list(listed)
    return [value]


def number(value: object) -> Decimal | None:
    """An exact number; None when the value is none."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | Decimal):
        return Decimal(value)
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, str):
        try:
            found = Decimal(value.strip()) if len(value) <= 2 * _MAX_EXPONENT else None
        except InvalidOperation:
            return None
        return found if found is not None and found.is_finite() else None
    return None


def whole(value: object, what: str) -> int:
    """A whole number that a filter was given. Raises when it is none."""
    found = number(value)
    if found is None or found != found.to_integral_value() or abs(found) > MAX_TEXT:
        raise refuse(f"{what} must be a whole number of at most {MAX_TEXT:,}")
    return int(found)
