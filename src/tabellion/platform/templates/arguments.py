"""What filters are given: how many values, which names, and whether what is written in quotes can work."""

import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache

from liquid.builtin.expressions import KeywordArgument, StringLiteral
from liquid.builtin.expressions.filtered import Filter
from liquid.exceptions import LiquidError

from tabellion.platform.templates.filters import FILTERS
from tabellion.platform.templates.filters.dates import STYLES, formatted
from tabellion.platform.templates.filters.numbers import is_currency
from tabellion.platform.templates.filters.patterns import misread
from tabellion.platform.templates.lexer import Fault
from tabellion.platform.templates.literals import LANGUAGE, TIME_ZONE, locale
from tabellion.platform.templates.suggestion import did_you_mean
from tabellion.platform.templates.template import SettingUnknown, zone

_SETTINGS: dict[str, Callable[[str], object]] = {LANGUAGE: locale, TIME_ZONE: zone}
_EXAMPLE = datetime(2027, 3, 1, 8, 15, tzinfo=UTC)


def argument_faults(used: Filter) -> list[Fault]:
    """What is wrong with the arguments of a filter that exists."""
    start = used.token.start_index
    named = [argument for argument in used.args if isinstance(argument, KeywordArgument)]
    plain = [argument.value for argument in used.args if not isinstance(argument, KeywordArgument)]
    least, most, names = _signature(used.name)
    faults: list[Fault] = []

    def fault(message: str) -> None:
        faults.append(Fault(start, "template.argument", message))

    if not least <= len(plain) <= most:
        wanted = (
            "no value"
            if not most
            else f"{least} value{'s' * (least != 1)}"
            if least == most
            else f"{least} to {most} values"
        )
        fault(f"{used.name} takes {wanted} after the colon, not {len(plain)}")
    for argument in named:
        if argument.name not in names:
            fault(f"{used.name} has no {argument.name}{did_you_mean(argument.name, names)}")
        elif argument.name in _SETTINGS:
            if not isinstance(argument.value, StringLiteral):
                fault(f"{argument.name} must be written in quotes")
                continue
            try:
                _SETTINGS[argument.name](argument.value.value)
            except SettingUnknown as unknown:
                fault(str(unknown))
    if plain and isinstance(plain[0], StringLiteral):
        message = _refusal(used.name, plain[0].value)
        if message:
            fault(message)
    return faults


def _refusal(name: str, first: str) -> str:
    if name == "currency" and not is_currency(first):
        return f"{first[:20]!r} is no currency code such as 'EUR'"
    if name in {"date", "time"} and first not in STYLES:
        try:
            formatted(_EXAMPLE, first, locale("en"))
        except LiquidError as error:
            return str(error.message)
        except (ValueError, KeyError, AttributeError, TypeError, IndexError):
            return f"{first[:40]!r} is no date format; write 'long', '%d/%m/%Y' or 'd MMMM yyyy'"
        return "" if "%" in first else misread(first)
    return ""


@cache
def _signature(name: str) -> tuple[int, int, frozenset[str]]:
    """Least and most values after the colon, and the names that may be given."""
    parameters = list(inspect.signature(FILTERS[name]).parameters.values())[1:]
    plain = [each for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    named = frozenset(each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.name != "context")
    return sum(each.default is each.empty for each in plain), len(plain), named
