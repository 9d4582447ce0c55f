"""The run of an execution: its files are opened, then loaded one after the other by imports of their own."""

import asyncio
import shutil
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec

from tabellion.features.bulk import fenced, tables
from tabellion.features.bulk.etls import store
from tabellion.features.bulk.etls.definition import Definition, Find, Target, check
from tabellion.features.bulk.etls.fetching import fetch
from tabellion.features.bulk.etls.looking import PUT_AWAY
from tabellion.features.bulk.etls.model import LINKS, Execution, Part
from tabellion.features.bulk.etls.opening import FILE_MISSING, Opened, open_files
from tabellion.features.bulk.etls.reporting import order_reports
from tabellion.features.bulk.fenced import JobError, Stopped
from tabellion.features.bulk.imports import INPUT, Status, jobs_store, reports
from tabellion.features.bulk.imports.running import SETTINGS, Run
from tabellion.features.bulk.news import FINISHED, STARTED, tell
from tabellion.features.bulk.tries import transferring
from tabellion.features.licences import zone_and_version
from tabellion.features.tables import Table, TableUnknown
from tabellion.features.transfers import open_location
from tabellion.kit.problem import FieldError
from tabellion.platform import files, jobs
from tabellion.platform.database.advisory import AdvisoryLock
from tabellion.platform.database.connection import Database
from tabellion.platform.database.pool import with_settings
from tabellion.platform.jobs.turns import Turn

_COPY_BYTES = 1 << 20


