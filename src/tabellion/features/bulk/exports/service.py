"""Use cases of exports: keep definitions, accept executions, hand out their files, cancel, follow schedules."""

from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from psycopg import errors

from tabellion.features.bulk import stopping
from tabellion.features.bulk.exports import store
from tabellion.features.bulk.exports.definition import Definition, check
from tabellion.features.bulk.exports.errors import ExportInactive, ExportNameUsed, ExportUnknown
from tabellion.features.bulk.exports.model import FILE, KEPT, LINKS, ROWS_KEPT, Execution, Export
from tabellion.features.bulk.finding import by_id, execution_of, location_of, page_of, subject_of
from tabellion.features.bulk.imports import FileUnknown, JobState, Status, new_folder
from tabellion.features.bulk.tables import find
from tabellion.features.licences import Owner, owner_of
from tabellion.features.tables import Table
from tabellion.kit.problem import FieldError, Invalid, Problem
from tabellion.kit.schedule import Schedule
from tabellion.platform import audit, files, jobs
from tabellion.platform.database.connection import Database
from tabellion.platform.http.call import Incoming

TASK = "exports.run"


async def list_exports(call: Incoming) -> list[Export]:
    """The exports of the entity of the path, by name."""
    return await store.listed(call.db, owner_of(call))


async def get(call: Incoming, *, lock: bool = False) -> Export:
    """The export of the path. Raises `ExportUnknown`."""
    found = await by_id(call, call.path["i"], partial(store.find, lock=lock))
    if found is None:
        raise ExportUnknown(f"the entity '{call.path['e']}' has no export '{call.path['i'][:30]}'")
    return found


async def find_subject(call: Incoming, reference: str) -> str | None:
    """The id of the export that a webhook is to listen to, by its id or its name; None when there is none."""
    return await subject_of(call, reference, store.find, store.find_named)


async def create(call: Incoming, export: Export, faults: Sequence[FieldError]) -> int:
    """Keep an export, unless there were faults; its id. Raises `Invalid` with them and all others, `ExportNameUsed`."""
    async with call.db.transaction():
        export = timed(await _checked(call, export, faults), call.now)
        number = await store.insert(call.db, owner_of(call), export, call.now)
        if number is None:
            raise _name_used(call, export.name)
        await audit.record(call.db, call, f"export/{number}")
    return number


async def change(call: Incoming, changed: Callable[[Export], tuple[Export, Sequence[FieldError]]]) -> Export:
    """Change the export of the path. Raises `ExportUnknown`, `Invalid`, `ExportNameUsed`."""
    async with call.db.transaction():
        before = await get(call, lock=True)
        after = timed(await _checked(call, *changed(before)), call.now)
        if after.definition != before.definition:
            # What was chosen otherwise before begins with all rows.
            after = msgspec.structs.replace(after, changed_since=None)
        try:
            async with call.db.transaction():
                await store.update(call.db, after)
        except errors.UniqueViolation:
            raise _name_used(call, after.name) from None
        await audit.record(call.db, call, f"export/{after.id}")
    return after


async def delete(call: Incoming) -> None:
    """Delete the export of the path; its executions stay. Raises `ExportUnknown`."""
    async with call.db.transaction():
        export = await get(call, lock=True)
        await store.delete(call.db, owner_of(call), export.id)
        await audit.record(call.db, call, f"export/{export.id}")


async def execute(call: Incoming, definition: Definition) -> int:
    """Accept a one-shot; the number of its execution. Raises `Invalid`."""
    await _check(call, definition)
    new = store.NewExecution(owner_of(call), None, msgspec.to_builtins(definition), None, new_folder("export"))
    async with call.db.transaction():
        return await _enter(call, new)


async def trigger(call: Incoming) -> int:
    """Run the export of the path now. Raises `ExportUnknown`, `ExportInactive`, `Invalid`."""
    async with call.db.transaction():
        export = await get(call, lock=True)
        if not export.is_active:
            raise ExportInactive(f"the export '{export.name}' is switched off")
        await _check(call, msgspec.convert(export.definition, Definition))
        since = export.changed_since if export.definition.get("incremental") else None
        new = store.NewExecution(owner_of(call), export.id, export.definition, since, new_folder("export"))
        return await _enter(call, new)


async def start_due(db: Database, now: datetime) -> int:
    """Start an execution of each export whose time has come: once, however many workers look; returns how many.

    What was missed while nothing ran is made up for by one execution.
    """
    count = 0
    while True:
        async with db.transaction():
            due = await store.due(db, now)
            if due is None:
                return count
            since = due.changed_since if due.definition.get("incremental") else None
            new = store.NewExecution(due.owner, due.id, due.definition, since, new_folder("export"))
            number = await store.enter(db, new, now)
            await jobs.defer(db, TASK, licence_id=new.owner[0], execution_id=number)
            await store.set_next_run(db, due.id, _next_run(due.definition, now))
        count += 1


