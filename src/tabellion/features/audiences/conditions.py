"""From a target to a condition on the rows of its table."""

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import Any

from tabellion.features.audiences import store
from tabellion.features.audiences.model import MAX_KEYS, Audience, Keys, Segment, Target
from tabellion.features.tables import Attribute, BadValue, ProfileTable, as_compared, column_cast, compared, parse_value
from tabellion.features.tables.filters import ALWAYS, Condition, FilterFault, compile_filter
from tabellion.kit.digits import BIGINT, number_of
from tabellion.kit.near import meant
from tabellion.kit.problem import FieldError, Invalid

_NEVER = Condition("false")
# From a saved audience to a condition: who belongs to it, or who does not.
Made = Callable[[ProfileTable, Audience, Any, datetime, list[FieldError], str], Condition]


def condition_of(
    table: ProfileTable, target: Target, zone: tzinfo, now: datetime, audiences: Mapping[int, Audience] | None = None
) -> Condition:
    """The condition on the table's rows (alias `t`), without `max_profiles`. `audiences`: those that the target names.

    Raises `Invalid` with all that is wrong.
    """
    faults: list[FieldError] = []
    condition = _condition(table, target, zone, now, faults, audiences or {})
    if target.max_profiles is not None and not 1 <= target.max_profiles <= BIGINT:
        expected = f"'maxProfiles' expects a number from 1 to {BIGINT}, or null"
        faults.append(FieldError("maxProfiles", "structure.invalid", expected))
    if faults:
        raise Invalid(faults)
    return condition


def condition_of_audience(table: ProfileTable, audience: Audience, zone: tzinfo, now: datetime) -> Condition:
    """Whom a saved audience means. Raises `Invalid`."""
    faults: list[FieldError] = []
    condition = _saved(table, audience, zone, now, faults, "")
    if faults:
        raise Invalid(faults)
    return condition


def canonical_key(attribute: Attribute | None, text: str, zone: tzinfo) -> str:
    """A key as it is kept. Raises `BadValue`."""
    if attribute is None:
        if (number := number_of(text)) is None:
            raise BadValue("is no id: ids of profiles are whole numbers of 64 bits", "attribute.type")
        return str(number)
    value = parse_value(attribute, text, zone)
    if value is None:
        raise BadValue("is empty", "attribute.value")
    kept = value.isoformat() if isinstance(value, datetime) else str(value)
    return as_compared(attribute, kept)


def key_attribute(table: ProfileTable, name: str | None, place: str) -> Attribute | None:
    """The unique attribute that keys are values of; None: they are ids. Raises `Invalid`."""
    if name is None:
        return None
    attribute = table.attributes_by_name.get(name.lower())
    if attribute is None or not attribute.unique:
        unique = [each.name for each in table.attributes if each.unique]
        message = f"'{name[:100]}' is no unique attribute of the table{meant(name, unique)}"
        raise Invalid([FieldError(place, "attribute.unknown", message)])
    return attribute


def _condition(  # noqa: PLR0917 - all that is said
    table: ProfileTable, target: Target, zone: tzinfo, now: datetime, faults: list[FieldError],
    audiences: Mapping[int, Audience], prefix: str = "",
) -> Condition:  # fmt: skip
    parts = [
        _subscribed(table, target, faults, prefix),
        *(
            _segmented(table, segment, faults, f"{prefix}segmentations[{i}]")
            for i, segment in enumerate(target.segmentations)
        ),
        _filtered(table, f"{prefix}filter", target.filter, zone, now, faults),
        _negated(_filtered(table, f"{prefix}exclude", target.exclude, zone, now, faults)),
        _listed(table, target.keys, zone, faults),
    ]
    if target.audience is not None:
        parts.append(_named(table, target.audience, zone, now, faults, audiences, "audience", _saved))
    for i, number in enumerate(target.exclude_audiences):
        parts.append(_named(table, number, zone, now, faults, audiences, f"excludeAudiences[{i}]", _left_out))
    return _all(parts)


def _all(parts: list[Condition]) -> Condition:
    said = [part for part in parts if part != ALWAYS]
    if not said:
        return ALWAYS
    return Condition(" AND ".join(f"({part.sql})" for part in said), tuple(p for part in said for p in part.params))


def _named(  # noqa: PLR0913, PLR0917 - one part of a condition
    table: ProfileTable, number: int, zone: tzinfo, now: datetime, faults: list[FieldError],
    audiences: Mapping[int, Audience], place: str, made: Made,
) -> Condition:  # fmt: skip
    audience = audiences.get(number)
    if audience is None:
        faults.append(FieldError(place, "audience.unknown", "the audience was deleted"))
        return _NEVER
    if audience.table_id != table.id:
        message = f"the audience '{audience.name}' is for another table than '{table.name}'"
        faults.append(FieldError(place, "structure.invalid", message))
        return _NEVER
    return made(table, audience, zone, now, faults, f"{place}.")


def _saved(
    table: ProfileTable, audience: Audience, zone: tzinfo, now: datetime, faults: list[FieldError], prefix: str
) -> Condition:
    """Whom an audience means. Where it is a list, the keys stay in the database."""
    own = _condition(table, audience.definition, zone, now, faults, {}, prefix)
    if audience.keys is None:
        return own
    column, key = _key(table, audience, faults, prefix)
    keys = f"SELECT {key} FROM {store.keys_of(table.licence_id)} k WHERE k.audience_id = %s"  # noqa: S608 - numbers
    return _all([own, Condition(f"{column} IN ({keys})", (audience.id,))])


