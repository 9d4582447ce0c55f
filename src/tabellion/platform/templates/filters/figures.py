"""How a language writes numbers: learned from Babel once, then written without it, twenty times as fast.

Babel writes some numbers; if plain Python with the language's separators writes all of them alike, it may write the
others. If not (digits of another script, groups of two, no group in four digits), Babel goes on writing them.
"""

from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache

from babel import Locale, numbers

from tabellion.platform.templates.filters.values import unsigned

_PROBES = ("0", "7", "12", "123", "1234", "12345", "1234567", "9876543210")
_DIGITS, _LONGEST = "0123456789", "1234567"
# Beyond that, Python and Babel may each have a way of their own.
_MOST = Decimal(10) ** 15


def money(value: Decimal, code: str, locale: Locale) -> str:
    """An amount that is rounded to the currency's digits already."""
    return _write(value, _digits(value), locale, code)


def plain(value: Decimal, digits: int, locale: Locale) -> str:
    """A number that is rounded to these digits already."""
    return _write(value, digits, locale, "")


def _write(value: Decimal, digits: int, locale: Locale, code: str) -> str:
    value = unsigned(value)
    style = _style(locale, code, digits)
    if style is None or abs(value) >= _MOST:
        return _by_babel(value, digits, locale, code)
    return style(value)


def _digits(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _by_babel(value: Decimal, digits: int, locale: Locale, code: str) -> str:
    if code:
        return numbers.format_currency(value, code, locale=locale)
    grouping = str(locale.decimal_formats[None].pattern).partition(".")[0]
    pattern = grouping + ("." + "0" * digits if digits else "")
    return numbers.format_decimal(value, format=pattern, locale=locale)


@lru_cache(256)
def _style(locale: Locale, code: str, digits: int) -> Callable[[Decimal], str] | None:
    """A writer for one language, currency and number of digits; None when Babel has to do it."""
    fraction = Decimal("8" * digits).scaleb(-digits) if digits else Decimal(0)
    probes = [sign * (Decimal(whole) + fraction) for whole in _PROBES for sign in (1, -1)]
    sample = Decimal(_LONGEST) + fraction
    shown, negative = _by_babel(sample, digits, locale, code), _by_babel(-sample, digits, locale, code)
    body = _between(shown)
    group = body[1:2] if len(body) > len(_LONGEST) else ""
    point = body[len("1,234,567")] if digits and len(body) > len("1,234,567") else "."
    before, _, after = shown.partition(body)
    minus_before, _, minus_after = negative.partition(body)

    def write(value: Decimal) -> str:
        text = f"{abs(value):,.{digits}f}".replace(",", "\0").replace(".", point).replace("\0", group)
        return minus_before + text + minus_after if value < 0 else before + text + after

    return write if all(write(probe) == _by_babel(probe, digits, locale, code) for probe in probes) else None


def _between(shown: str) -> str:
    """From the first ASCII digit to the last."""
    places = [index for index, each in enumerate(shown) if each in _DIGITS]
    return shown[places[0] : places[-1] + 1] if places else ""
