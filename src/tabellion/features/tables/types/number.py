"""INTEGER (32 bit), LONG (64 bit) and NUMBER (exact decimal, `.` is the only decimal separator)."""

import re
from datetime import tzinfo
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from tabellion.features.tables.types.base import BadValue, Parse, ValueType, as_it_is

# Wider than any amount or measure, narrow enough that no exponent fills a disk.
MAX_INTEGER_DIGITS = 30
MAX_FRACTION_DIGITS = 20
# The usual context would round to 28 digits.
_EXACT = Context(prec=MAX_INTEGER_DIGITS + MAX_FRACTION_DIGITS)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def as_decimal(value: Any, expected: str) -> Decimal | None:
    """A number exactly as it was written; null for the empty string. Raises `BadValue`."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise BadValue(f"expects {expected}")
    if isinstance(value, str):
        value = value.strip()
        if not value:
            return None
        if not _NUMBER.fullmatch(value):
            raise BadValue(f"expects {expected}")
        try:
            value = Decimal(value)
        except InvalidOperation:
            # The exponent alone has more than 17 digits.
            raise BadValue(f"expects {expected}") from None
    number = Decimal(value) if isinstance(value, int) else value
    if not number.is_finite():
        raise BadValue(f"expects {expected}")
    return number


def _integer(bits: int) -> Parse:
    limit = 2 ** (bits - 1)

    def parse(value: Any, zone: tzinfo) -> int | None:
        del zone
        number = as_decimal(value, "a whole number")
        if number is None:
            return None
        if number.adjusted() > MAX_INTEGER_DIGITS:
            raise BadValue(f"takes whole numbers of {bits} bits", "attribute.value")
        if number != number.to_integral_value():
            raise BadValue("expects a whole number")
        whole = int(number)
        if not -limit <= whole < limit:
            raise BadValue(f"takes whole numbers of {bits} bits", "attribute.value")
        return whole

    return parse


def _decimal(value: Any, zone: tzinfo) -> Decimal | None:
    del zone
    number = as_decimal(value, "a number")
    if number is None:
        return None
    if not number:
        return Decimal(0)
    if number.adjusted() >= MAX_INTEGER_DIGITS or not _fits_fraction(number):
        limits = f"{MAX_INTEGER_DIGITS} digits before and {MAX_FRACTION_DIGITS} after the point"
        raise BadValue(f"takes at most {limits}", "attribute.value")
    # Nothing but zeros is cut off; a column would keep, and show, a million of them.
    return number.normalize(_EXACT)


def _fits_fraction(number: Decimal) -> bool:
    """Whether what stands beyond the last place is zeros only; looks at digits, for arithmetic might round or overflow."""
    _, digits, exponent = number.as_tuple()
    beyond = -int(exponent) - MAX_FRACTION_DIGITS
    return beyond <= 0 or (len(digits) > beyond and not any(digits[-beyond:]))


def _shown(value: Decimal) -> int | Decimal:
    """Without an exponent and without zeros at the end: 249.50 is answered as 249.5, as a JSON number."""
    if value == value.to_integral_value():
        return int(value)
    return value.normalize(_EXACT)


def _text(value: Decimal) -> str:
    shown = _shown(value)
    return str(shown) if isinstance(shown, int) else format(shown, "f")


INTEGER = ValueType("INTEGER", "Integer", "integer", "integer", _integer(32), as_it_is, str)
LONG = ValueType("LONG", "Integer", "bigint", "bigint", _integer(64), as_it_is, str)
NUMBER = ValueType("NUMBER", "Number", "numeric", "numeric", _decimal, _shown, _text)
