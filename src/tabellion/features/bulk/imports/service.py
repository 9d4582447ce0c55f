"""Use cases of imports: accept a file, tell how far it is, hand out what came of it, cancel."""

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import psycopg

from tabellion.features.bulk.imports import opening, reports, store
from tabellion.features.bulk.imports.errors import FileUnknown, ImportUnknown, JobState
from tabellion.features.bulk.imports.model import Job, Order, Status
from tabellion.features.customdata import find_custom_table
from tabellion.features.licences import entity_of
from tabellion.features.tables import Table, find_table
from tabellion.features.usage import count_bulk_call
from tabellion.kit.digits import number_of
from tabellion.kit.problem import Problem
from tabellion.platform import audit, files, jobs
from tabellion.platform.database.connection import Database
from tabellion.platform.http.call import Incoming

TASK = "imports.run"
KEPT = timedelta(days=30)


async def accept(call: Incoming, uploaded: Path, order: Callable[[Table], Order]) -> int:
    """Make a job of an uploaded file, count it against the quota, and queue it: all of it, or nothing.

    Raises `TableUnknown`, what `order` raises, and `TooManyBulkCalls`.
    """
    find = find_custom_table if "/customTable/" in call.call.path else find_table
    table: Table = await find(call, call.path["e"], call.path["t"])
    wanted = order(table)
    folder = new_folder()
    async with spooled({opening.INPUT: uploaded}, folder), call.db.transaction():
        await count_bulk_call(call.db, call.caller, {table.public_id}, call.now)
        job_id = await store.insert(call.db, table, wanted, folder, call.now, user_id=call.caller.user_id)
        await jobs.defer(call.db, TASK, licence_id=call.caller.licence_id, lock=turn(table.public_id), job_id=job_id)
        await audit.record(call.db, call, f"import/{job_id}")
    return job_id


async def get(call: Incoming) -> Job:
    """The job of the path. Raises `ImportUnknown`."""
    entity = entity_of(call)
    text = call.path["i"]
    number = number_of(text)
    job = None if number is None else await store.find(call.db, number, call.caller.licence_id)
    if job is None or job.entity_id != entity.id:
        raise ImportUnknown(f"the entity '{entity.name}' has no import '{text[:30]}'")
    return job


async def report(call: Incoming, kind: str) -> tuple[Job, Path]:
    """The file of a job that has ended. Raises `ImportUnknown`, `JobState`, `FileUnknown`."""
    job = await get(call)
    if kind == reports.RESULT and not job.order.result_file:
        raise FileUnknown(f"no result file was asked for when the import {job.id} was made (generateResultFile)")
    if not job.has_ended:
        raise JobState(f"the import {job.id} is {job.status}: its files are made when it ends")
    path = reports.path_of(files.spool() / job.folder, kind)
    if not path.exists():
        if job.status == Status.CANCELLED and job.line and await jobs.is_open(call.db, TASK, job_id=job.id):
            raise JobState(f"the import {job.id} was cancelled a moment ago: its files are being made")
        raise FileUnknown(f"the import {job.id} ended as {job.status} and has no such file: {reports.WHY_MISSING}")
    return job, path


async def cancel(call: Incoming) -> None:
    """End the job of the path; rows already written stay. Raises `ImportUnknown`, `JobState`."""
    job = await get(call)
    async with call.db.transaction():
        if not await store.end(call.db, job.id, Status.CANCELLED, call.now):
            raise JobState(f"the import {job.id} has ended already")
        await audit.record(call.db, call, f"import/{job.id}")


def turn(table_id: str) -> str:
    """The lock of jobs: whatever imports into one table does so in the order of acceptance. `table_id` is the public one."""
    return f"import/{table_id}"


def new_folder(word: str = "import") -> str:
    """A name in the spool that nobody has."""
    return f"{word}-{secrets.token_hex(16)}"


def spool_files(uploaded: Mapping[str, Path], folder: str) -> Path:
    """Move files, by their new names, into a job's folder, so that they are there after a power cut; returns the folder."""
    place = files.spool() / folder
    place.mkdir(mode=0o700)
    for name, path in uploaded.items():
        path.replace(place / name)
    for path in (*(place / name for name in uploaded), place, place.parent):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    return place


@asynccontextmanager
async def spooled(uploaded: Mapping[str, Path], folder: str) -> AsyncGenerator[None]:
    """`spool_files` for a job that is entered within. When that is refused, they are deleted."""
    place = files.spool() / folder
    try:
        await asyncio.to_thread(spool_files, uploaded, folder)
    except OSError:
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
        raise
    try:
        yield
    except (Problem, psycopg.errors.DiskFull):
        # After any other error nobody knows whether the job is there; what has no job is swept up a day later.
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
        raise


async def purge(db: Database, now: datetime) -> set[str]:
    """Forget the jobs that ended 30 days ago; returns the folders of the others."""
    await store.purge(db, now - KEPT)
    return await store.folders(db)