def _left_out(
    table: ProfileTable, audience: Audience, zone: tzinfo, now: datetime, faults: list[FieldError], prefix: str
) -> Condition:
    """Whom it does not mean. The planner makes a join of this form alone.

    A negated IN is a subquery, and one whose list does not fit into the memory for hashes is read for each profile.
    """
    own = _condition(table, audience.definition, zone, now, faults, {}, prefix)
    if audience.keys is None:
        return _negated(own)
    column, key = _key(table, audience, faults, prefix)
    keys = f"SELECT FROM {store.keys_of(table.licence_id)} k WHERE k.audience_id = %s AND {key} = {column}"
    return Condition(f"NOT EXISTS ({keys} AND ({own.sql}))", (audience.id, *own.params))


def _key(table: ProfileTable, audience: Audience, faults: list[FieldError], prefix: str) -> tuple[str, str]:
    """The column of the profiles `t` that a list is of, as it is compared, and its keys `k`."""
    try:
        attribute = key_attribute(table, audience.attribute, f"{prefix}keys.attribute")
    except Invalid as error:
        faults += error.errors
        attribute = None
    if attribute is None:
        return "t.id", "k.key::bigint"
    return compared(attribute, f"t.{attribute.column}"), f"k.key::{column_cast(attribute)}"


def _subscribed(table: ProfileTable, target: Target, faults: list[FieldError], prefix: str) -> Condition:
    if target.subscription is None:
        return ALWAYS
    subscription = table.subscriptions_by_name.get(target.subscription.lower())
    if subscription is None:
        message = table.lacks(target.subscription, "subscription")
        faults.append(FieldError(f"{prefix}subscription", "subscription.unknown", message))
        return ALWAYS
    return Condition(f"t.{subscription.column} IS TRUE")


def _segmented(table: ProfileTable, segment: Segment, faults: list[FieldError], place: str) -> Condition:
    found = table.segmentations_by_name.get(segment.name.lower())
    if found is None:
        message = table.lacks(segment.name, "segmentation")
        faults.append(FieldError(f"{place}.name", "segmentation.unknown", message))
        return ALWAYS
    if found.type == "SIMPLE":
        if segment.category is not None:
            message = f"'{found.name}' is SIMPLE and has no categories; leave 'category' out"
            faults.append(FieldError(f"{place}.category", "segmentation.category", message))
        return Condition(f"t.{found.column} IS TRUE")
    if segment.category is None:
        return Condition(f"t.{found.column} IS NOT NULL")
    number = found.category(segment.category)
    if number is None:
        message = f"the categories of '{found.name}' are {found.named()}"
        faults.append(FieldError(f"{place}.category", "segmentation.category", message))
        return ALWAYS
    return Condition(f"t.{found.column} = %s", (number,))


def _filtered(
    table: ProfileTable, place: str, text: str | None, zone: tzinfo, now: datetime, faults: list[FieldError]
) -> Condition:
    if not text:
        return ALWAYS
    try:
        return compile_filter(table, text, zone, now)
    except FilterFault as error:
        faults += [FieldError(place, fault.code, fault.message) for fault in error.errors] or [
            FieldError(place, error.code, error.message)
        ]
    return ALWAYS


def _negated(condition: Condition) -> Condition:
    """Everybody for whom it does not hold; where it is unknown, it does not."""
    return condition if condition == ALWAYS else Condition(f"({condition.sql}) IS NOT TRUE", condition.params)


def _listed(table: ProfileTable, keys: Keys | None, zone: tzinfo, faults: list[FieldError]) -> Condition:
    if keys is None:
        return ALWAYS
    if not 1 <= len(keys.values) <= MAX_KEYS:
        code = "structure.tooMany" if keys.values else "member.mandatory"
        faults.append(FieldError("keys.values", code, f"'values' expects 1 to {MAX_KEYS:,} keys"))
        return ALWAYS
    try:
        attribute = key_attribute(table, keys.attribute, "keys.attribute")
    except Invalid as error:
        faults += error.errors
        return ALWAYS
    if attribute is None:
        ids = [number for each in keys.values if (number := number_of(each)) is not None]
        if len(ids) != len(keys.values):
            faults.append(FieldError("keys.values", "attribute.type", "ids of profiles are whole numbers of 64 bits"))
        return Condition("t.id = ANY (%s::bigint[])", (ids,))
    return _by_values(attribute, keys.values, zone, faults)


def _by_values(attribute: Attribute, texts: tuple[str, ...], zone: tzinfo, faults: list[FieldError]) -> Condition:
    values: list[Any] = []
    for place, text in enumerate(texts):
        try:
            values.append(as_compared(attribute, parse_value(attribute, text, zone)))
        except BadValue as error:
            faults.append(FieldError(f"keys.values[{place}]", error.code, f"'{attribute.name}' {error}"))
    column = compared(attribute, f"t.{attribute.column}")
    return Condition(f"{column} = ANY (%s::{column_cast(attribute)}[])", (values,))
