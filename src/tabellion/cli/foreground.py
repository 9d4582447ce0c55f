"""Imports and exports that a verb runs itself, here and now: how far they are, and what came of them."""

import asyncio
import shutil
import time
import zipfile
from collections.abc import Awaitable, Callable, Generator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import typer
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from tabellion.cli.common import clear_errors, connect, console, fail, run_on, settings_of, show, tell
from tabellion.cli.output import told_beside, written
from tabellion.cli.refusals import told_of_database, told_of_system
from tabellion.features.bulk.etls import Execution as EtlExecution
from tabellion.features.bulk.exports import Execution as ExportExecution
from tabellion.features.bulk.exports import Exporter, exports_store
from tabellion.features.bulk.exports import stop as stop_export
from tabellion.features.bulk.fenced import Busy, Stopped
from tabellion.features.bulk.imports import Job, Status, jobs_store, reports
from tabellion.features.bulk.waiting import lacks_room
from tabellion.kit.clock import utc_now
from tabellion.kit.counted import counted
from tabellion.kit.problem import FieldError
from tabellion.platform import files
from tabellion.platform.database.connection import Database
from tabellion.server.database import prepare_database
from tabellion.server.targets import allow_targets
from tabellion.settings import Settings

_POLL_S = 0.3
_END_WITHIN_S = 10.0
# What `kit.newfile` calls the file.
REJECTED = "list of rejected rows"
T = TypeVar("T")
# Enters a job and gives its number.
Enter = Callable[[Database], Awaitable[int]]


class _Rate(ProgressColumn):
    """Rows per second."""

    def render(self, task: Task) -> Text:
        """The rows so far by the time so far."""
        rows, seconds = int(task.fields.get("rows", 0)), task.elapsed or 0
        return Text(counted(rows, "row") + (f", {rows / seconds:,.0f}/s" if seconds and rows else ""))


def run_import(
    data_dir: Path | None,
    database_url: str | None,
    enter: Enter,
    *,
    as_json: bool,
    rejected: Path | None = None,
    force: bool = False,
) -> None:
    """Run an import in this process and show how far it is; rejected rows go into a file, if one is named."""

    async def look(db: Database, job_id: int) -> tuple[Job, int, int] | None:
        job = await jobs_store.find(db, job_id)
        return None if job is None else (job, job.percent, job.counters.read)

    async def abandon(number: int, error: BaseException) -> None:
        again = f"tabellion jobs retry {number} goes on from where it was"
        told = ""
        if isinstance(error, psycopg.Error):
            told = told_of_database(error, again)
        elif isinstance(error, OSError):
            told = told_of_system(error, again)
        if again in told:
            fail(told)
        tell(f"the import {number} is not finished: {again}, jobs cancel ends it")

    from tabellion.features.bulk.imports.running import Run  # noqa: PLC0415 - it loads polars, for imports alone

    with _ready(data_dir, database_url) as settings:
        run = Run(settings.database_url, settings.spool_dir, utc_now)
        beside = nullcontext() if rejected is None else told_beside(rejected)
        with beside:
            job = asyncio.run(_follow(settings.database_url, "import", enter, run, look, hidden=as_json, abandon=abandon))
        if rejected is not None and job.counters.in_error:
            _save_rejected(job, rejected, force=force)
        with beside:
            show(whole(job), as_json=as_json)
        if job.status != Status.DONE:
            raise typer.Exit(1)


def run_export(data_dir: Path | None, database_url: str | None, enter: Enter, *, hidden: bool) -> ExportExecution:
    """Run an export in this process and show how far it is, unless `hidden`; ends the program when it fails."""

    async def look(db: Database, number: int) -> tuple[ExportExecution, int, int] | None:
        found = await exports_store.execution(db, number)
        return None if found is None else (found, found.percent, found.rows_exported)

    async def abandon(number: int, error: BaseException) -> None:
        await _end_export(settings.database_url, run, number, error)

    with _ready(data_dir, database_url) as settings:
        # Nobody goes on with it after this one.
        run = Exporter(settings.database_url, settings.spool_dir, utc_now, deliveries=1)
        follow = _follow(settings.database_url, "export", enter, run, look, hidden=hidden, abandon=abandon)
        done = asyncio.run(follow)
        if done.status != Status.DONE:
            why = "; ".join(reasons(done))
            fail(why or f"the export ended as {done.status}")
        return done


async def _end_export(url: str, run: Exporter, number: int, error: BaseException) -> None:
    """End an export that this verb could not bring to its end; else it would count as at work until the night."""
    until_s = time.monotonic() + _END_WITHIN_S
    while True:
        try:
            async with await connect(url) as db:
                found = await exports_store.execution(db, number)
                if found is None or found.has_ended:
                    return
                if isinstance(error, OSError | psycopg.Error):
                    with suppress(Stopped):
                        await run.fail(db, found, _why_export(number, error))
                    return
                async with db.transaction():
                    await stop_export(db, number, Status.CANCELLED, utc_now())
                return
        except psycopg.Error:
            # Where a server runs, it starts a database again that has died.
            if time.monotonic() > until_s:
                how = f"tabellion jobs retry --kind export {number} begins it anew, jobs cancel ends it"
                tell(f"the export {number} counts as at work still: {how}")
                return
            await asyncio.sleep(_POLL_S)


