"""Use cases of targets and saved audiences: count, look at a few, define, change, fill with keys, delete."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import NamedTuple

from msgspec.structs import replace
from psycopg import errors

from tabellion.features.audiences import store
from tabellion.features.audiences.conditions import canonical_key, condition_of, condition_of_audience, key_attribute
from tabellion.features.audiences.errors import AudienceInUse, AudienceUnknown
from tabellion.features.audiences.model import Audience, Target
from tabellion.features.licences import check_reach, entity_of, named_entity
from tabellion.features.profiles import Profile, are_over, count_rows, search_rows
from tabellion.features.tables import Attribute, BadValue, NameUsed, ProfileTable, TableUnknown, profile_tables
from tabellion.features.tables.filters import Condition
from tabellion.kit.near import meant
from tabellion.kit.problem import FieldError, Invalid, invalid
from tabellion.platform import audit
from tabellion.platform.database.connection import Database
from tabellion.platform.http.call import Incoming
from tabellion.platform.http.caller import EntityRef
from tabellion.platform.http.etag import require_match

MAX_IMPORTED = 1_000_000
# Campaigns in these states have read their audience for the last time.
ENDED = ("FINISHED", "CANCELLED", "STOPPED")
_MOST_FAULTS = 100
# The same for every call, and spread over the whole table.
_SPREAD = "hashint8(t.id), t.id"


audiences_for = store.for_table


class Sample(NamedTuple):
    """How many profiles are meant, and some of them."""

    meant: int
    profiles: list[Profile]


async def audiences_of(db: Database, licence_id: int, target: Target | None, *, keep: bool = False) -> dict[int, Audience]:
    """The saved audiences that a target names; `keep`: they stay until the end of the transaction."""
    return {} if target is None else await store.by_ids(db, licence_id, target.names_audiences, keep=keep)


async def count_target(db: Database, table: ProfileTable, target: Target, zone: tzinfo, now: datetime) -> int:
    """How many profiles a target means at the moment. Raises `Invalid`."""
    condition = condition_of(table, target, zone, now, await audiences_of(db, table.licence_id, target))
    count = await count_rows(db, table, condition)
    return count if target.max_profiles is None else min(count, target.max_profiles)


async def is_over(db: Database, table: ProfileTable, target: Target, number: int, zone: tzinfo, now: datetime) -> bool:
    """Whether a target means more profiles than this at the moment. Raises `Invalid`."""
    condition = condition_of(table, target, zone, now, await audiences_of(db, table.licence_id, target))
    if target.max_profiles is not None and target.max_profiles <= number:
        return False
    return await are_over(db, table, condition, number)


async def sample_target(db: Database, table: ProfileTable, target: Target, zone: tzinfo, now: datetime, most: int) -> Sample:
    """How many profiles a target means at the moment, and some of them. Raises `Invalid`."""
    condition = condition_of(table, target, zone, now, await audiences_of(db, table.licence_id, target))
    found = await _sample(db, table, condition, most)
    # With a limit the lowest ids are meant; a sample is of all who could be.
    return found if target.max_profiles is None else Sample(min(found.meant, target.max_profiles), found.profiles)


async def note_use(db: Database, campaign_id: int, target: Target) -> None:
    """Remember which audiences a campaign aims at."""
    await store.used_by(db, campaign_id, target.names_audiences)


async def resolve(call: Incoming, references: Sequence[tuple[str, str]]) -> tuple[int, ...]:
    """The ids of audiences of the entity of the path; of each the place in the body and its id or name. Raises `Invalid`."""
    entity = entity_of(call)
    found: list[int] = []
    faults: list[FieldError] = []
    for place, reference in references:
        audience = await _find(call.db, call.caller.licence_id, entity, reference)
        if audience is None:
            faults.append(FieldError(place, "audience.unknown", await _lacks(call, entity, reference)))
        else:
            found.append(audience.id)
    if faults:
        raise Invalid(faults)
    return tuple(dict.fromkeys(found))


async def get(call: Incoming, *, lock: bool = False) -> Audience:
    """The audience of the path. Raises `AudienceUnknown`."""
    entity, reference = entity_of(call), call.path["audience"]
    found = await _find(call.db, call.caller.licence_id, entity, reference, lock=lock)
    if found is None:
        raise AudienceUnknown(await _lacks(call, entity, reference))
    return found


async def search(call: Incoming) -> list[Audience]:
    """The audiences of the entity of the path, by name."""
    return await store.search(call.db, call.caller.licence_id, entity_of(call).id)


async def create(call: Incoming, new: Audience, owner: str | None, table_name: str, keys: Sequence[str] | None) -> Audience:
    """Save an audience for a table of an entity (None: that of the path). Raises `Invalid`, `NameUsed`."""
    entity = entity_of(call)
    of_table = entity if owner is None else named_entity(call.caller, owner, "entityOfTarget")
    try:
        table = await profile_tables.find_of(call, of_table, table_name)
    except TableUnknown as error:
        raise invalid("targetTable", error.code, error.message) from None
    new = replace(new, licence_id=call.caller.licence_id, entity_id=entity.id, table_id=table.id)
    kept = None if keys is None else _kept_values(table, new.attribute, keys, call)
    new = replace(new, keys=None if kept is None else len(set(kept)))
    condition_of_audience(table, new, call.caller.time_zone, call.now)
    try:
        async with call.db.transaction():
            number = await store.insert(call.db, new)
            if number is None:
                raise NameUsed(f"the entity '{entity.name}' has an audience '{new.name}' already")
            if kept is not None:
                await store.replace_keys(call.db, new.licence_id, number, kept)
            await audit.record(call.db, call, f"audience/{number}")
    except errors.ForeignKeyViolation:
        raise invalid("targetTable", "table.unknown", f"the table '{table.name}' has just been deleted") from None
    return replace(new, id=number)


async def change(call: Incoming, changed: Callable[[Audience], Audience], keys: Sequence[str] | None) -> Audience:
    """Change the audience of the path. Raises `AudienceUnknown`, `Invalid`, `NameUsed`, `EtagMismatch`."""
    name = ""
    try:
        async with call.db.transaction():
            before = await get(call, lock=True)
            require_match(call.headers.get("if-match"), etag(before))
            table = await table_of(call, before)
            after = changed(before)
            name = after.name
            if keys is not None:
                kept = _kept_values(table, after.attribute, keys, call)
                after = replace(after, keys=await store.replace_keys(call.db, before.licence_id, before.id, kept))
            elif after.keys is None and before.keys is not None:
                await store.replace_keys(call.db, before.licence_id, before.id, ())
            condition_of_audience(table, after, call.caller.time_zone, call.now)
            await store.update(call.db, after, call.now)
            await audit.record(call.db, call, f"audience/{after.id}")
    except errors.UniqueViolation:
        raise NameUsed(f"the entity has an audience '{name}' already") from None
    return _written(after, call.now)


async def import_keys(call: Incoming, attribute: str | None, lines: Sequence[tuple[int, str]]) -> Audience:
    """Put the keys of a file, with the numbers of their lines, in the place of those before.

    Raises `AudienceUnknown`, `Invalid`, `EtagMismatch`.
    """
    async with call.db.transaction():
        before = await get(call, lock=True)
        require_match(call.headers.get("if-match"), etag(before))
        table = await table_of(call, before)
        if lines and lines[0][1].lower() == (attribute or table.kind.id_name).lower():
            lines = lines[1:]
        if not lines:
            # The file of an extract that failed looks like this, and its campaign would go to nobody.
            raise invalid("inputFile", "member.mandatory", _no_keys(attribute))
        if len(lines) > MAX_IMPORTED:
            raise invalid(
                "inputFile", "structure.tooMany", f"the file has {len(lines):,} keys; {MAX_IMPORTED:,} is the most"
            )
        of = key_attribute(table, attribute, "attribute")
        kept = await asyncio.to_thread(_canonical, of, ((f"line {n}", text) for n, text in lines), call)
        count = await store.replace_keys(call.db, before.licence_id, before.id, kept)
        after = replace(before, attribute=attribute, keys=count)
        await store.update(call.db, after, call.now)
        await audit.record(call.db, call, f"audience/{after.id}")
    return _written(after, call.now)


async def delete(call: Incoming) -> None:
    """Delete the audience of the path. Raises `AudienceUnknown`, `AudienceInUse`, `EtagMismatch`."""
    async with call.db.transaction():
        found = await get(call, lock=True)
        require_match(call.headers.get("if-match"), etag(found))
        if users := await store.users(call.db, found.id, ENDED):
            raise AudienceInUse(f"these campaigns aim at the audience '{found.name}': {', '.join(users)}")
        await store.delete(call.db, found)
        await audit.record(call.db, call, f"audience/{found.id}")


async def sample(call: Incoming, audience: Audience, table: ProfileTable, most: int) -> Sample:
    """How many profiles an audience means at the moment, and some of them. Raises `Invalid`."""
    condition = condition_of_audience(table, audience, call.caller.time_zone, call.now)
    return await _sample(call.db, table, condition, most)


async def table_of(call: Incoming, audience: Audience) -> ProfileTable:
    """The table of an audience; it cannot be deleted as long as there is one. Raises `EntityForbidden`."""
    tables = await profile_tables.of_caller(call)
    found = next((table for table in tables if table.id == audience.table_id), None)
    if found is None:
        found = next(t for t in await profile_tables.of_caller(call, fresh=True) if t.id == audience.table_id)
    check_reach(call.caller, found.entity_id, f"the table of the audience '{audience.name}'")
    return found


async def tables_by_id(call: Incoming) -> Mapping[int, ProfileTable]:
    """The tables of the licence."""
    return {table.id: table for table in await profile_tables.of_caller(call)}


def etag(audience: Audience) -> str:
    """The strong tag of an audience."""
    return f"a{audience.id:x}-{audience.version:x}"


def _written(audience: Audience, now: datetime) -> Audience:
    """As it is after `store.update`."""
    return replace(audience, version=audience.version + 1, updated_at=now)


async def _sample(db: Database, table: ProfileTable, condition: Condition, most: int) -> Sample:
    count = await count_rows(db, table, condition)
    return Sample(count, await search_rows(db, table, condition, _SPREAD, most) if most else [])


def _kept_values(table: ProfileTable, attribute: str | None, values: Sequence[str], call: Incoming) -> list[str]:
    of = key_attribute(table, attribute, "keys.attribute")
    return _canonical(of, ((f"keys.values[{i}]", text) for i, text in enumerate(values)), call)


def _canonical(attribute: Attribute | None, placed: Iterable[tuple[str, str]], call: Incoming) -> list[str]:
    """Keys as they are kept. `placed`: each with where it stands. Raises `Invalid`."""
    found: list[str] = []
    faults: list[FieldError] = []
    for place, text in placed:
        try:
            found.append(canonical_key(attribute, text, call.caller.time_zone))
        except BadValue as error:
            faults.append(FieldError(place, error.code, f"'{text[:100]}' {error}"))
            if len(faults) >= _MOST_FAULTS:
                break
    if faults:
        raise Invalid(faults)
    return found


def _no_keys(attribute: str | None) -> str:
    of = "" if attribute is None else f'"attribute": "{attribute[:100]}", '
    return f'the file has no keys; to list nobody, PATCH the audience with {{"keys": {{{of}"values": []}}}}'


async def _lacks(call: Incoming, entity: EntityRef, reference: str) -> str:
    nearly = meant(reference, await store.names(call.db, call.caller.licence_id, entity.id))
    return f"the entity '{entity.name}' has no audience '{reference[:100]}'{nearly}"


async def _find(db: Database, licence_id: int, entity: EntityRef, reference: str, *, lock: bool = False) -> Audience | None:
    # Names are printable, and what is not (U+0000) the database does not read.
    return await store.find(db, licence_id, entity.id, reference, lock=lock) if reference.isprintable() else None
