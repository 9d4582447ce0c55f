"""Use cases of structure. A change is one short transaction: all of it, or nothing.

`Structures` does for tables of one kind what the calls ask for; `profile_tables` is that of profile tables.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from msgspec.structs import replace
from psycopg import errors

from tabellion.features.licences import bump_catalogue, entity_of, resolve_entity
from tabellion.features.tables import ddl, store, views
from tabellion.features.tables.errors import DataConflict, NameUsed, TableInUse, TableUnknown
from tabellion.features.tables.model import PROFILE_TABLES, Columns, Definition, ProfileTable, Table
from tabellion.features.tables.plan import Plan, Step
from tabellion.features.tables.profile_plan import ProfilePlan
from tabellion.features.tables.references import check_deletable, check_unreferred
from tabellion.kit.near import meant
from tabellion.kit.problem import FieldError, Invalid, invalid
from tabellion.platform import audit
from tabellion.platform.database.connection import Database
from tabellion.platform.database.errors import Unavailable, retrying
from tabellion.platform.database.versioned import VersionedCache
from tabellion.platform.http.call import Incoming
from tabellion.platform.http.caller import EntityRef
from tabellion.platform.http.etag import require_match

_VIEW = re.compile(r"^(?:materialized )?view (.+?) depends on ", re.MULTILINE)
# Readers and writers wait while a change waits for its lock: better to give up soon.
LOCK_TIMEOUT_MS = 2000
_MAX_LICENCES_CACHED = 5000
_MOST_COMPARED = 200
_CONFLICTS = {
    "rowsNeedDefault": "a new mandatory attribute needs a 'defaultValue', for the table has {rows}",
    "noNulls": "in the way: {rows} without a value of '{name}'",
    "addIndex": "in the way: {rows} sharing a value of '{name}' with another one",
    "fits": "in the way: {rows} with a value of '{name}' that the new restriction refuses",
    "noneIn": "in the way: {rows} in the category '{value}'",
    "addReference": "in the way: {rows} whose '{name}' refers to nothing",
}
T = TypeVar("T", bound=Table)
D = TypeVar("D", bound=Columns)
P = TypeVar("P", bound=Plan[Any])
R = TypeVar("R")


class Structures(Generic[T, D, P]):
    """The structure of the tables of one kind. `first()` is the definition that a new table starts from."""

    def __init__(self, catalogue: store.Catalogue[T, D], plan: Callable[..., P], first: Callable[[], D]) -> None:
        self.kind = catalogue.kind
        self._catalogue = catalogue
        self._plan = plan
        self._first = first
        self._cache: VersionedCache[tuple[str, int], tuple[T, ...]] = VersionedCache(_MAX_LICENCES_CACHED)
        self._guard: Callable[[Incoming, T, T | None], Awaitable[None]] | None = None

    def use_guard(self, guard: Callable[[Incoming, T, T | None], Awaitable[None]] | None) -> None:
        """Say who is asked before a table changes, in the transaction that changes it: `guard(call, before, after)` raises
        `TableInUse` where somebody needs what is taken away; `after` None: the table is deleted. No guard: nobody any more.
        """
        self._guard = guard

    async def of_caller(self, call: Incoming, *, fresh: bool = False) -> tuple[T, ...]:
        """The caller's tables, all entities; from the process's cache unless the catalogue has changed (or `fresh`)."""
        return await self.of_licence(call.db, call.caller.licence_id, call.caller.catalogue_version, fresh=fresh)

    async def of_licence(
        self, db: Database, licence_id: int, catalogue_version: int, *, fresh: bool = False
    ) -> tuple[T, ...]:
        """The same without a caller: all the tables of a licence as they are in a version of its catalogue."""
        # Licence ids are only unique within one database; tests open many in one process.
        key = (db.info.dbname, licence_id)
        if fresh:
            self._cache.forget(key)
        return await self._cache.get(key, catalogue_version, lambda: self.load(db, licence_id))

    async def load(self, db: Database, licence_id: int) -> tuple[T, ...]:
        """The same as they are now, past the cache."""
        return await self._catalogue.load(db, licence_id)

    async def keep(self, db: Database, table_id: int) -> T | None:
        """A table as it is now, which nobody changes before the transaction ends; None when it is gone."""
        return await self._catalogue.keep(db, table_id)

    async def find(self, call: Incoming, entity: str, reference: str, *, fresh: bool = False) -> T:
        """The table that `{e}` and `{t}` name. Raises `EntityUnknown`, `EntityForbidden`, `TableUnknown`."""
        return await self.find_of(call, resolve_entity(call.caller, entity), reference, fresh=fresh)

    async def find_of(self, call: Incoming, owner: EntityRef, reference: str, *, fresh: bool = False) -> T:
        """The same of an entity that was found. Raises `TableUnknown`."""
        tables = await self.of_caller(call, fresh=fresh)
        found = named(tables, owner, reference)
        if found is None:
            nearly = meant(reference, [table.name for table in tables if table.entity_id == owner.id][:_MOST_COMPARED])
            raise TableUnknown(f"the entity '{owner.name}' has no {self.kind.noun} '{reference[:100]}'{nearly}")
        return found

    async def listed(self, call: Incoming) -> list[T]:
        """The tables of the entity of the path, by name."""
        entity = entity_of(call)
        found = [table for table in await self.of_caller(call) if table.entity_id == entity.id]
        return sorted(found, key=lambda table: table.name.lower())

    async def create(self, call: Incoming, fill: Callable[[P], None], name: str) -> T:
        """Make a table; `fill` puts its parts into the plan. Raises `Invalid`, `NameUsed`."""
        entity = entity_of(call)
        plan = self._plan(self._first(), "", call.caller.time_zone, call.now)
        plan.rename("name", name)
        fill(plan)
        _finish(plan)

        async def work() -> T:
            async with call.db.transaction():
                await ddl.set_lock_timeout(call.db, LOCK_TIMEOUT_MS)
                licence_id = call.caller.licence_id
                table = await self._catalogue.insert(call.db, licence_id, entity.id, plan.name, plan.definition, call.now)
                if table is None:
                    raise NameUsed(f"the entity '{entity.name}' has a table '{name}' already")
                await ddl.create_relation(call.db, table)
                for step in plan.steps:
                    await self._catalogue.apply(call.db, table, step)
                await views.make_view(call.db, table)
                await _record(call, table)
                return table

        return await _short(work)

    async def change(self, call: Incoming, fill: Callable[[P], None]) -> T:
        """Change the table of the path: all operations or none.

        Raises `Invalid`, `DataConflict`, `NameUsed`, `TableInUse`, `EtagMismatch`. Writers of the table wait while its rows
        are checked and an index is made (a second or so for a million rows), and give up under their own lock time-out; a
        change that takes longer than the statement time-out (30 s) is undone and answered with 503.
        """
        known = await self.find(call, call.path["e"], call.path["t"])

        async def work() -> T:
            async with call.db.transaction():
                table = await self._locked(call, known)
                require_match(call.headers.get("if-match"), structure_etag(table))
                plan = self._plan(table.columns, table.name, call.caller.time_zone, call.now)
                fill(plan)
                _finish(plan)
                if plan.definition == table.columns and plan.name == table.name:
                    call.refuse_ignored(None, "the table stays as it is")
                    return table
                changes: dict[str, Any] = {"definition": plan.definition}
                new = replace(table, name=plan.name, version=table.version + 1, **changes)
                await check_unreferred(call.db, table, plan.unhinged())
                if self._guard is not None:
                    await self._guard(call, table, new)
                seen_anew = new.name != table.name or views.columns_of(new) != views.columns_of(table)
                if seen_anew:
                    await views.drop_view(call.db, table)
                # Taken first: writers that come after it see the new version, and the checks below see all rows.
                await store.lock_rows(call.db, self._catalogue, table, plan.steps)
                for step in plan.steps:
                    await self._apply(call, table, step)
                if seen_anew:
                    await views.make_view(call.db, new)
                try:
                    await self._catalogue.update(call.db, new, plan.definition)
                except errors.UniqueViolation:
                    raise NameUsed(f"the entity has a table '{plan.name}' already") from None
                await _record(call, new)
                return new

        return await _short(work)

    async def delete(self, call: Incoming) -> None:
        """Delete the table of the path with all that it holds. Raises `EtagMismatch`, `TableInUse`."""
        known = await self.find(call, call.path["e"], call.path["t"])

        async def work() -> None:
            async with call.db.transaction():
                table = await self._locked(call, known)
                require_match(call.headers.get("if-match"), structure_etag(table))
                await check_deletable(call.db, table)
                if self._guard is not None:
                    await self._guard(call, table, None)
                await views.drop_view(call.db, table)
                await self._catalogue.delete(call.db, table)
                await _record(call, table)

        await _short(work)

    async def make_views(self, db: Database, licence_id: int) -> None:
        """Make the views of all tables of a licence that has just given analysts access."""
        for table in await self.load(db, licence_id):
            await views.drop_view(db, table)
            await views.make_view(db, table)

    async def _locked(self, call: Incoming, known: T) -> T:
        await ddl.set_lock_timeout(call.db, LOCK_TIMEOUT_MS)
        table = await self._catalogue.lock(call.db, known.id)
        if table is None:
            raise TableUnknown(f"the table '{known.name}' has just been deleted")
        return table

    async def _apply(self, call: Incoming, table: T, step: Step) -> None:
        count = await self._catalogue.apply(call.db, table, step)
        if count:
            value = getattr(step.value, "name", step.value)
            message = _CONFLICTS[step.kind].format(rows=self.kind.counted(count), name=step.subject.name, value=value)
            raise DataConflict(message, errors=[FieldError(step.path, "structure.dataConflict", message)])


profile_tables = Structures(store.ProfileTables(PROFILE_TABLES, ProfileTable, Definition), ProfilePlan, Definition)
find_table = profile_tables.find
tables_of_licence = profile_tables.of_licence


def named(tables: tuple[T, ...], entity: EntityRef, reference: str) -> T | None:
    """The table of an entity by its name, or else by its id."""
    candidates = [table for table in tables if table.entity_id == entity.id]
    lower = reference.lower()
    by_name = next((table for table in candidates if table.name.lower() == lower), None)
    return by_name or next((table for table in candidates if table.public_id == lower), None)


def structure_etag(table: Table) -> str:
    """The strong tag of a table's structure."""
    return f"{table.id:x}-{table.version:x}"


