"""From a target to a condition on the rows of its table."""

from datetime import datetime
from typing import Any

from tabellion.features.audiences.model import MAX_KEYS, Keys, Target
from tabellion.features.profiles import count_rows
from tabellion.features.tables import Attribute, BadValue, Database, ProfileTable, column_cast, is_email, parse_value
from tabellion.features.tables.filters import ALWAYS, Condition, FilterFault, compile_filter
from tabellion.kit.problem import FieldError, Invalid


def condition_of(table: ProfileTable, target: Target, zone: Any, now: datetime) -> Condition:
    """The condition on the table's rows (alias `t`), without `max_profiles`. Raises `Invalid` with all that is wrong."""
    faults: list[FieldError] = []
    parts = [
        _subscribed(table, target, faults),
        _filtered(table, "filter", target.filter, zone, now, faults),
        _negated(_filtered(table, "exclude", target.exclude, zone, now, faults)),
        _listed(table, target.keys, zone, faults),
    ]
    if target.max_profiles is not None and target.max_profiles < 1:
        faults.append(FieldError("maxProfiles", "structure.invalid", "'maxProfiles' expects a number from 1, or null"))
    if faults:
        raise Invalid(faults)
    said = [part for part in parts if part != ALWAYS]
    if not said:
        return ALWAYS
    return Condition(" AND ".join(f"({part.sql})" for part in said), tuple(p for part in said for p in part.params))


async def count_target(db: Database, table: ProfileTable, target: Target, zone: Any, now: datetime) -> int:
    """How many profiles a target means at the moment. Raises `Invalid`."""
    count = await count_rows(db, table, condition_of(table, target, zone, now))
    return count if target.max_profiles is None else min(count, target.max_profiles)


def _subscribed(table: ProfileTable, target: Target, faults: list[FieldError]) -> Condition:
    if target.subscription is None:
        return ALWAYS
    subscription = table.subscriptions_by_name.get(target.subscription.lower())
    if subscription is None:
        message = f"the table '{table.name}' has no subscription '{target.subscription[:100]}'"
        faults.append(FieldError("subscription", "subscription.unknown", message))
        return ALWAYS
    return Condition(f"t.{subscription.column} IS TRUE")


def _filtered(
    table: ProfileTable, place: str, text: str | None, zone: Any, now: datetime, faults: list[FieldError]
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


def _listed(table: ProfileTable, keys: Keys | None, zone: Any, faults: list[FieldError]) -> Condition:
    if keys is None:
        return ALWAYS
    if not 1 <= len(keys.values) <= MAX_KEYS:
        faults.append(FieldError("keys.values", "structure.invalid", f"'values' expects 1 to {MAX_KEYS:,} keys"))
        return ALWAYS
    if keys.attribute is None:
        ids = [int(v) for v in keys.values if v.isascii() and v.isdigit() and len(v) < 19]  # noqa: PLR2004 - digits of a bigint
        if len(ids) != len(keys.values):
            faults.append(FieldError("keys.values", "attribute.type", "ids of profiles are numbers"))
        return Condition("t.id = ANY (%s::bigint[])", (ids,))
    attribute = table.attributes_by_name.get(keys.attribute.lower())
    if attribute is None or not attribute.unique:
        message = f"'{keys.attribute[:100]}' is no unique attribute of the table"
        faults.append(FieldError("keys.attribute", "attribute.unknown", message))
        return ALWAYS
    return _by_values(attribute, keys.values, zone, faults)


def _by_values(attribute: Attribute, texts: tuple[str, ...], zone: Any, faults: list[FieldError]) -> Condition:
    values: list[Any] = []
    for place, text in enumerate(texts):
        try:
            values.append(parse_value(attribute, text, zone))
        except BadValue as error:
            faults.append(FieldError(f"keys.values[{place}]", error.code, f"'{attribute.name}' {error}"))
    if is_email(attribute):
        return Condition(f"lower(t.{attribute.column}) = ANY (%s::text[])", ([value.lower() for value in values],))
    return Condition(f"t.{attribute.column} = ANY (%s::{column_cast(attribute)}[])", (values,))
