"""Filters on numbers: exact decimals, written as the language writes them.

Results have 28 digits at most (the decimal module's context), so that no loop of multiplications makes one that fills
the memory.
"""

from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal, DecimalException
from functools import lru_cache
from typing import Any

from babel import numbers
from liquid import RenderContext
from liquid.filter import with_context

from tabellion.platform.templates.filters.dates import language_of
from tabellion.platform.templates.filters.figures import money, plain
from tabellion.platform.templates.filters.values import number, refuse, text, unsigned, whole

_MAX_DIGITS = 15
_CODE_LENGTH = 3


def _operation(function: Callable[[Decimal, Decimal], Decimal]) -> Callable[[object, object], Decimal]:
    def apply(value: object, other: object) -> Decimal:
        try:
            return function(_counted(value), _counted(other))
        except DecimalException:
            raise refuse("this calculation has no result") from None

    return apply


def _rounding(mode: str) -> Callable[[object], Decimal]:
    def apply(value: object) -> Decimal:
        return _counted(value).to_integral_value(mode)

    return apply


def _round(value: object, digits: object = 0) -> Decimal:
    return _rounded(_counted(value), min(max(whole(digits, "the digits of round"), 0), _MAX_DIGITS))


def _rounded(value: Decimal, places: int) -> Decimal:
    """Half away from zero, as prices are rounded."""
    try:
        return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    except DecimalException:
        raise refuse("this number is too large to be rounded") from None


def _absolute(value: object) -> Decimal:
    return abs(_counted(value))


@with_context
def _number(value: object, digits: object = None, *, context: RenderContext, language: object = None) -> str:
    """1234.5 as `1.234,5`; with `digits` always that many after the separator."""
    found = number(value)
    if found is None:
        return ""
    locale = language_of(context, language)
    if digits is None:
        exact = found.normalize()
        exponent = exact.as_tuple().exponent
        places = -exponent if isinstance(exponent, int) and exponent < 0 else 0
        return plain(exact, min(places, _MAX_DIGITS), locale)
    places = min(max(whole(digits, "the digits of number"), 0), _MAX_DIGITS)
    return plain(_rounded(found, places), places, locale)


@with_context
def _currency(value: object, code: object, *, context: RenderContext, language: object = None) -> str:
    """1234.5 as `€ 1.234,50`; `code` is an ISO 4217 code such as EUR."""
    found = number(value)
    if found is None:
        return ""
    wanted = str(text(code))
    if not is_currency(wanted):
        raise refuse("this is no currency code such as 'EUR'")
    return money(_rounded(found, _precision(wanted)), wanted, language_of(context, language))


@with_context
def _percent(value: object, digits: object = 0, *, context: RenderContext, language: object = None) -> str:
    """0.15 as `15%`."""
    found = number(value)
    if found is None:
        return ""
    places = min(max(whole(digits, "the digits of percent"), 0), _MAX_DIGITS)
    locale = language_of(context, language)
    pattern: str = locale.percent_formats[None].pattern
    with_digits = pattern.replace("0", "0." + "0" * places, 1) if places else pattern
    # Babel rounds half to even: 12.5 % would be 12 %, and 13.5 % be 14 %.
    return numbers.format_percent(unsigned(_rounded(found, places + 2)), format=with_digits, locale=locale)


def is_currency(code: str) -> bool:
    """Whether a code has the form of ISO 4217."""
    return len(code) == _CODE_LENGTH and code.isascii() and code.isalpha() and code.isupper()


_precision = lru_cache(256)(numbers.get_currency_precision)


def _counted(value: object) -> Decimal:
    """Nothing counts as zero, as everywhere in Liquid."""
    found = number(value)
    if found is not None:
        return found
    if value is None or value == "":
        return Decimal(0)
    raise refuse("this is not a number")


FILTERS: Mapping[str, Callable[..., Any]] = {
    "plus": _operation(lambda a, b: a + b),
    "minus": _operation(lambda a, b: a - b),
    "times": _operation(lambda a, b: a * b),
    "divided_by": _operation(lambda a, b: a / b),
    "modulo": _operation(lambda a, b: a % b),
    "at_least": _operation(max),
    "at_most": _operation(min),
    "abs": _absolute,
    "ceil": _rounding(ROUND_CEILING),
    "floor": _rounding(ROUND_FLOOR),
    "round": _round,
    "number": _number,
    "currency": _currency,
    "percent": _percent,
}
