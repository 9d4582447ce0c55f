"""Use cases of profile-table structure. A change is one short transaction: all of it, or nothing."""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec.structs import replace
from psycopg import errors

from tabellion.features.licences import resolve_entity
from tabellion.features.tables import store
from tabellion.features.tables.errors import DataConflict, NameUsed, TableUnknown
from tabellion.features.tables.model import Definition, ProfileTable
from tabellion.features.tables.plan import Plan, Step
from tabellion.kit.problem import FieldError, Invalid, Problem
from tabellion.platform import audit
from tabellion.platform.database.errors import Unavailable, retrying
from tabellion.platform.database.versioned import VersionedCache
from tabellion.platform.http.call import Incoming
from tabellion.platform.http.caller import EntityRef
from tabellion.platform.http.etag import require_match

# Readers and writers wait while a change waits for its lock: better to give up soon.
LOCK_TIMEOUT_MS = 2000
_MAX_LICENCES_CACHED = 5000
_CONFLICTS = {
    "rowsNeedDefault": "a new mandatory attribute needs a 'defaultValue', for the table has {profiles}",
    "noNulls": "in the way: {profiles} without a value of '{name}'",
    "noDuplicates": "in the way: {profiles} sharing a value of '{name}' with another one",
    "fits": "in the way: {profiles} with a value of '{name}' that the new restriction refuses",
    "noneIn": "in the way: {profiles} in the category '{value}'",
}

Tables = tuple[ProfileTable, ...]
_cache: VersionedCache[tuple[str, int], Tables] = VersionedCache(_MAX_LICENCES_CACHED)


async def tables_of(call: Incoming, *, fresh: bool = False) -> Tables:
    """The caller's profile tables, all entities; from the process's cache unless the catalogue has changed (or `fresh`)."""
    return await tables_of_licence(call.db, call.caller.licence_id, call.caller.catalogue_version, fresh=fresh)


async def tables_of_licence(db: store.Database, licence_id: int, catalogue_version: int, *, fresh: bool = False) -> Tables:
    """The same without a caller: all the profile tables of a licence as they are in a version of its catalogue."""
    # Licence ids are only unique within one database; tests open many in one process.
    key = (db.info.dbname, licence_id)
    if fresh:
        _cache.forget(key)
    return await _cache.get(key, catalogue_version, lambda: store.load(db, licence_id))


async def find_table(call: Incoming, entity: str, reference: str, *, fresh: bool = False) -> ProfileTable:
    """The table that `{e}` and `{t}` name. Raises `EntityUnknown`, `EntityForbidden`, `TableUnknown`."""
    return await _find(call, resolve_entity(call.caller, entity), reference, fresh=fresh)


async def _find(call: Incoming, entity: EntityRef, reference: str, *, fresh: bool = False) -> ProfileTable:
    candidates = [table for table in await tables_of(call, fresh=fresh) if table.entity_id == entity.id]
    lower = reference.lower()
    by_name = next((table for table in candidates if table.name.lower() == lower), None)
    found = by_name or next((table for table in candidates if str(table.id) == reference), None)
    if found is None:
        raise TableUnknown(f"the entity '{entity.name}' has no profile table '{reference}'")
    return found


async def list_tables(call: Incoming) -> list[ProfileTable]:
    """The tables of the entity of the path, by name."""
    entity = resolve_entity(call.caller, call.path["e"])
    found = [table for table in await tables_of(call) if table.entity_id == entity.id]
    return sorted(found, key=lambda table: table.name.lower())


def etag(table: ProfileTable) -> str:
    """The strong tag of a table's structure."""
    return f"{table.id:x}-{table.version:x}"


