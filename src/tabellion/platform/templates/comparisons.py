"""Comparisons by size: what can be compared, said before a mail is rendered and where it is, in words."""

import re

from liquid.builtin.expressions.logical import GeExpression, GtExpression, LeExpression, LtExpression

from tabellion.platform.templates.vocabulary import Kind, Row, Rows, Shape, Values

ORDERING = (GeExpression, GtExpression, LeExpression, LtExpression)
_TEXTS = frozenset({Kind.TEXT, Kind.DATE, Kind.MOMENT})
_WORDS = {
    "str": "a text", "Markup": "a text", "int": "a number", "float": "a number", "Decimal": "a number",
    "bool": "true or false", "dict": "a row", "list": "a list", "range": "a range", "NoneType": "nothing",
}  # fmt: skip
_TYPES = re.compile(r"between '(\w+)' and '(\w+)'")
_ADVICE = "write numbers without quotes"


def mismatch(left: Shape, right: Shape) -> str:
    """Why two values are never smaller or larger than each other; empty: they may be."""
    shapes = (left, right)
    if any(isinstance(shape, Row | Rows | Values) for shape in shapes):
        return "a list or a row has no size to be compared; name a value of it, or take its size"
    if Kind.NUMBER in shapes and any(shape in _TEXTS for shape in shapes):
        return f"{_told(left)} and {_told(right)} cannot be compared by size: {_ADVICE}"
    return ""


def compared(message: str) -> str:
    """What the library says of types that cannot be compared, in words."""
    found = _TYPES.search(message)
    if found is None:
        return message
    one, other = (_WORDS.get(name, "something else") for name in found.groups())
    if "contains" in message:
        return f"{one} cannot contain {other}: contains looks into texts and lists"
    return f"{one} and {other} cannot be compared by size: {_ADVICE}"


def _told(shape: Shape) -> str:
    return "a number" if shape is Kind.NUMBER else "a text" if shape is Kind.TEXT else "a date"
