"""The value types by name, and what an attribute makes of its type: parsing with its restriction, rendering, SQL."""

from collections.abc import Callable, Iterable
from datetime import UTC, tzinfo
from typing import Any

import msgspec

from tabellion.features.tables.model import Attribute, ValueRestriction
from tabellion.features.tables.types import boolean, moment, number, text
from tabellion.features.tables.types.base import BadValue, BadValues, Parse, ValueType
from tabellion.features.tables.types.pattern import compile_pattern
from tabellion.features.tables.types.predefined import EMAIL_ADDRESS, GSM_NUMBER, MOTHER_LANGUAGE, PREDEFINED

VALUE_TYPES: dict[str, ValueType] = {
    type_.name: type_
    for type_ in (
        text.STRING,
        text.TEXT,
        number.INTEGER,
        number.LONG,
        number.NUMBER,
        boolean.BOOLEAN,
        moment.DATE,
        moment.TIMESTAMP,
    )
}
MAX_VALUES = 1000


class AttributeType(msgspec.Struct, frozen=True):
    """One attribute's type, compiled. `cast` and `sql` include `[]` for multi-valued attributes."""

    value_type: ValueType
    v4_name: str
    parse: Parse
    cast: str
    sql: str


def value_type(name: str) -> ValueType:
    """The type of a v5 `valueType`. Raises KeyError."""
    return VALUE_TYPES[name]


def attribute_type(attribute: Attribute) -> AttributeType:
    """The compiled type of an attribute, kept with it."""
    kept: dict[str, Any] = vars(attribute)
    found: AttributeType | None = kept.get("_type")
    if found is None:
        found = kept["_type"] = _compile(attribute)
    return found


def parse_value(attribute: Attribute, value: Any, zone: tzinfo) -> Any:
    """The Python value for the attribute's column. Raises `BadValue`, whose message goes on after the attribute's name."""
    return attribute_type(attribute).parse(value, zone)


def parse_rule(attribute: Attribute) -> Parse:
    """How one value is read: by its type and the rule of a predefined one, without the attribute's restriction."""
    predefined = PREDEFINED.get(attribute.type)
    return _single(VALUE_TYPES[attribute.value_type], predefined.rule if predefined else None)


def parse_single(attribute: Attribute, value: Any, zone: tzinfo) -> Any:
    """One value of a possibly multi-valued attribute as it is kept: what a filter compares with. Raises `BadValue`.

    A text that breaks a predefined type's rule is nobody's value; it is compared as it is (but no phone number can be read
    from what is none).
    """
    predefined = PREDEFINED.get(attribute.type)
    parsed = VALUE_TYPES[attribute.value_type].parse(value, zone)
    if parsed is None or predefined is None or predefined.rule is None:
        return parsed
    try:
        return predefined.rule(parsed)
    except BadValue:
        if predefined.name == GSM_NUMBER:
            raise
        return parsed


def render_value(attribute: Attribute, value: Any) -> Any:
    """The JSON value; an empty list for a multi-valued attribute without values."""
    render = VALUE_TYPES[attribute.value_type].render
    if attribute.multi_valued:
        return [] if value is None else [render(item) for item in value]
    return None if value is None else render(value)


def text_value(attribute: Attribute, value: Any) -> str | None:
    """The text of a value as the database's JSON has it: several are joined with `|`."""
    base = VALUE_TYPES[attribute.value_type]
    if value is None:
        return None
    items: list[Any] = value if isinstance(value, list) else [value]
    return "|".join(item if base.is_text else base.text(base.parse(item, UTC)) for item in items)


def column_cast(attribute: Attribute) -> str:
    """The type that parameters of the column are cast to."""
    return attribute_type(attribute).cast


def is_email(attribute: Attribute) -> bool:
    """Whether values are compared whatever their case."""
    return attribute.type == EMAIL_ADDRESS


