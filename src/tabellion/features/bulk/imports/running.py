"""The run of one import: from the uploaded file to the last row, block by block, and on from the last block after a crash.

A block's rows, its counters, its mistakes and how far the file is applied are one transaction.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import errors

from tabellion.features.bulk import fenced, tables
from tabellion.features.bulk.fenced import JobError, Stopped
from tabellion.features.bulk.imports import opening, reports, store
from tabellion.features.bulk.imports.applying import Applied, Applier
from tabellion.features.bulk.imports.checking import Checked, Checker
from tabellion.features.bulk.imports.columns import Plan, plan
from tabellion.features.bulk.imports.merge import MergeSql
from tabellion.features.bulk.imports.model import Fault, Job, Status
from tabellion.features.bulk.imports.rows import Block, Reader
from tabellion.features.licences import zone_and_version
from tabellion.features.tables import Table, referrers
from tabellion.kit.problem import FieldError
from tabellion.platform import outbox
from tabellion.platform.database.advisory import AdvisoryLock
from tabellion.platform.database.connection import Database
from tabellion.platform.database.pool import with_settings
from tabellion.platform.jobs.turns import Turn

_log = logging.getLogger(__name__)
# Others may write the same profiles: a block that met them is done again.
_TRIES = 5
_MET_OTHERS = (errors.UniqueViolation, errors.DeadlockDetected, errors.LockNotAvailable, errors.SerializationFailure)
# The version of PostgreSQL from which UPDATE returns what was there before.
_RETURNS_OLD = 180000
SETTINGS = {
    "TimeZone": "UTC",
    # A block is minutes away from these; what hangs is let go.
    "statement_timeout": "600000",
    "lock_timeout": "30000",
    "idle_in_transaction_session_timeout": "600000",
    # What is lost in a power cut is done again: the place in the file goes with the rows. The job's end is waited for.
    "synchronous_commit": "off",
    "work_mem": "32MB",
}


class _Ready(NamedTuple):
    block: Block
    checked: Checked
    checker: Checker


class Run:
    """Runs imports. `clock` gives aware UTC moments; `spool` is the folder of all jobs' folders.

    `turn`: that of the worker's job, if there is one, which ends between two blocks when others wait.
    """

    word = "import"
    lock = AdvisoryLock.IMPORT

    def __init__(self, url: str, spool: Path, clock: Callable[[], datetime], turn: Turn | None = None) -> None:
        self._conninfo = with_settings(url, SETTINGS, application_name="tabellion import")
        self._spool = spool
        self._clock = clock
        self._turn = turn

    async def __call__(self, job_id: int) -> None:
        """Bring a job to its end. Raises `Busy`, `GaveWay`, and what the database or the disk refuse for the moment."""
        await fenced.run(self._conninfo, self, job_id)

    async def begin(self, db: Database, number: int) -> Job | None:
        """Take the job up; what one owes that was cancelled while it waited for its next turn is made now."""
        job = await store.begin(db, number, self._clock())
        if job is None:
            await self._settle(db, number)
        return job

    async def work(self, db: Database, job: Job) -> None:
        """From the file, or from where an earlier attempt was, to the last row."""
        await _Attempt(db, job, self._spool / job.folder, self._clock, self._turn).work()

    async def fail(self, db: Database, job: Job, why: FieldError) -> None:
        """End it."""
        async with db.transaction():
            await db.execute("SET LOCAL synchronous_commit = on")
            await store.end(db, job.id, Status.FAILED, self._clock(), (why,))

    async def _settle(self, db: Database, number: int) -> None:
        job = await store.find(db, number)
        if job is None or job.status != Status.CANCELLED or not job.line:
            return
        if reports.path_of(self._spool / job.folder, reports.ERRORS).exists():
            return
        with suppress(JobError):  # the file may be gone
            await _Attempt(db, job, self._spool / job.folder, self._clock).leave()


class _Attempt:
    """The work itself; `table`, `plan` and what follows from them are made anew when the table's structure changes."""

    _catalogue_version: int
    _table: Table
    _plan: Plan
    _checker: Checker
    _applier: Applier

    def __init__(
        self, db: Database, job: Job, folder: Path, clock: Callable[[], datetime], turn: Turn | None = None
    ) -> None:
        self._db = db
        self._job = job
        self._folder = folder
        self._clock = clock
        self._turn = turn

    async def work(self) -> None:
        async with self._reader() as (reader, size):
            try:
                await self._read(reader, size)
            except (JobError, Stopped):
                await self._leave(reader.headers)
                raise
        await self._finish(reader.headers)

    async def leave(self) -> None:
        """What an attempt that was stopped leaves behind."""
        async with self._reader() as (reader, _):
            await self._leave(reader.headers)

    @asynccontextmanager
    async def _reader(self) -> AsyncGenerator[tuple[Reader, int]]:
        """The rows of the file, and its bytes."""
        path, order = await asyncio.to_thread(opening.rows_file, self._folder), self._job.order
        with path.open("rb") as file:
            reader = await asyncio.to_thread(
                lambda: Reader(
                    file, encoding=order.encoding, separator=order.separator, quote=order.quote, escape=order.escape
                )
            )
            yield reader, path.stat().st_size

    async def _read(self, reader: Reader, size: int) -> None:
        """All the rows, or those that are left."""
        job = self._job
        await self._prepare(reader.headers)
        if not await store.running(self._db, job, size):
            raise Stopped
        await asyncio.to_thread(reader.skip_to, job.line, job.reached)
        await self._blocks(reader)

    async def _prepare(self, headers: tuple[str, ...]) -> None:
        job = self._job
        zone, version = await zone_and_version(self._db, job.licence_id)
        known = await tables.of_licence(self._db, job.licence_id, job.table_kind, version)
        table = next((table for table in known if table.id == job.table_id), None)
        if table is None:
            raise JobError("table.unknown", "the table was deleted")
        self._table = table
        self._catalogue_version = version
        self._plan = plan(table, headers, job.order, zone)
        self._checker = Checker(table, self._plan, job.order)
        interests = await outbox.interests(self._db, job.licence_id, self._catalogue_version)
        listened = interests.get((table.kind.subject, table.public_id), outbox.NOBODY)
        returns_old = self._db.info.server_version >= _RETURNS_OLD
        known = [each for each in await referrers(self._db, table) if each.on_delete != "SET_NULL"]
        sql = MergeSql(table, self._plan, job.order, listened, referrers=known, returns_old=returns_old)
        self._applier = Applier(self._db, table, self._plan, sql, source=job.order.source)
        await self._applier.prepare()

    async def _blocks(self, reader: Reader) -> None:
        """While one block is written, the next one is read and checked."""
        blocks = reader.blocks()

        def read() -> _Ready | None:
            block = next(blocks, None)
            if block is None:
                return None
            checker = self._checker
            checked = checker.check(block)
            if self._applier.needs_stage(checked):
                _ = checked.csv
            return _Ready(block, checked, checker)

        ready = await asyncio.to_thread(read)
        while ready is not None:
            following = asyncio.create_task(asyncio.to_thread(read))
            try:
                await self._write(ready.block, await self._current(ready), reader.headers)
            except BaseException:
                # The thread reads the file that is about to be closed.
                await asyncio.wait({following})
                raise
            ready = await following
            if ready is not None and self._turn is not None:
                await self._turn.end_if_others_wait(self._db)

    async def _current(self, ready: _Ready) -> Checked:
        """What was checked; anew where the structure has changed while it was, as the block before has found out."""
        if ready.checker is self._checker:
            return ready.checked
        return await asyncio.to_thread(self._checker.check, ready.block)

    async def _write(self, block: Block, checked: Checked, headers: tuple[str, ...]) -> None:
        """Apply a block; what the database refuses as a whole is halved until the row is found."""
        for _ in range(_TRIES):
            try:
                await self._commit(block, checked)
            except _OtherCatalogue:
                await self._prepare(headers)
                checked = await asyncio.to_thread(self._checker.check, block)
            except _MET_OTHERS:
                _log.info("import %d met other writers before line %d", self._job.id, block.end)
            except (errors.DataError, errors.IntegrityError, errors.ProgramLimitExceeded) as error:
                await self._halve(block, headers, error)
                return
            else:
                return
        await self._halve(block, headers, None)

    async def _halve(self, block: Block, headers: tuple[str, ...], error: psycopg.Error | None) -> None:
        if block.height <= 1:
            alone = block.refused(_refusal(error, self._table.kind.row))
            await self._commit(alone, await asyncio.to_thread(self._checker.check, alone))
            return
        for half in block.halves():
            await self._write(half, await asyncio.to_thread(self._checker.check, half), headers)

    async def _commit(self, block: Block, checked: Checked) -> None:
        job, wanted = self._job, self._job.order.result_file
        async with self._db.transaction():
            if await store.catalogue_version(self._db, self._table.kind, self._table.id) != self._catalogue_version:
                raise _OtherCatalogue
            applied = await self._applier.apply(block, checked, self._clock(), with_outcomes=wanted)
            await self._report(block, applied)
            if not await store.advance(self._db, job, block.end, block.reached, applied.counters):
                raise Stopped

    async def _report(self, block: Block, applied: Applied) -> None:
        job = self._job
        if applied.rejected:
            part = await asyncio.to_thread(reports.error_part, job.order, applied.rejected)
            await store.add_part(self._db, job.id, reports.ERRORS, block.end, part)
        if job.order.result_file:
            part = await asyncio.to_thread(reports.result_part, job.order, block, applied)
            await store.add_part(self._db, job.id, reports.RESULT, block.end, part)

    async def _leave(self, headers: tuple[str, ...]) -> None:
        """What is in stays in, so the rows rejected on the way are told as well; not when another worker has the job."""
        now = await store.find(self._db, self._job.id)
        if now is not None and now.attempt == self._job.attempt:
            await reports.write(self._db, self._job, self._folder, headers)
            await asyncio.to_thread(opening.forget_rows, self._folder)

    async def _finish(self, headers: tuple[str, ...]) -> None:
        """Make the files, then say that the job is done."""
        job = self._job
        await reports.write(self._db, job, self._folder, headers)
        async with self._db.transaction():
            await self._db.execute("SET LOCAL synchronous_commit = on")
            now = await store.find(self._db, job.id)
            faulty = now is None or now.counters.in_error > 0
            if not await store.end(self._db, job.id, Status.DONE_WITH_ERRORS if faulty else Status.DONE, self._clock()):
                raise Stopped
            await store.drop_parts(self._db, job.id)
        await asyncio.to_thread(opening.forget_rows, self._folder)


class _OtherCatalogue(Exception):
    """The table's structure, or who listens to its events, may have changed since the block was checked."""


def _refusal(error: psycopg.Error | None, row: str) -> Fault:
    if isinstance(error, errors.ProgramLimitExceeded):
        return Fault("row.tooLarge", "", "the row is larger than the database takes")
    if error is None:
        return Fault("row.busy", "", f"others were writing the same {row} all the time; send the row again")
    if isinstance(error, errors.RestrictViolation):
        return Fault(f"{row}.inUse", "", f"records refer to a value of this {row}, which cannot be cleared")
    detail: Any = error.diag.message_primary
    return Fault("row.refused", "", f"the database refused the row: {detail}")
