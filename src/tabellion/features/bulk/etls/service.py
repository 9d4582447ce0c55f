"""Use cases of ETLs: keep definitions, accept executions, tell how far they are, hand out what came of them, cancel."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from psycopg import errors

from tabellion.features.bulk import stopping
from tabellion.features.bulk.etls import store
from tabellion.features.bulk.etls.definition import Definition, check
from tabellion.features.bulk.etls.errors import EtlInactive, EtlNameUsed, EtlUnknown
from tabellion.features.bulk.etls.looking import TASK, enter, next_run
from tabellion.features.bulk.etls.model import LINKS, Due, Etl, Execution, NewExecution, Uploaded
from tabellion.features.bulk.finding import by_id, execution_of, location_of, page_of, subject_of
from tabellion.features.bulk.imports import FileUnknown, JobState, Status, new_folder, reports, spooled, turn
from tabellion.features.bulk.names import base_name
from tabellion.features.bulk.tables import find
from tabellion.features.licences import entity_of, owner_of
from tabellion.features.usage import count_bulk_call
from tabellion.kit.problem import FieldError, Invalid, invalid
from tabellion.platform import audit, files, jobs
from tabellion.platform.database.connection import Database
from tabellion.platform.files import Upload, UploadedFile
from tabellion.platform.http.call import Incoming

KEPT = timedelta(days=30)


async def list_etls(call: Incoming) -> list[Etl]:
    """The ETLs of the entity of the path, by name."""
    return await store.listed(call.db, owner_of(call))


async def get(call: Incoming, *, lock: bool = False) -> Etl:
    """The ETL of the path. Raises `EtlUnknown`."""
    found = await by_id(call, call.path["i"], partial(store.find, lock=lock))
    if found is None:
        raise EtlUnknown(f"the entity '{entity_of(call).name}' has no ETL '{call.path['i'][:30]}'")
    return found


async def find_subject(call: Incoming, reference: str) -> str | None:
    """The id of the ETL that a webhook is to listen to, by its id or its name; None when there is none."""
    return await subject_of(call, reference, store.find, store.find_named)


async def create(call: Incoming, etl: Etl, faults: Sequence[FieldError]) -> int:
    """Keep an ETL, unless there were faults; its id. Raises `Invalid` with them and all others, `EtlNameUsed`."""
    async with call.db.transaction():
        etl = await _checked(call, etl, faults)
        number = await store.insert(call.db, owner_of(call), etl, call.now)
        if number is None:
            raise _name_used(call, etl.name)
        await audit.record(call.db, call, f"etl/{number}")
    return number


async def change(call: Incoming, changed: Callable[[Etl], tuple[Etl, Sequence[FieldError]]]) -> Etl:
    """Change the ETL of the path. Raises `EtlUnknown`, `Invalid`, `EtlNameUsed`."""
    async with call.db.transaction():
        before = await get(call, lock=True)
        after = await _checked(call, *changed(before))
        try:
            async with call.db.transaction():
                await store.update(call.db, after)
        except errors.UniqueViolation:
            raise _name_used(call, after.name) from None
        await audit.record(call.db, call, f"etl/{after.id}")
    return after


async def delete(call: Incoming) -> None:
    """Delete the ETL of the path; its executions stay. Raises `EtlUnknown`."""
    async with call.db.transaction():
        etl = await get(call, lock=True)
        await store.delete(call.db, owner_of(call), etl.id)
        await audit.record(call.db, call, f"etl/{etl.id}")


async def execute(call: Incoming, sent: Sequence[UploadedFile], read: Callable[[], Definition]) -> int:
    """Accept a one-shot; the number of its execution. Raises what `read` raises, `Invalid`, `TooManyBulkCalls`."""
    return await _accept(call, None, read(), sent, "definition.")


async def trigger(call: Incoming, sent: Sequence[UploadedFile]) -> int:
    """Accept files for the ETL of the path. Raises `EtlUnknown`, `EtlInactive`, `Invalid`, `TooManyBulkCalls`."""
    etl = await get(call)
    if not etl.is_active:
        raise EtlInactive(f"the ETL '{etl.name}' is switched off")
    if etl.location_id is not None:
        if sent:
            message = "the ETL fetches its files from a location; send none"
            raise invalid("file", "structure.invalid", message)
        return await _fetch(call, etl, etl.location_id)
    return await _accept(call, etl.id, msgspec.convert(etl.definition, Definition), sent)


async def _fetch(call: Incoming, etl: Etl, location_id: int) -> int:
    """Make an execution that fetches its files, and count it against the quota."""
    due = Due(etl.id, *owner_of(call), etl.definition, location_id)
    async with call.db.transaction():
        tables = {file["load"]["tableId"] for file in etl.definition["files"]}
        await count_bulk_call(call.db, call.caller, tables, call.now)
        number = await enter(call.db, due, call.now, call.caller.user_id)
        await audit.record(call.db, call, f"etl-execution/{number}")
    return number


async def _accept(
    call: Incoming, etl_id: int | None, definition: Definition, sent: Sequence[UploadedFile], place: str = ""
) -> int:
    """Make an execution of uploaded files, count it against the quota, and queue it: all of it, or nothing.

    `place` stands before the paths of what is wrong with the definition.
    """
    if not sent:
        raise (call.upload or Upload()).lacks("file")
    targets, faults = await check(definition, partial(find, call), place)
    if faults:
        raise Invalid(faults)
    folder = new_folder("etl")
    uploads = [Uploaded(f"upload-{number}", base_name(file.client_name)) for number, file in enumerate(sent)]
    document: dict[str, Any] = msgspec.to_builtins(definition)
    new = NewExecution(*owner_of(call), call.caller.user_id, etl_id, document, tuple(uploads), folder)
    places = {upload.place: file.path for upload, file in zip(uploads, sent, strict=True)}
    async with spooled(places, folder), call.db.transaction():
        await count_bulk_call(call.db, call.caller, {target.table.public_id for target in targets}, call.now)
        number = await store.enter(call.db, new, call.now)
        turn_of = turn(targets[0].table.public_id)
        await jobs.defer(call.db, TASK, licence_id=new.licence_id, lock=turn_of, execution_id=number)
        await audit.record(call.db, call, f"etl-execution/{number}")
    return number


async def execution(call: Incoming) -> Execution:
    """The execution of the path. Raises `ExecutionUnknown`."""
    return await execution_of(call, store.execution)


async def executions(
    call: Incoming, *, etl_id: int | None, status: Status | None, before: int | None, limit: int
) -> tuple[list[Execution], int | None]:
    """Executions of the entity of the path, the latest first, and where the next page begins (None: there is none)."""
    found = await store.executions(call.db, owner_of(call), etl_id=etl_id, status=status, before=before, limit=limit + 1)
    return page_of(found, limit)


async def report(call: Incoming, kind: str) -> tuple[Execution, Path]:
    """The file of an execution that has ended. Raises `ExecutionUnknown`, `JobState`, `FileUnknown`."""
    found = await execution(call)
    if kind == reports.RESULT and not found.definition.get("generateResultFile"):
        raise FileUnknown(f"no result file was asked for by the definition of execution {found.id} (generateResultFile)")
    if not found.has_ended:
        raise JobState(f"the execution {found.id} is {found.status}: its files are made when it ends")
    path = reports.path_of(files.spool() / found.folder, kind)
    if not path.exists():
        cancelled = found.status == Status.CANCELLED and found.counters.read > 0
        if cancelled and await jobs.is_open(call.db, TASK, execution_id=found.id):
            raise JobState(f"the execution {found.id} was cancelled a moment ago: its files are being made")
        raise FileUnknown(f"the execution {found.id} ended as {found.status} and has no such file: {reports.WHY_MISSING}")
    return found, path


async def cancel(call: Incoming) -> None:
    """End the execution of the path; rows already written stay. Raises `ExecutionUnknown`, `JobState`."""
    found = await execution(call)
    async with call.db.transaction():
        if not await stop(call.db, found.id, Status.CANCELLED, call.now):
            raise JobState(f"the execution {found.id} has ended already")
        await audit.record(call.db, call, f"etl-execution/{found.id}")


async def stop(db: Database, number: int, status: Status, now: datetime) -> bool:
    """End an execution from outside, as `stopping.stop` does."""
    return await stopping.stop(db, store, LINKS, number, status, now)


async def purge(db: Database, now: datetime) -> set[str]:
    """Forget the executions that ended 30 days ago; returns the folders of the others."""
    await store.purge(db, now - KEPT)
    return await store.folders(db)


async def _checked(call: Incoming, etl: Etl, found: Sequence[FieldError]) -> Etl:
    """The ETL with its tables named by id, its location, and when it is looked after. Raises `Invalid`, with those found."""
    definition = msgspec.convert(etl.definition, Definition)
    _, more = await check(definition, partial(find, call))
    faults = [*found, *more]
    source = etl.definition["source"]
    reference = source.get("locationId") if source["type"] == "LOCATION" else None
    location_id = await location_of(call, reference, "source.locationId", faults)
    if faults:
        raise Invalid(faults)
    return msgspec.structs.replace(
        etl,
        definition=etl.definition | msgspec.to_builtins(definition),
        location_id=location_id,
        next_run_at=next_run(etl.definition, call.now),
    )


def _name_used(call: Incoming, name: str) -> EtlNameUsed:
    return EtlNameUsed(f"the entity '{entity_of(call).name}' has an ETL '{name}' already")