def _why_export(number: int, error: BaseException) -> FieldError:
    if lacks_room(error):
        return FieldError("", "export.diskFull", "the disk of the server is full; its operator has to make room")
    return FieldError(
        "", "internal", f"the server could not go on with it; tell its operator the number of the export, {number}"
    )


def save_rejected_of(data_dir: Path | None, database_url: str | None, job_id: int, out: Path, *, force: bool) -> Job:
    """Write the rejected rows of an import into a file."""
    with _ready(data_dir, database_url) as settings:
        job = run_on(settings.database_url, lambda db: jobs_store.find(db, job_id))
        if job is None:
            fail(f"there is no import {job_id}")
        _save_rejected(job, out, force=force)
    return job


def _save_rejected(job: Job, out: Path, *, force: bool) -> None:
    """Copy the error file of an import, or what is in it; ends the program when there is none."""
    made = reports.path_of(files.spool() / job.folder, reports.ERRORS)
    if not made.exists():
        why = "no row was refused, it ended more than 30 days ago, or it named somebody who was erased"
        if not job.has_ended:
            why = "the file is made when it ends"
        elif job.errors:
            why = f"it failed as a whole: {'; '.join(reasons(job))}"
        fail(f"there is no error file of the import {job.id}, which is {job.status}: {why}")
    with written(out, force=force, what=REJECTED) as copy:
        if out.suffix.lower() == ".zip":
            with made.open("rb") as packed:
                shutil.copyfileobj(packed, copy)
            return
        with zipfile.ZipFile(made) as archive, archive.open(archive.namelist()[0]) as rows:
            shutil.copyfileobj(rows, copy)


def whole(job: Job) -> dict[str, Any]:
    """An import as it is shown."""
    counters = job.counters
    return shown(
        job,
        rowsRead=counters.read,
        rowsInError=counters.in_error,
        rowsCreated=counters.created,
        rowsUpdated=counters.updated,
        rowsUnchanged=counters.unchanged,
        ofEtl=job.execution_id,
    )


def shown(job: Job | EtlExecution | ExportExecution, **own: Any) -> dict[str, Any]:
    """A job as it is shown: what all kinds have, and what a kind has of its own."""
    return {
        "id": job.id,
        "status": job.status,
        "percent": job.percent,
        "createdAt": job.created_at.isoformat(),
        **own,
        "errors": reasons(job),
        "files": job.folder,
    }


def reasons(job: Job | EtlExecution | ExportExecution) -> list[str]:
    """Why a whole job failed."""
    return [f"{error.code}: {error.message}" for error in job.errors]


@contextmanager
def _ready(data_dir: Path | None, database_url: str | None) -> Generator[Settings]:
    """The database is there, the spool, and what the operator lets an export lead to, as in a worker."""
    with clear_errors(), ExitStack() as stack:
        settings, _ = prepare_database(settings_of(data_dir, database_url), stack, tell=tell)
        files.use_spool(settings.spool_dir)
        allow_targets(settings, key_at_once=False)
        yield settings


async def _follow(
    url: str,
    word: str,
    enter: Enter,
    run: Callable[[int], Awaitable[None]],
    look: Callable[[Database, int], Awaitable[tuple[T, int, int] | None]],
    *,
    hidden: bool,
    abandon: Callable[[int, BaseException], Awaitable[None]] | None = None,
) -> T:
    """Enter a job, run it here and now, and show how far it is; `look` gives the job, its percentage and its rows.

    What ends it before its time, Ctrl-C or the database's end, is told to `abandon` once nobody works on it any more.
    Ends the program when a worker has the job.
    """
    async with await connect(url) as db:
        number = await enter(db)
        running = asyncio.ensure_future(run(number))
        columns = (TextColumn(f"{word} {number}"), BarColumn(), _Rate(), TimeRemainingColumn())
        try:
            with Progress(*columns, console=console(), disable=hidden) as progress:
                task = progress.add_task("", total=100, rows=0)
                while not running.done():
                    await asyncio.wait({running}, timeout=_POLL_S)
                    seen = await look(db, number)
                    if seen is not None:
                        progress.update(task, completed=seen[1], rows=seen[2])
            await running
        except Busy:
            how = f"tabellion jobs show {number} --kind {word} tells how far it is, and jobs cancel ends it"
            fail(f"a worker has the {word} {number} at this moment: {how}")
        except BaseException as error:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            if abandon is not None:
                await abandon(number, error)
            raise
        seen = await look(db, number)
        if seen is None:
            fail(f"the licence was deleted while {word} {number} ran")
        return seen[0]