class Executor:
    """Runs executions. `clock` gives aware UTC moments; `spool` is the folder of all jobs' folders; `turn` as `Run`'s."""

    word = "execution"
    lock = AdvisoryLock.EXECUTION

    def __init__(self, url: str, spool: Path, clock: Callable[[], datetime], turn: Turn | None = None) -> None:
        self._conninfo = with_settings(url, SETTINGS, application_name="tabellion etl")
        self._spool = spool
        self._clock = clock
        self._import = Run(url, spool, clock, turn)

    async def __call__(self, number: int) -> None:
        """Bring an execution to its end. Raises `Busy`, `GaveWay`, and what database or disk refuse for the moment."""
        await fenced.run(self._conninfo, self, number)

    async def begin(self, db: Database, number: int) -> Execution | None:
        """Take it up; the first time, whoever listens is told. What one owes that was cancelled meanwhile is made now."""
        async with db.transaction():
            taken = await store.begin(db, number, self._clock())
            if taken is not None and taken.attempt == 1:
                await tell(db, LINKS, STARTED, taken, self._clock())
        if taken is None:
            await self._settle(db, number)
        return taken

    async def work(self, db: Database, job: Execution) -> None:
        """Bring it to its end. Raises `JobError`, `Stopped`."""
        try:
            await self._load(db, job)
        except Stopped:
            await self._settle(db, job.id)
            raise

    async def _load(self, db: Database, job: Execution) -> None:
        """Open the files, unless an earlier attempt has, and load them in order; a file that fails is the last one."""
        if job.status == Status.VALIDATING:
            await self._open(db, job)
        for part in (await self._now(db, job)).parts:
            if not part.has_ended:
                await self._import(part.job_id)
            ended = next(p for p in (await self._now(db, job)).parts if p.job_id == part.job_id)
            if ended.status == Status.FAILED:
                why = [FieldError(ended.name, error.code, error.message) for error in ended.errors]
                await self._finish(db, job, Status.FAILED, why)
                return
        await self._finish(db, job, None, [])

    async def fail(self, db: Database, job: Execution, why: FieldError) -> None:
        """End it."""
        await self._end(db, job, Status.FAILED, [why])

    async def _now(self, db: Database, job: Execution) -> Execution:
        """The execution as it is. Raises `Stopped` when it was cancelled or taken by another worker."""
        found = await store.execution(db, job.id)
        if found is None or found.has_ended or found.attempt != job.attempt:
            raise Stopped
        return found

    async def _open(self, db: Database, job: Execution) -> None:
        definition = msgspec.convert(job.definition, Definition)
        if job.location_id is not None and not job.uploads:
            job = await self._fetched(db, job, job.location_id, definition)
        targets, faults = await check(definition, await self._finder(db, job))
        if faults:
            raise JobError(faults[0].code, f"{faults[0].field}: {faults[0].message}")
        try:
            opened = await asyncio.to_thread(open_files, self._spool / job.folder, job.uploads, definition)
        except JobError as error:
            if job.location_id is None or error.code != FILE_MISSING:
                raise
            raise JobError(error.code, f"{error}; what was loaded before is loaded again only when it has changed") from None
        async with db.transaction():
            if not await store.running(db, job):
                raise Stopped
            for file in opened:
                await self._enter(db, job, targets[file.file_number], file)

    async def _fetched(self, db: Database, job: Execution, location_id: int, definition: Definition) -> Execution:
        """The execution with files of its location: what was taken is on record before it is opened."""
        etl_id = job.etl_id or 0
        taken = await store.taken_files(db, etl_id, but_failed=True)
        limit = await store.max_file_bytes(db, job.licence_id)
        async with transferring(lambda: store.transfer_failed(db, job)):
            _, opening = await open_location(db, job.licence_id, job.entity_id, location_id)
            async with opening as folder:
                uploads, chosen = await fetch(folder, definition, taken, self._spool / job.folder, limit)
        async with db.transaction():
            if not await store.keep_uploads(db, job, uploads):
                raise Stopped
            await store.take_files(db, etl_id, job.id, chosen)
        return msgspec.structs.replace(job, uploads=tuple(uploads))

    async def _enter(self, db: Database, job: Execution, target: Target, file: Opened) -> None:
        part = jobs_store.PartOf(job.id, file.name, file.file_number)
        table, order, now = target.table, target.order, self._clock()
        await jobs_store.insert(db, table, order, file.folder, now, user_id=job.user_id, part_of=part)

    async def _finder(self, db: Database, job: Execution) -> Find:
        _, version = await zone_and_version(db, job.licence_id)

        async def find(table_type: str, reference: str) -> Table:
            known = await tables.of_licence(db, job.licence_id, table_type, version)
            found = next((t for t in known if t.public_id == reference and t.entity_id == job.entity_id), None)
            if found is None:
                raise TableUnknown("the table was deleted")
            return found

        return find

    async def _finish(self, db: Database, job: Execution, status: Status | None, why: list[FieldError]) -> None:
        """Make the files, then say how it ended; `status` None: as the rows tell."""
        found = await self._now(db, job)
        if status is None:
            status = Status.DONE_WITH_ERRORS if found.counters.in_error else Status.DONE
        await self._gather(found)
        await self._end(db, job, status, why)

    async def _settle(self, db: Database, number: int) -> None:
        """What one leaves behind that was cancelled on its way: the files of the rows up to there."""
        found = await store.execution(db, number)
        if found is None or found.status != Status.CANCELLED:
            return
        for part in found.parts:
            await self._import(part.job_id)
        await self._gather(found)
        await self._forget_inputs(db, found)

    async def _gather(self, found: Execution) -> None:
        folder = self._spool / found.folder
        for kind in reports.NAMES:
            await asyncio.to_thread(_gather, self._spool, reports.path_of(folder, kind), kind, found.parts)

    async def _end(self, db: Database, job: Execution, status: Status, why: list[FieldError]) -> None:
        async with db.transaction():
            await db.execute("SET LOCAL synchronous_commit = on")
            if not await store.end(db, job.id, status, self._clock(), why):
                raise Stopped
            ended = await store.execution(db, job.id)
            if ended is not None:
                await tell(db, LINKS, FINISHED, ended, self._clock())
                await order_reports(db, ended)
            if job.location_id is not None and status != Status.FAILED:
                await jobs.defer(db, PUT_AWAY, licence_id=job.licence_id, execution_id=job.id)
        await self._forget_inputs(db, job)

    async def _forget_inputs(self, db: Database, job: Execution) -> None:
        """Give the room of what was taken out of archives back, once it has ended; what was sent stays."""
        found = await store.execution(db, job.id)
        for part in found.parts if found is not None and found.has_ended else ():
            await asyncio.to_thread(_forget, self._spool, part.folder)


def _forget(spool: Path, folder: str) -> None:
    with files.deleting(spool):
        (spool / folder / INPUT).unlink(missing_ok=True)


def _gather(spool: Path, target: Path, kind: str, parts: tuple[Part, ...]) -> None:
    """One zip of the parts' files of a kind, where there are any."""
    word = reports.NAMES[kind]
    sources = [(number, reports.path_of(spool / part.folder, kind)) for number, part in enumerate(parts, 1)]
    sources = [(number, path) for number, path in sources if path.exists()]
    if not sources:
        return
    partial = target.with_suffix(".part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as out:
        for number, path in sources:
            with zipfile.ZipFile(path) as packed:
                (entry,) = packed.namelist()
                name = entry if len(parts) == 1 else f"{word}-{number}.csv"
                with packed.open(entry) as source, out.open(name, "w", force_zip64=True) as copy:
                    shutil.copyfileobj(source, copy, _COPY_BYTES)
    partial.replace(target)