async def create(call: Incoming, fill: Callable[[Plan], None], name: str) -> ProfileTable:
    """Make a table; `fill` puts its parts into the plan. Raises `Invalid`, `NameUsed`."""
    entity = resolve_entity(call.caller, call.path["e"])
    plan = Plan(Definition(), "", call.caller.time_zone)
    plan.rename("name", name)
    fill(plan)
    _raise(plan)

    async def work() -> ProfileTable:
        async with call.db.transaction():
            await store.set_lock_timeout(call.db, LOCK_TIMEOUT_MS)
            table = await store.insert(call.db, call.caller.licence_id, entity.id, plan.name, plan.definition, call.now)
            if table is None:
                raise NameUsed(f"the entity '{entity.name}' has a table '{name}' already")
            await store.create_relation(call.db, table)
            for step in plan.steps:
                await store.apply(call.db, table, step)
            await _finish(call, table)
            return table

    return await _short(work)


async def change(call: Incoming, fill: Callable[[Plan], None]) -> ProfileTable:
    """Change the table of the path: all operations or none. Raises `Invalid`, `DataConflict`, `NameUsed`, `EtagMismatch`.

    Writers of the table wait while its rows are checked and a unique index is made (a second or so for a million
    profiles), and give up under their own lock time-out; a change that takes longer than the statement time-out (30 s)
    is undone and answered with 503.
    """
    entity = resolve_entity(call.caller, call.path["e"])
    known = await _find(call, entity, call.path["t"])

    async def work() -> ProfileTable:
        async with call.db.transaction():
            table = await _locked(call, known)
            require_match(call.headers.get("if-match"), etag(table))
            plan = Plan(table.definition, table.name, call.caller.time_zone)
            fill(plan)
            _raise(plan)
            if plan.definition == table.definition and plan.name == table.name:
                return table
            # Taken first: writers that come after it see the new version, and the checks below see all rows.
            await store.lock_rows(call.db, table, plan.steps)
            for step in plan.steps:
                await _apply(call, table, step)
            new = replace(table, name=plan.name, version=table.version + 1, definition=plan.definition)
            try:
                await store.update(call.db, new)
            except errors.UniqueViolation:
                raise NameUsed(f"the entity '{entity.name}' has a table '{plan.name}' already") from None
            await _finish(call, new)
            return new

    return await _short(work)


async def delete(call: Incoming) -> None:
    """Delete the table of the path with its profiles and their history. Raises `EtagMismatch`."""
    known = await _find(call, resolve_entity(call.caller, call.path["e"]), call.path["t"])

    async def work() -> None:
        async with call.db.transaction():
            table = await _locked(call, known)
            require_match(call.headers.get("if-match"), etag(table))
            await store.delete(call.db, table)
            await _finish(call, table)

    await _short(work)


async def _locked(call: Incoming, known: ProfileTable) -> ProfileTable:
    await store.set_lock_timeout(call.db, LOCK_TIMEOUT_MS)
    table = await store.lock(call.db, known.id)
    if table is None:
        raise TableUnknown(f"the table '{known.name}' has just been deleted")
    return table


async def _apply(call: Incoming, table: ProfileTable, step: Step) -> None:
    count = await store.apply(call.db, table, step)
    if count:
        value = getattr(step.value, "name", step.value)
        profiles = "1 profile" if count == 1 else f"{count:,} profiles"
        message = _CONFLICTS[step.kind].format(profiles=profiles, name=step.subject.name, value=value)
        raise DataConflict(message, errors=[FieldError(step.path, "structure.dataConflict", message)])


async def _finish(call: Incoming, table: ProfileTable) -> None:
    await store.bump_catalogue(call.db, table.licence_id)
    await audit.record(call.db, call, f"profile-table/{table.id}")


async def _short(work: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await retrying(work)
    except errors.LockNotAvailable as error:
        message = "the table is in use and the change could not get its lock; nothing was changed, repeat later"
        raise Unavailable(message) from error
    except errors.TooManyColumns as error:
        raise _too_wide() from error


def _too_wide() -> Problem:
    message = "the table has used up its 1,600 columns (removed ones count); make a new table"
    return Invalid([FieldError("", "structure.invalid", message)])


def _raise(plan: Plan) -> None:
    if plan.errors:
        raise Invalid(plan.errors)
