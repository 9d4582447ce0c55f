"""The use cases of profiles. A write is one statement, repeated where another call or a structure change got in between."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tabellion.features.profiles import paging, store, writing
from tabellion.features.profiles.errors import ProfileUnknown, SegmentationUnknown, SubscriptionUnknown
from tabellion.features.profiles.model import Change, Choice, Collection, Consent, Profile, Written
from tabellion.features.profiles.reading import Reader, key_attribute, key_id, membership, sole_key_value
from tabellion.features.tables import (
    Attribute,
    BadValue,
    ProfileTable,
    Segmentation,
    Subscription,
    as_compared,
    find_table,
)
from tabellion.features.tables.filters import Condition, Reference, identifies, parse_reference
from tabellion.kit.problem import FieldError, Invalid, invalid
from tabellion.platform.http.call import Incoming

T = TypeVar("T")
etag, page, count_listed = writing.etag, paging.page, paging.count_listed
MAX_HISTORY = 1000


def on_table(work: Callable[[Incoming, ProfileTable], Awaitable[T]]) -> Callable[[Incoming], Awaitable[T]]:
    """Make a handler of calls on a table out of `work`, which is done on the table of the path.

    It is done again with the new definition when the structure changed in between.
    """

    async def handled(call: Incoming) -> T:
        return await writing.until_current(
            lambda fresh: find_table(call, call.path["e"], call.path["t"], fresh=fresh), lambda table: work(call, table)
        )

    return handled


async def get(call: Incoming, table: ProfileTable) -> Profile:
    """The profile of the path. Raises `ProfileUnknown`."""
    return await _get(call, table, _reference(call, table))


async def _get(call: Incoming, table: ProfileTable, reference: Reference) -> Profile:
    profile = await store.read(call.db, table, reference.attribute, reference.value)
    if profile is None:
        raise _unknown(call)
    return profile


async def search(call: Incoming, table: ProfileTable, condition: Condition, limit: int) -> list[Profile]:
    """Profiles that satisfy a condition, in ascending order of their ids."""
    return await store.search(call.db, table, condition, "t.id", limit)


async def count(call: Incoming, table: ProfileTable, condition: Condition) -> int:
    """How many profiles satisfy a condition."""
    return await store.count(call.db, table, condition)


async def save(call: Incoming, table: ProfileTable, reader: Reader, *, may_update: bool) -> Written:
    """Create or update by every unique attribute of the body that has a value.

    A profile id in the body is matched as well, unless no profile has it. Raises `AttributeAmbiguous`, `RowExists`,
    `Invalid`.
    """
    matches = [(a, v) for a, v in reader.values.values() if a.unique and identifies(v)]
    if reader.errors:
        found = await store.find(call.db, table, matches)
        raise Invalid([*([] if found else reader.missing()), *reader.errors])
    missing = reader.missing()
    written = await writing.write(
        call,
        table,
        reader.change(),
        matches,
        row_id=reader.row_id,
        may_create=not missing,
        may_update=may_update,
    )
    return _required(written, missing, call)


async def put(call: Incoming, table: ProfileTable, reader: Reader) -> Written:
    """Update the profile of the path; one addressed by `attribute=value` is created when it does not exist.

    Raises `ProfileUnknown` (addressed by id), `AttributeNotUnique`, `Invalid`.
    """
    reference = _reference(call, table)
    attribute = reference.attribute
    if attribute is None:
        return _found(await writing.write(call, table, reader.change(), [], row_id=reference.value), call)
    return await put_by_key(call, table, reader, attribute, reference.value)


async def put_by_key(call: Incoming, table: ProfileTable, reader: Reader, attribute: Attribute, value: Any) -> Written:
    """Create or update the profile that owns one unique value; a new profile gets it, unless the body names another."""
    return _found(await writing.upsert(call, table, reader, [(attribute, value)]), call)


async def put_by_body_key(call: Incoming, table: ProfileTable, reader: Reader, key: dict[str, Any]) -> Written:
    """Create or update by the `key` of the body: one unique attribute, or the id of a profile.

    Ids are given out here, so that one which nobody has creates no profile. Raises `Invalid` (key.notUnique, key.mismatch),
    `AttributeNotUnique`, `ProfileUnknown`.
    """
    if len(key) == 1 and (name := next(iter(key))).lower() == table.kind.id_name.lower():
        number = key_id(table, name, key[name])
        written = await writing.write(call, table, reader.change(), [], row_id=number)
        if written is None:
            rule = "a key that is a unique attribute creates one"
            raise ProfileUnknown(f"the table '{table.name}' has no profile {number}; {rule}")
        return written
    attribute, value = _key(call, table, key)
    own = reader.values.get(attribute.number)
    if (
        own is not None
        and as_compared(attribute, own[1]) != as_compared(attribute, value)
        and not await store.find(call.db, table, [(attribute, value)])
    ):
        message = f"'{attribute.name}' differs from the key, which a new profile may not"
        reader.refuse(f"attributes.{attribute.name}", "key.mismatch", message)
    return await put_by_key(call, table, reader, attribute, value)


def _key(call: Incoming, table: ProfileTable, key: dict[str, Any]) -> tuple[Attribute, Any]:
    if len(key) != 1:
        raise invalid("key", "key.notUnique", f"'key' names exactly one of {_keys(table)}")
    name, raw = next(iter(key.items()))
    attribute = key_attribute(table, name)
    if not attribute.unique:
        raise invalid(f"key.{name}", "key.notUnique", f"'{attribute.name}' is not unique; 'key' names one of {_keys(table)}")
    return attribute, sole_key_value(attribute, name, raw, call.caller.time_zone)


def _keys(table: ProfileTable) -> str:
    """What a profile may be recognised by."""
    return ", ".join(f"'{name}'" for name in (*(a.name for a in table.unique_attributes), table.kind.id_name))


async def patch(call: Incoming, table: ProfileTable, reader: Reader) -> Written:
    """Change the profile of the path, never create it. Raises `ProfileUnknown`, `AttributeNotUnique`, `Invalid`."""
    reference = _reference(call, table)
    change = reader.change()
    matches = [(reference.attribute, reference.value)] if reference.attribute else []
    row_id = None if reference.attribute else reference.value
    return _found(await writing.write(call, table, change, matches, row_id=row_id), call)


async def delete(call: Incoming, table: ProfileTable) -> None:
    """Delete the profile of the path with its consent history. Raises `ProfileUnknown`, `EtagMismatch`, `RowInUse`."""
    reference = _reference(call, table)
    if not await writing.delete(call, table, reference.attribute, reference.value):
        raise _unknown(call)


async def subscribe(
    call: Incoming, table: ProfileTable, *, subscribed: bool, collection: Collection
) -> tuple[Subscription, Choice]:
    """Record a choice for the subscription of the path; repeating it changes nothing and keeps the first moment."""
    subscription = table.subscriptions_by_name.get(call.path["s"].lower())
    if subscription is None:
        await get(call, table)
        raise SubscriptionUnknown(table.lacks(call.path["s"], "subscription"))
    await _write_one(call, table, Change((), ((subscription, subscribed),), (), collection))
    profile = await get(call, table)
    return subscription, profile.choices[table.definition.subscriptions.index(subscription)]


async def belong(call: Incoming, table: ProfileTable, *, belongs: bool) -> tuple[Segmentation, Any]:
    """Put the profile of the path into the segmentation of the path, or take it out."""
    segmentation = table.segmentations_by_name.get(call.path["s"].lower())
    if segmentation is None:
        await get(call, table)
        raise SegmentationUnknown(table.lacks(call.path["s"], "segmentation"))
    category = call.matrix.get("category") or call.query.first("category")
    try:
        value = membership(segmentation, belongs, category)
    except BadValue as error:
        raise invalid("category", error.code, f"segmentation '{segmentation.name}' {error}") from None
    await _write_one(call, table, Change((), (), ((segmentation, value),), Collection()))
    return segmentation, value


async def consents(call: Incoming, table: ProfileTable) -> tuple[list[Consent], dict[int, Subscription]]:
    """The consent history of the profile of the path, newest first, with the subscriptions by number, former ones too."""
    profile = await get(call, table)
    entries = await store.history(call.db, table, profile.id, MAX_HISTORY)
    return entries, {s.number: s for s in (*table.subscriptions, *table.removed_subscriptions)}


async def _write_one(call: Incoming, table: ProfileTable, change: Change) -> Written:
    reference = _reference(call, table)
    matches = [(reference.attribute, reference.value)] if reference.attribute else []
    row_id = None if reference.attribute else reference.value
    return _found(await writing.write(call, table, change, matches, row_id=row_id), call)


def _required(written: Written | None, missing: list[FieldError], call: Incoming) -> Written:
    if written is None and missing:
        raise Invalid(missing)
    return _found(written, call)


def _found(written: Written | None, call: Incoming) -> Written:
    if written is None:
        raise _unknown(call)
    return written


def _unknown(call: Incoming) -> ProfileUnknown:
    where = f" '{call.path['p']}'" if "p" in call.path else ""
    return ProfileUnknown(f"the table '{call.path['t']}' has no profile{where}")


def _reference(call: Incoming, table: ProfileTable) -> Reference:
    return parse_reference(table, call.path["p"], call.caller.time_zone)