async def enter_export(
    db: Database, table: Table, definition: Definition, zone: tzinfo, now: datetime
) -> tuple[int, list[FieldError]]:
    """Enter an execution for whoever runs it at once; its number, or what is wrong with the definition."""
    _, faults = check(definition, table, zone)
    if faults:
        return 0, faults
    owner = Owner(table.licence_id, table.entity_id)
    new = store.NewExecution(owner, None, msgspec.to_builtins(definition), None, new_folder("export"))
    return await store.enter(db, new, now), []


async def execution(call: Incoming) -> Execution:
    """The execution of the path. Raises `ExecutionUnknown`."""
    return await execution_of(call, store.execution)


async def executions(
    call: Incoming, *, export_id: int | None, status: Status | None, before: int | None, limit: int
) -> tuple[list[Execution], int | None]:
    """Executions of the entity of the path, the latest first, and where the next page begins (None: there is none)."""
    found = await store.executions(
        call.db, owner_of(call), export_id=export_id, status=status, before=before, limit=limit + 1
    )
    return page_of(found, limit)


async def file(call: Incoming) -> tuple[Execution, Path]:
    """The file of an execution that has ended. Raises `ExecutionUnknown`, `JobState`, `FileUnknown`."""
    found = await execution(call)
    if not found.has_ended:
        raise JobState(f"the execution {found.id} is {found.status}: its file is made when it ends")
    path = files.spool() / found.folder / FILE
    if found.status != Status.DONE:
        raise FileUnknown(f"the execution {found.id} ended as {found.status}, and no file was made")
    if found.ended_at is None or call.now >= found.ended_at + KEPT:
        raise FileUnknown(f"the file of the execution {found.id} was deleted when it was {KEPT.days} days old; export anew")
    if not path.exists():
        raise FileUnknown(
            f"the file of the execution {found.id} is there no more: an erasure deletes those that show the person, "
            "or may do so without the address; export anew"
        )
    return found, path


async def cancel(call: Incoming) -> None:
    """End the execution of the path; nothing is left of its file. Raises `ExecutionUnknown`, `JobState`."""
    found = await execution(call)
    async with call.db.transaction():
        if not await stop(call.db, found.id, Status.CANCELLED, call.now):
            raise JobState(f"the execution {found.id} has ended already")
        await audit.record(call.db, call, f"export-execution/{found.id}")


async def stop(db: Database, number: int, status: Status, now: datetime) -> bool:
    """End an execution from outside, as `stopping.stop` does."""
    return await stopping.stop(db, store, LINKS, number, status, now)


async def purge(db: Database, now: datetime) -> set[str]:
    """Forget executions after 30 days and their files after 5; returns the folders of the files that stay."""
    return await store.purge(db, now - KEPT, now - ROWS_KEPT)


def timed(export: Export, now: datetime) -> Export:
    """The export with the next time of its schedule, if it has one."""
    return msgspec.structs.replace(export, next_run_at=_next_run(export.definition, now))


def _next_run(definition: dict[str, Any], now: datetime) -> datetime | None:
    schedule = definition.get("schedule")
    return None if schedule is None else Schedule(schedule["cron"], schedule["timeZone"]).next_after(now)


async def _enter(call: Incoming, new: store.NewExecution) -> int:
    number = await store.enter(call.db, new, call.now)
    await jobs.defer(call.db, TASK, licence_id=new.owner[0], execution_id=number)
    await audit.record(call.db, call, f"export-execution/{number}")
    return number


async def _checked(call: Incoming, export: Export, found: Sequence[FieldError]) -> Export:
    """The export with its table named by id, and its location. Raises `Invalid`, with those found."""
    definition = msgspec.convert(export.definition, Definition)
    faults = [*found, *await _faults(call, definition)]
    location_id = await location_of(call, export.definition.get("locationId"), "locationId", faults)
    if faults:
        raise Invalid(faults)
    return msgspec.structs.replace(
        export,
        definition=export.definition | msgspec.to_builtins(definition),
        location_id=location_id,
    )


async def _check(call: Incoming, definition: Definition) -> None:
    faults = await _faults(call, definition)
    if faults:
        raise Invalid(faults)


async def _faults(call: Incoming, definition: Definition) -> list[FieldError]:
    try:
        table = await find(call, definition.table_type, definition.table_id)
    except Problem as error:
        if error.code != "table.unknown":
            raise
        return [FieldError("tableId", error.code, error.message)]
    return check(definition, table, call.caller.time_zone)[1]


def _name_used(call: Incoming, name: str) -> ExportNameUsed:
    return ExportNameUsed(f"the entity '{call.path['e']}' has an export '{name}' already")
