"""The use cases of profiles. A write is one statement, repeated where another call or a structure change got in between."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from tabellion.features.profiles import store
from tabellion.features.profiles.errors import (
    AttributeAmbiguous,
    AttributeNotUnique,
    ProfileExists,
    ProfileUnknown,
    SegmentationUnknown,
    SubscriptionUnknown,
)
from tabellion.features.profiles.model import Change, Choice, Collection, Consent, Profile, Written
from tabellion.features.profiles.news import SUBJECT
from tabellion.features.profiles.reading import Reader, membership
from tabellion.features.profiles.sql import Shape
from tabellion.features.tables import (
    Attribute,
    BadValue,
    ProfileTable,
    Segmentation,
    Subscription,
    find_table,
    is_email,
    parse_value,
)
from tabellion.features.tables.filters import Condition, Listing, Reference, parse_reference
from tabellion.kit.problem import FieldError, Invalid, invalid
from tabellion.platform import audit, outbox
from tabellion.platform.database.errors import Unavailable
from tabellion.platform.http.call import Incoming
from tabellion.platform.http.etag import require_match, tags

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# A race is lost to a call that went through, so a third defeat in a row means heavy traffic on one profile.
_ATTEMPTS = 4
MAX_HISTORY = 1000


async def on_table(call: Incoming, work: Callable[[ProfileTable], Awaitable[T]]) -> T:
    """Do `work` on the table of the path, again with the new definition when the structure changed in between."""
    for attempt in range(_ATTEMPTS):
        table = await find_table(call, call.path["e"], call.path["t"], fresh=attempt > 0)
        try:
            return await work(table)
        except store.StaleDefinition:
            continue
    raise Unavailable("the table's structure is being changed; repeat in a moment")


def etag(table: ProfileTable, profile: Profile) -> str:
    """The strong tag of a profile's state: its last change, to the microsecond, under this structure."""
    return f"{profile.id:x}-{(profile.updated_at - _EPOCH) // timedelta(microseconds=1):x}-{table.version:x}"


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
    """Create or update by every unique attribute of the body (contract, section 11.1).

    A profile id in the body is matched as well, unless no profile has it. Raises `AttributeAmbiguous`, `ProfileExists`,
    `Invalid`.
    """
    matches = [(a, v) for a, v in reader.values.values() if a.unique and v is not None]
    if reader.errors:
        found = await store.find(call.db, table, matches)
        raise Invalid([*([] if found else reader.missing()), *reader.errors])
    missing = reader.missing()
    written = await _write(
        call,
        table,
        reader.change(),
        matches,
        profile_id=reader.profile_id,
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
        return _found(await _write(call, table, reader.change(), [], profile_id=reference.value), call)
    return await put_by_key(call, table, reader, attribute, reference.value)


async def put_by_key(call: Incoming, table: ProfileTable, reader: Reader, attribute: Attribute, value: Any) -> Written:
    """Create or update the profile that owns one unique value; a new profile gets it, unless the body names another."""
    missing = reader.missing(also=attribute)
    matches = [(attribute, value)]
    if reader.errors:
        found = await store.find(call.db, table, matches)
        raise Invalid([*([] if found else missing), *reader.errors])
    initial = () if attribute.number in reader.values else ((attribute, value),)
    written = await _write(call, table, reader.change(), matches, initial=initial, may_create=not missing)
    return _required(written, missing, call)


async def put_by_body_key(call: Incoming, table: ProfileTable, reader: Reader, key: dict[str, Any]) -> Written:
    """Create or update by the `key` of the body (contract, section 12): one unique attribute and its value.

    Raises `Invalid` (key.notUnique, key.mismatch), `AttributeNotUnique`.
    """
    attribute, value = _key(call, table, key)
    own = reader.values.get(attribute.number)
    if (
        own is not None
        and not _same_key(attribute, own[1], value)
        and not await store.find(call.db, table, [(attribute, value)])
    ):
        message = f"'{attribute.name}' differs from the key, which a new profile may not"
        reader.refuse(f"attributes.{attribute.name}", "key.mismatch", message)
    return await put_by_key(call, table, reader, attribute, value)


def _key(call: Incoming, table: ProfileTable, key: dict[str, Any]) -> tuple[Attribute, Any]:
    if len(key) != 1:
        raise invalid("key", "key.notUnique", "'key' names exactly one unique attribute")
    name, raw = next(iter(key.items()))
    attribute = table.attributes_by_name.get(name.lower())
    if attribute is None:
        raise invalid(f"key.{name}", "attribute.unknown", f"the table has no attribute '{name}'")
    if not attribute.unique:
        raise invalid(f"key.{name}", "key.notUnique", f"attribute '{attribute.name}' is not unique")
    try:
        value = parse_value(attribute, raw, call.caller.time_zone)
    except BadValue as error:
        raise invalid(f"key.{name}", error.code, f"attribute '{attribute.name}' {error}") from None
    if value is None:
        raise invalid(f"key.{name}", "attribute.mandatory", f"the key '{attribute.name}' cannot be null")
    return attribute, value


def _same_key(attribute: Attribute, one: Any, other: Any) -> bool:
    if is_email(attribute) and isinstance(one, str) and isinstance(other, str):
        return one.lower() == other.lower()
    return one == other


async def page(call: Incoming, table: ProfileTable) -> tuple[list[Profile], str | None]:
    """One page of a filtered and sorted list, and the cursor of the next one (None: the end)."""
    listing = Listing.of(table, call.query, call.caller.time_zone, call.now)
    rows = await store.search(call.db, table, listing.condition, listing.order, listing.limit + 1)
    if len(rows) <= listing.limit:
        return rows, None
    rows = rows[: listing.limit]
    last = rows[-1]
    return rows, listing.cursor_after([_sort_value(table, last, key.name) for key in listing.keys], last.id)


def _sort_value(table: ProfileTable, profile: Profile, name: str) -> Any:
    technical = {"profileid": profile.id, "creationmoment": profile.created_at, "updatemoment": profile.updated_at}
    lower = name.lower()
    if lower in technical:
        return technical[lower]
    return profile.values[table.definition.attributes.index(table.attributes_by_name[lower])]


async def patch(call: Incoming, table: ProfileTable, reader: Reader) -> Written:
    """Change the profile of the path, never create it. Raises `ProfileUnknown`, `AttributeNotUnique`, `Invalid`."""
    reference = _reference(call, table)
    change = reader.change()
    matches = [(reference.attribute, reference.value)] if reference.attribute else []
    profile_id = None if reference.attribute else reference.value
    return _found(await _write(call, table, change, matches, profile_id=profile_id), call)


async def delete(call: Incoming, table: ProfileTable) -> None:
    """Delete the profile of the path with its consent history. Raises `ProfileUnknown`, `EtagMismatch`."""
    reference = _reference(call, table)
    expected = _expected_moments(call, table)
    parameters = {"key": reference.value, "now": call.now, "expected": expected} | audit.values(call)
    listened = await _listened(call, table)
    row = await store.delete(
        call.db, table, reference.attribute, parameters, expected=expected is not None, listened=listened
    )
    if not row.current:
        raise store.StaleDefinition
    if row.deleted_id is None:
        if row.updated_at is not None:
            require_match(call.headers.get("if-match"), None)
        raise _unknown(call)


async def subscribe(
    call: Incoming, table: ProfileTable, *, subscribed: bool, collection: Collection
) -> tuple[Subscription, Choice]:
    """Record a choice for the subscription of the path; repeating it changes nothing and keeps the first moment."""
    subscription = table.subscriptions_by_name.get(call.path["s"].lower())
    if subscription is None:
        await get(call, table)
        raise SubscriptionUnknown(f"the table has no subscription '{call.path['s']}'")
    await _write_one(call, table, Change((), ((subscription, subscribed),), (), collection))
    profile = await get(call, table)
    return subscription, profile.choices[table.definition.subscriptions.index(subscription)]


async def belong(call: Incoming, table: ProfileTable, *, belongs: bool) -> tuple[Segmentation, Any]:
    """Put the profile of the path into the segmentation of the path, or take it out."""
    segmentation = table.segmentations_by_name.get(call.path["s"].lower())
    if segmentation is None:
        await get(call, table)
        raise SegmentationUnknown(f"the table has no segmentation '{call.path['s']}'")
    category = call.matrix.get("category") or call.query.first("category")
    try:
        value = membership(segmentation, belongs, category)
    except BadValue as error:
        raise invalid("category", error.code, f"segmentation '{segmentation.name}' {error}") from None
    await _write_one(call, table, Change((), (), ((segmentation, value),), Collection()))
    return segmentation, value


async def consents(call: Incoming, table: ProfileTable) -> tuple[list[Consent], dict[int, Subscription]]:
    """The consent history of the profile of the path, newest first, with the subscriptions by number."""
    profile = await get(call, table)
    entries = await store.history(call.db, table, profile.id, MAX_HISTORY)
    return entries, {s.number: s for s in table.definition.subscriptions}


async def _write_one(call: Incoming, table: ProfileTable, change: Change) -> Written:
    reference = _reference(call, table)
    matches = [(reference.attribute, reference.value)] if reference.attribute else []
    profile_id = None if reference.attribute else reference.value
    return _found(await _write(call, table, change, matches, profile_id=profile_id), call)


async def _write(  # noqa: PLR0913 - one statement serves all writes
    call: Incoming,
    table: ProfileTable,
    change: Change,
    matches: Sequence[tuple[Attribute, Any]],
    *,
    profile_id: int | None = None,
    initial: Sequence[tuple[Attribute, Any]] = (),
    may_create: bool = False,
    may_update: bool = True,
) -> Written | None:
    """Run one write; None: no profile matched and none was created. `initial` values are for a new profile only."""
    if_match = call.headers.get("if-match")
    expected = _expected_moments(call, table)
    shape = Shape(
        tuple(a.number for a, _ in matches),
        profile_id is not None,
        tuple(a.number for a, _ in change.values),
        tuple(a.number for a, _ in initial),
        tuple(s.number for s, _ in change.choices),
        tuple(g.number for g, _ in change.memberships),
        may_create and if_match is None,
        may_update,
        expected is not None,
    )
    parameters = audit.values(call) | {
        "now": call.now,
        "expected": expected,
        "id": profile_id,
        "source": change.collection.source,
        "way": change.collection.way,
        "collected_at": change.collection.collected_at,
    }
    parameters |= {f"k{i}": value for i, (_, value) in enumerate(matches)}
    parameters |= {f"v{a.number}": value for a, value in (*change.values, *initial)}
    parameters |= {f"c{s.number}": value for s, value in change.choices}
    parameters |= {f"m{g.number}": value for g, value in change.memberships}
    listened = await _listened(call, table)
    taken: Attribute | None = None
    for _ in range(_ATTEMPTS):
        try:
            row = await store.write(call.db, table, shape, parameters, listened=listened)
        except store.Taken as error:
            taken = error.attribute
            continue
        if not row.current:
            raise store.StaleDefinition
        if row.matches > 1:
            raise AttributeAmbiguous("the unique attributes belong to different profiles")
        if row.created_id is not None:
            return Written(row.created_id, "CREATED")
        if row.matched_id is None:
            require_match(if_match, None)
            return None
        if row.updated_at is None:
            # Deleted between our look and our lock: look again.
            continue
        if if_match is not None and not _expected(if_match, table, row.updated_at):
            require_match(if_match, None)
        if not may_update:
            raise ProfileExists(f"the profile exists already (profileId {row.matched_id}) and allowUpdate is false")
        return Written(row.matched_id, "UNCHANGED" if row.changed_id is None else "UPDATED")
    if taken is not None:
        raise AttributeNotUnique(
            f"another profile owns this value of '{taken.name}'",
            errors=[FieldError("attributes", "attribute.notUnique", f"another profile owns this '{taken.name}'")],
        )
    raise Unavailable("too many calls change this profile at once; repeat in a moment")


async def _listened(call: Incoming, table: ProfileTable) -> frozenset[str]:
    """The types of events of the table that somebody listens to: nobody, mostly."""
    caller = call.caller
    known = await outbox.interests(call.db, caller.licence_id, caller.catalogue_version)
    return known.get((SUBJECT, str(table.id)), outbox.NOBODY)


def _expected_moments(call: Incoming, table: ProfileTable) -> list[datetime] | None:
    """The last changes that If-Match allows; None: any."""
    wanted = tags(call.headers.get("if-match"))
    if wanted is None or "*" in wanted:
        return None
    return [m for tag in wanted if (m := _moment_of(tag, table)) is not None]


def _moment_of(tag: str, table: ProfileTable) -> datetime | None:
    """The last change that a tag of `etag` names; None for a tag of another structure, or no tag of ours."""
    parts = tag.split("-")
    try:
        _, micros, version = (int(part, 16) for part in parts)
        return _EPOCH + timedelta(microseconds=micros) if version == table.version else None
    except (ValueError, OverflowError):
        return None


def _expected(if_match: str, table: ProfileTable, updated_at: datetime) -> bool:
    wanted = tags(if_match) or frozenset()
    return "*" in wanted or any(_moment_of(tag, table) == updated_at for tag in wanted)


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
