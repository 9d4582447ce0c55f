"""`import` and `jobs`: files into tables without the API, and a look at what runs."""

import asyncio
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from tabellion.cli.common import AsJson, DatabaseUrl, DataDir, clear_errors, console, fail, on_database, settings_of, show
from tabellion.features.bulk.imports import INPUT, Job, Mode, Order, Run, Status, jobs_store, new_folder, spool_file
from tabellion.features.customdata import custom_tables
from tabellion.features.licences import get_licence
from tabellion.features.licences.store import Database
from tabellion.features.tables import Table, profile_tables
from tabellion.kit.clock import utc_now
from tabellion.platform import audit, files
from tabellion.server.database import prepare_database

jobs = typer.Typer(no_args_is_help=True, help="Imports: what waits, runs and has ended.")
JobId = Annotated[int, typer.Argument(help="Number of the import.")]
_POLL_S = 0.3


class _Rate(ProgressColumn):
    """Rows per second."""

    def render(self, task: Task) -> Text:
        """The rows so far by the time so far."""
        rows, seconds = int(task.fields.get("rows", 0)), task.elapsed or 0
        return Text(f"{rows:,} rows, {rows / seconds:,.0f}/s" if seconds and rows else f"{rows:,} rows")


def import_file(
    file: Annotated[Path, typer.Argument(help="CSV file: as it is, zipped or gzipped.", exists=True, dir_okay=False)],
    licence: Annotated[str, typer.Option(help="Name of the licence.")],
    table: Annotated[str, typer.Option(help="Name of the profile table or custom table.")],
    mode: Annotated[Mode, typer.Option(help="Which rows may do what.")] = Mode.CREATE_UPDATE,
    separator: Annotated[str, typer.Option(help="What stands between cells; 'tab' for a tab.")] = ",",
    encoding: Annotated[str, typer.Option(help="UTF-8, UTF-16, ISO-8859-1, ISO-8859-15 or Windows-1252.")] = "UTF-8",
    key: Annotated[str | None, typer.Option(help="Column that alone identifies a row.")] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Import a file into a table, here and now; `jobs resume` goes on with it if it was stopped.

    It counts against no limit of the licence.
    """
    separator = "\t" if separator == "tab" else separator
    if len(separator) != 1 or separator in '"\r\n':
        fail(f"the separator has to be one character, not '{separator}'")
    order = Order(mode=mode, encoding=encoding, separator=separator, key_column=key)

    async def enter(db: Database) -> int:
        owner = await get_licence(db, licence)
        found = await _find_table(db, owner.id, table)
        folder = new_folder()
        with tempfile.NamedTemporaryFile(dir=files.spool(), delete=False) as copy, file.open("rb") as source:
            shutil.copyfileobj(source, copy)
        spool_file({INPUT: Path(copy.name)}, folder)
        async with db.transaction():
            job_id = await jobs_store.insert(db, found, order, folder, utc_now())
            await audit.record_admin(db, owner.id, "import", f"import/{job_id}", utc_now())
        return job_id

    _work(data_dir, database_url, enter, as_json=as_json)


@jobs.command("list")
def list_jobs(
    licence: Annotated[str | None, typer.Option(help="Of one licence.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=10_000)] = 20,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """List the latest imports."""

    async def work(db: Database) -> list[Job]:
        owner = None if licence is None else (await get_licence(db, licence)).id
        return await jobs_store.listed(db, owner, limit)

    show([_brief(job) for job in on_database(data_dir, database_url, work)], as_json=as_json, title="imports")


@jobs.command("show")
def show_job(job_id: JobId, data_dir: DataDir = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Show an import."""
    job = on_database(data_dir, database_url, lambda db: jobs_store.find(db, job_id))
    if job is None:
        fail(f"there is no import {job_id}")
    show(_whole(job), as_json=as_json)


@jobs.command("cancel")
def cancel_job(job_id: JobId, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """End an import; rows already written stay."""

    async def work(db: Database) -> bool:
        return await jobs_store.end(db, job_id, Status.CANCELLED, utc_now())

    if not on_database(data_dir, database_url, work):
        fail(f"there is no import {job_id} that has not ended")
    console.print(f"import {job_id} is cancelled")


@jobs.command("resume")
def resume_job(job_id: JobId, data_dir: DataDir = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Go on, here and now, with an import that was stopped."""

    async def enter(db: Database) -> int:
        job = await jobs_store.find(db, job_id)
        if job is None or job.has_ended:
            fail(f"there is no import {job_id} that has not ended")
        return job_id

    _work(data_dir, database_url, enter, as_json=as_json)


def _work(data_dir: Path | None, database_url: str | None, enter: Any, *, as_json: bool) -> None:
    """Run an import in this process and show how far it is."""

    async def work(url: str, spool: Path) -> Job:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True, application_name="tabellion cli") as db:
            job_id = await enter(db)
            running = asyncio.create_task(Run(url, spool, utc_now)(job_id))
            columns = (TextColumn(f"import {job_id}"), BarColumn(), _Rate(), TimeRemainingColumn())
            with Progress(*columns, console=console, disable=as_json) as progress:
                task = progress.add_task("", total=100, rows=0)
                while not running.done():
                    await asyncio.wait({running}, timeout=_POLL_S)
                    job = await jobs_store.find(db, job_id)
                    if job is not None:
                        progress.update(task, completed=job.percent, rows=job.counters.read)
            await running
            job = await jobs_store.find(db, job_id)
            if job is None:
                fail(f"the licence was deleted while import {job_id} ran")
            return job

    with clear_errors(), ExitStack() as stack:
        settings = settings_of(data_dir, database_url)
        settings, _ = prepare_database(settings, stack)
        files.use_spool(settings.spool_dir)
        job = asyncio.run(work(settings.database_url, settings.spool_dir))
        show(_whole(job), as_json=as_json)
        if job.status != Status.DONE:
            raise typer.Exit(1)


async def _find_table(db: Database, licence_id: int, name: str) -> Table:
    found: list[Table] = [
        *await profile_tables.load(db, licence_id),
        *await custom_tables.load(db, licence_id),
    ]
    named = [table for table in found if table.name.lower() == name.lower() or table.public_id == name]
    if not named:
        fail(f"the licence has no table '{name}'")
    if len(named) > 1:
        fail(f"{len(named)} tables of the licence are called '{name}'; name it by its id")
    return named[0]


def _brief(job: Job) -> dict[str, Any]:
    return {"id": job.id, "status": job.status, "percent": job.percent, "rowsRead": job.counters.read,
            "rowsInError": job.counters.in_error, "createdAt": job.created_at.isoformat()}  # fmt: skip


def _whole(job: Job) -> dict[str, Any]:
    counters = job.counters
    return _brief(job) | {
        "rowsCreated": counters.created,
        "rowsUpdated": counters.updated,
        "rowsUnchanged": counters.unchanged,
        "errors": [f"{error.code}: {error.message}" for error in job.errors],
        "files": job.folder,
    }
