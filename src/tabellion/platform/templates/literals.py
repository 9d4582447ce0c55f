"""Languages and time zones that are written into filters: they have to be there before the first mail."""

from collections.abc import Iterable, Iterator

import msgspec
from babel import Locale, UnknownLocaleError
from liquid import RenderContext
from liquid.ast import Node
from liquid.builtin.expressions import FilteredExpression, KeywordArgument, StringLiteral
from liquid.builtin.expressions.filtered import Filter
from liquid.expression import Expression

from tabellion.platform.templates.template import SettingUnknown

LANGUAGE, TIME_ZONE = "language", "time_zone"


class Literals(msgspec.Struct, frozen=True):
    """Languages and time zones that are written into a template."""

    languages: frozenset[str]
    time_zones: frozenset[str]


def literals(nodes: Iterable[Node], context: RenderContext) -> Literals:
    """All `language:` and `time_zone:` arguments of a parse tree that are written in quotes."""
    found: dict[str, set[str]] = {LANGUAGE: set(), TIME_ZONE: set()}
    for node in every_node(nodes, context):
        for expression in node.expressions():
            for each in filters(expression):
                for argument in each.args:
                    if isinstance(argument, KeywordArgument) and isinstance(argument.value, StringLiteral):
                        found.get(argument.name, set()).add(argument.value.value)
    return Literals(frozenset(found[LANGUAGE]), frozenset(found[TIME_ZONE]))


def every_node(nodes: Iterable[Node], context: RenderContext) -> Iterator[Node]:
    """All nodes, parents first."""
    for node in nodes:
        yield node
        yield from every_node(node.children(context), context)


def filters(expression: Expression) -> Iterator[Filter]:
    """The filters of an expression."""
    if isinstance(expression, FilteredExpression):
        yield from expression.filters or ()
    for child in expression.children():
        yield from filters(child)


def locale(language: str) -> Locale:
    """The language's rules, such as of `nl`, `fr_BE` or `NL`. Raises `SettingUnknown`."""
    first, _, rest = language.replace("-", "_").partition("_")
    try:
        found = Locale.parse(f"{first.lower()}_{rest.upper()}" if rest else first.lower())
        # Babel reads the language's file only now: while a caged process may.
        _ = found.date_formats
    except (UnknownLocaleError, ValueError):
        raise SettingUnknown(f"{language[:40]!r} is no language such as nl or fr_BE") from None
    return found