def email_of(attributes: Iterable[Attribute]) -> Attribute | None:
    """The attribute whose values mails go to, of those of a profile table."""
    return next((each for each in attributes if is_email(each)), None)


def mother_language_of(attributes: Iterable[Attribute]) -> Attribute | None:
    """The attribute whose values are the languages that mails are read in, of those of a profile table."""
    return next((each for each in attributes if each.type == MOTHER_LANGUAGE), None)


def is_phone(attribute: Attribute) -> bool:
    """Whether values are phone numbers."""
    return attribute.type == GSM_NUMBER


def _compile(attribute: Attribute) -> AttributeType:
    base = VALUE_TYPES[attribute.value_type]
    predefined = PREDEFINED.get(attribute.type)
    parse = parse_rule(attribute)
    if attribute.restriction is not None:
        parse = _restricted(parse, base, attribute.restriction)
    v4_name = predefined.v4_name if predefined else base.v4_name
    if not attribute.multi_valued:
        return AttributeType(base, v4_name, parse, base.cast, base.sql)
    array = base.sql.replace("text", "text[]", 1) if base.is_text else f"{base.sql}[]"
    return AttributeType(base, v4_name, _many(parse), f"{base.cast}[]", array)


def _single(base: ValueType, rule: Callable[[str], str] | None) -> Parse:
    if rule is None:
        return base.parse

    def parse(value: Any, zone: tzinfo) -> Any:
        parsed = base.parse(value, zone)
        # Integrations send an empty text for what they do not have; it is no address, number or code.
        return None if parsed is None or not parsed.strip() else rule(parsed)

    return parse


def _many(single: Parse) -> Parse:
    def parse(value: Any, zone: tzinfo) -> Any:
        if value is None:
            return None
        if not isinstance(value, list):
            item = single(value, zone)
            return None if item is None else [item]
        items: list[Any] = value
        if len(items) > MAX_VALUES:
            raise BadValue(f"takes at most {MAX_VALUES} values", "attribute.value")
        parsed: list[Any] = []
        wrong: dict[int, BadValue] = {}
        for index, item in enumerate(items):
            try:
                parsed.append(single(item, zone))
            except BadValue as error:
                wrong[index] = error
        if wrong:
            raise BadValues(wrong)
        return [item for item in parsed if item is not None] or None

    return parse


def _restricted(single: Parse, base: ValueType, limits: ValueRestriction) -> Parse:
    checks = list(_checks(base, limits))

    def parse(value: Any, zone: tzinfo) -> Any:
        parsed = single(value, zone)
        if parsed is not None:
            for holds, message in checks:
                if not holds(parsed):
                    raise BadValue(message, "attribute.value")
        return parsed

    return parse


def _checks(base: ValueType, limits: ValueRestriction) -> list[tuple[Callable[[Any], bool], str]]:
    checks: list[tuple[Callable[[Any], bool], str]] = []
    if limits.min_length is not None:
        least = limits.min_length
        checks.append((lambda v: len(v) >= least, f"takes at least {least} characters"))
    if limits.max_length is not None:
        most = limits.max_length
        checks.append((lambda v: len(v) <= most, f"takes at most {most} characters"))
    if limits.min is not None:
        low = bound(base, limits.min)
        checks.append((lambda v: v >= low, f"takes values from {limits.min} up"))
    if limits.max is not None:
        high = bound(base, limits.max)
        checks.append((lambda v: v <= high, f"takes values up to {limits.max}"))
    if limits.accepted_values is not None:
        accepted = {bound(base, value) for value in limits.accepted_values}
        listed = ", ".join(str(value) for value in limits.accepted_values[:20])
        checks.append((lambda v: v in accepted, f"takes only: {listed}"))
    if limits.pattern is not None:
        checks.append((compile_pattern(limits.pattern), f"must match the pattern {limits.pattern}"))
    return checks


def bound(base: ValueType, value: Any) -> Any:
    """A value of a stored restriction, whose form is canonical: moments are in UTC."""
    return base.parse(value, UTC)
