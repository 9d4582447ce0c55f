"""Restrictions of values: whether one makes sense for an attribute, and its canonical form."""

from collections.abc import Iterator
from datetime import tzinfo
from typing import Any, NamedTuple

from msgspec.structs import replace

from tabellion.features.tables.model import Attribute, ValueRestriction
from tabellion.features.tables.types.base import BadValue, ValueType
from tabellion.features.tables.types.pattern import BadPattern, compile_pattern
from tabellion.features.tables.types.registry import VALUE_TYPES, parse_rule

MAX_ACCEPTED_VALUES = 5000


class Fault(NamedTuple):
    """What is wrong with a restriction; `member` is its member on the wire, empty for the whole."""

    member: str
    message: str


def canonical(attribute: Attribute, limits: ValueRestriction, zone: tzinfo) -> ValueRestriction | list[Fault]:
    """The restriction with its values as the attribute's type renders them, or what is wrong with it.

    Moments without offset are in `zone`; the canonical form is in UTC, so that it means the same ever after.
    """
    base = VALUE_TYPES[attribute.value_type]
    faults = [*_misplaced(base, limits), *_lengths(limits)]
    if faults:
        return faults
    if limits.pattern is not None:
        try:
            compile_pattern(limits.pattern)
        except BadPattern as error:
            faults.append(Fault("pattern", str(error)))
    if limits.accepted_values is not None and not 1 <= len(limits.accepted_values) <= MAX_ACCEPTED_VALUES:
        faults.append(Fault("acceptedValues", f"1 to {MAX_ACCEPTED_VALUES} values"))
    values = _Values(attribute, zone, faults)
    low, high = values.read("min", limits.min), values.read("max", limits.max)
    accepted = limits.accepted_values
    if accepted is not None:
        accepted = tuple(values.read(f"acceptedValues[{i}]", v, null="is null or empty") for i, v in enumerate(accepted))
    if low is not None and high is not None and low > high:
        faults.append(Fault("", "'min' is over 'max'"))
    if faults:
        return faults
    return replace(
        limits,
        min=None if low is None else base.render(low),
        max=None if high is None else base.render(high),
        accepted_values=None if accepted is None else tuple(base.render(value) for value in accepted),
    )


class _Values:
    """Reads the values of a restriction as values of the attribute, noting what is wrong."""

    def __init__(self, attribute: Attribute, zone: tzinfo, faults: list[Fault]) -> None:
        self._parse = parse_rule(attribute)
        self._zone = zone
        self._faults = faults

    def read(self, member: str, value: Any, *, null: str = "") -> Any:
        """The value; None where it is absent or wrong."""
        if value is None and not null:
            return None
        try:
            parsed = self._parse(value, self._zone)
        except BadValue as error:
            self._faults.append(Fault(member, f"a value that the restriction names {error}"))
            return None
        if parsed is None:
            self._faults.append(Fault(member, f"a value that the restriction names {null or 'is empty'}"))
        return parsed


def _misplaced(base: ValueType, limits: ValueRestriction) -> Iterator[Fault]:
    lengths = {"minLength": limits.min_length, "maxLength": limits.max_length, "pattern": limits.pattern}
    if not base.is_text:
        for member, value in lengths.items():
            if value is not None:
                yield Fault(member, "lengths and patterns are for texts")
    if base.is_text or not base.is_ordered:
        for member, value in {"min": limits.min, "max": limits.max}.items():
            if value is not None:
                yield Fault(member, "'min' and 'max' are for numbers, dates and moments")


def _lengths(limits: ValueRestriction) -> Iterator[Fault]:
    lengths = [value for value in (limits.min_length, limits.max_length) if value is not None]
    if any(value < 0 for value in lengths) or lengths != sorted(lengths):
        yield Fault("", "lengths are not negative, and the least is not over the greatest")