async def _record(call: Incoming, table: Table) -> None:
    await bump_catalogue(call.db, table.licence_id)
    await audit.record(call.db, call, f"{table.kind.noun.replace(' ', '-')}/{table.public_id}")


async def _short(work: Callable[[], Awaitable[R]]) -> R:
    try:
        return await retrying(work)
    except errors.LockNotAvailable as error:
        message = "the table is in use and the change could not get its lock; nothing was changed, repeat later"
        raise Unavailable(message) from error
    except errors.TooManyColumns as error:
        raise _too_wide() from error
    except errors.DependentObjectsStillExist as error:
        raise TableInUse(_needed(error)) from error
    except (errors.ForeignKeyViolation, errors.RestrictViolation) as error:
        raise TableInUse("a campaign or an audience has just been made for this table; repeat to hear which one") from error
    except (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidForeignKey) as error:
        raise Unavailable("a table that this one refers to has just been changed; repeat in a moment") from error


def _needed(error: errors.DependentObjectsStillExist) -> str:
    """What the database says still needs a table or attribute: views of analysts, as foreign keys have been looked for."""
    views = list(dict.fromkeys(_VIEW.findall(error.diag.message_detail or "")))
    if not views:
        return "a foreign key to this table or attribute has just been made; repeat to hear which one"
    return f"views that analysts have built on that of the table need it: {', '.join(views)}; have them dropped first"


def _too_wide() -> Invalid:
    message = (
        "the database has no column left for this: a table has 1,600 in all, a subscription takes four, and those of what "
        "was removed count for good. Make a new table, and bring the rows into it by an export and an import"
    )
    return invalid("", "structure.tooMany", message)


def _finish(plan: Plan[Any]) -> None:
    if not plan.errors:
        plan.finish()
    if plan.errors:
        raise Invalid(plan.errors)
