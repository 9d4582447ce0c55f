"""The tree of a filter: what the parser makes, and the compiler checks against a table and turns into SQL."""

from typing import Any, Literal, Union

import msgspec

Comparison = Literal["=", "!=", ">", ">=", "<", "<="]


class Literal_(msgspec.Struct, frozen=True):  # noqa: N801 - typing.Literal has the plain name
    """A literal as written. `value`: a text, also of a number or a moment; a bool; of `now` its offset in seconds."""

    kind: Literal["string", "number", "bool", "moment", "now"]
    value: Any
    position: int


class Operand(msgspec.Struct, frozen=True):
    """What is compared: an attribute, or a member of `subscriptions` or `segmentations`."""

    kind: Literal["attribute", "subscription", "segmentation"]
    name: str
    position: int


class Compare(msgspec.Struct, frozen=True):
    """`operand OP literal`."""

    operand: Operand
    operator: Comparison
    literal: Literal_


class In(msgspec.Struct, frozen=True):
    """`operand [not] in (literals)`."""

    operand: Operand
    literals: tuple[Literal_, ...]
    negated: bool


class Like(msgspec.Struct, frozen=True):
    """`operand contains text`, `operand startsWith text`."""

    operand: Operand
    literal: Literal_
    at_start: bool


class Null(msgspec.Struct, frozen=True):
    """`operand is [not] null`."""

    operand: Operand
    negated: bool


class Not(msgspec.Struct, frozen=True):
    """`not expr`."""

    inner: "Node"


class Junction(msgspec.Struct, frozen=True):
    """Parts joined by `and` or `or`."""

    word: Literal["and", "or"]
    parts: tuple["Node", ...]


Node = Union[Compare, In, Like, Null, Not, Junction]  # noqa: UP007 - a recursive alias
