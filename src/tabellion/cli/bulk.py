"""`import` and `export`: files into tables and tables into files, without the API."""

import asyncio
import shutil
import tempfile
import zipfile
from collections.abc import Awaitable, Callable, Generator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

import psycopg
import typer
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from tabellion.cli.common import AsJson, DatabaseUrl, DataDir, clear_errors, console, fail, settings_of, show
from tabellion.cli.output import Force, check_place, is_standard, told_beside, written
from tabellion.features.bulk.etls import Execution as EtlExecution
from tabellion.features.bulk.exports import FILE as EXPORT_FILE
from tabellion.features.bulk.exports import Definition as ExportDefinition
from tabellion.features.bulk.exports import Execution as ExportExecution
from tabellion.features.bulk.exports import Exporter, enter_export, exports_store
from tabellion.features.bulk.exports import Format as ExportFormat
from tabellion.features.bulk.imports import INPUT, Job, Mode, Order, Status, jobs_store, new_folder, reports, spool_files
from tabellion.features.bulk.imports.running import Run
from tabellion.features.customdata import custom_tables
from tabellion.features.licences import get_licence
from tabellion.features.tables import Table, profile_tables
from tabellion.kit.clock import utc_now
from tabellion.platform import audit, files
from tabellion.platform.database.connection import Database
from tabellion.server.database import prepare_database
from tabellion.settings import Settings

_POLL_S = 0.3
# What `kit.newfile` calls the files.
REJECTED, _EXPORT = "list of rejected rows", "export"
T = TypeVar("T")


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
    errors: Annotated[
        Path | None,
        typer.Option(
            help="Where to put the rejected rows, if any: a CSV file, '-' for the standard output; .zip compresses it."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file of --errors if it is there.")] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Import a file into a table, here and now; `jobs retry` goes on with it if it was stopped.

    It counts against no limit of the licence.
    """
    separator = "\t" if separator == "tab" else separator
    if len(separator) != 1 or separator in '"\r\n':
        fail(f"the separator has to be one character, not '{separator}'")
    if errors is not None:
        if errors.exists() and errors.samefile(file):
            fail(f"--errors would write over the file that is imported: name another file than {errors}")
        with clear_errors():
            check_place(errors, force=force, what=REJECTED)
    order = Order(mode=mode, encoding=encoding, separator=separator, key_column=key)

    async def enter(db: Database) -> int:
        owner = await get_licence(db, licence)
        found = await _find_table(db, owner.id, table)
        folder = new_folder()
        with tempfile.NamedTemporaryFile(dir=files.spool(), delete=False) as copy, file.open("rb") as source:
            shutil.copyfileobj(source, copy)
        spool_files({INPUT: Path(copy.name)}, folder)
        async with db.transaction():
            job_id = await jobs_store.insert(db, found, order, folder, utc_now())
            await audit.record_admin(db, owner.id, "import", f"import/{job_id}", utc_now())
        return job_id

    run_import(data_dir, database_url, enter, as_json=as_json, rejected=errors, force=force)


def export_table(
    table: Annotated[str, typer.Argument(help="Name of the profile table or custom table.")],
    licence: Annotated[str, typer.Option(help="Name of the licence.")],
    out: Annotated[
        Path,
        typer.Option(
            help="The file to write, '-' for the standard output; .zip and .gz compress it, .jsonl makes it JSON lines."
        ),
    ],
    force: Force = False,
    attribute: Annotated[list[str] | None, typer.Option(help="Only these, in this order; may be repeated.")] = None,
    where: Annotated[str, typer.Option("--filter", help="Only rows that satisfy a filter, as in the v5 lists.")] = "",
    separator: Annotated[str, typer.Option(help="What stands between cells; 'tab' for a tab.")] = ",",
    protect_formulas: Annotated[bool, typer.Option(help="For spreadsheets: no cell begins a formula.")] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Export a table into a file, here and now."""
    with clear_errors():
        check_place(out, force=force, what=_EXPORT)
    suffixes = [suffix.lower() for suffix in out.suffixes]
    definition = ExportDefinition(
        table_id="",
        attributes=attribute,
        filter=where or None,
        format=ExportFormat(
            type="JSON_LINES" if ".jsonl" in suffixes else "CSV",
            separator="\t" if separator == "tab" else separator,
            protect_formulas=protect_formulas,
        ),
        compression="ZIP" if ".zip" in suffixes else ("GZIP" if ".gz" in suffixes else "NONE"),
    )

    async def enter(db: Database) -> int:
        owner = await get_licence(db, licence)
        found = await _find_table(db, owner.id, table)
        definition.table_type = "PROFILE_TABLE" if found.kind.subject == "PROFILE_TABLE" else "CUSTOM_TABLE"
        number, faults = await enter_export(db, found, definition, ZoneInfo(owner.time_zone), utc_now())
        if faults:
            fail("; ".join(f"{fault.field}: {fault.message}" for fault in faults))
        await audit.record_admin(db, owner.id, "export", f"export-execution/{number}", utc_now())
        return number

    done = run_export(data_dir, database_url, enter, hidden=as_json or is_standard(out))
    made = files.spool() / done.folder / EXPORT_FILE
    with clear_errors():
        with made.open("rb") as rows, written(out, force=force, what=_EXPORT) as copy:
            shutil.copyfileobj(rows, copy)
        made.unlink()
        with told_beside(out):
            told = {"file": str(out), "rows": done.rows_exported, "bytes": done.bytes, "sha256": done.sha256}
            show(told, as_json=as_json)


def run_import(
    data_dir: Path | None,
    database_url: str | None,
    enter: Any,
    *,
    as_json: bool,
    rejected: Path | None = None,
    force: bool = False,
) -> None:
    """Run an import in this process and show how far it is; rejected rows go into a file, if one is named."""

    async def look(db: Database, job_id: int) -> tuple[Job, int, int] | None:
        job = await jobs_store.find(db, job_id)
        return None if job is None else (job, job.percent, job.counters.read)

    with _ready(data_dir, database_url) as settings:
        run = Run(settings.database_url, settings.spool_dir, utc_now)
        beside = nullcontext() if rejected is None else told_beside(rejected)
        with beside:
            job = asyncio.run(_follow(settings.database_url, "import", enter, run, look, hidden=as_json))
        if rejected is not None and job.counters.in_error:
            _save_rejected(job, rejected, force=force)
        with beside:
            show(whole(job), as_json=as_json)
        if job.status != Status.DONE:
            raise typer.Exit(1)


def run_export(data_dir: Path | None, database_url: str | None, enter: Any, *, hidden: bool) -> ExportExecution:
    """Run an export in this process and show how far it is, unless `hidden`; ends the program when it fails."""

    async def look(db: Database, number: int) -> tuple[ExportExecution, int, int] | None:
        found = await exports_store.execution(db, number)
        return None if found is None else (found, found.percent, found.rows_exported)

    with _ready(data_dir, database_url) as settings:
        run = Exporter(settings.database_url, settings.spool_dir, utc_now)
        done = asyncio.run(_follow(settings.database_url, "export", enter, run, look, hidden=hidden))
        if done.status != Status.DONE:
            why = "; ".join(f"{error.code}: {error.message}" for error in done.errors)
            fail(why or f"the export ended as {done.status}")
        return done


def save_rejected_of(data_dir: Path | None, database_url: str | None, job_id: int, out: Path, *, force: bool) -> int:
    """Write the rejected rows of an import into a file; how many there are."""

    async def find(url: str) -> Job | None:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True, application_name="tabellion cli") as db:
            return await jobs_store.find(db, job_id)

    with _ready(data_dir, database_url) as settings:
        job = asyncio.run(find(settings.database_url))
        if job is None:
            fail(f"there is no import {job_id}")
        _save_rejected(job, out, force=force)
    return job.counters.in_error


def _save_rejected(job: Job, out: Path, *, force: bool) -> None:
    """Copy the error file of an import, or what is in it; ends the program when there is none."""
    made = files.spool() / job.folder / f"{reports.NAMES[reports.ERRORS]}.zip"
    if not made.exists():
        fail(f"there is no error file of the import {job.id}: it is {job.status}, or it ended more than 30 days ago")
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
    )


def shown(job: Job | EtlExecution | ExportExecution, **own: Any) -> dict[str, Any]:
    """A job as it is shown: what all kinds have, and what a kind has of its own."""
    return {
        "id": job.id,
        "status": job.status,
        "percent": job.percent,
        "createdAt": job.created_at.isoformat(),
        **own,
        "errors": [f"{error.code}: {error.message}" for error in job.errors],
        "files": job.folder,
    }


@contextmanager
def _ready(data_dir: Path | None, database_url: str | None) -> Generator[Settings]:
    """The database is there, and the spool."""
    with clear_errors(), ExitStack() as stack:
        settings, _ = prepare_database(settings_of(data_dir, database_url), stack)
        files.use_spool(settings.spool_dir)
        yield settings


async def _follow(
    url: str,
    word: str,
    enter: Callable[[Database], Awaitable[int]],
    run: Callable[[int], Awaitable[None]],
    look: Callable[[Database, int], Awaitable[tuple[T, int, int] | None]],
    *,
    hidden: bool,
) -> T:
    """Enter a job, run it here and now, and show how far it is; `look` gives the job, its percentage and its rows."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, application_name="tabellion cli") as db:
        number = await enter(db)
        running = asyncio.ensure_future(run(number))
        columns = (TextColumn(f"{word} {number}"), BarColumn(), _Rate(), TimeRemainingColumn())
        with Progress(*columns, console=console, disable=hidden) as progress:
            task = progress.add_task("", total=100, rows=0)
            while not running.done():
                await asyncio.wait({running}, timeout=_POLL_S)
                seen = await look(db, number)
                if seen is not None:
                    progress.update(task, completed=seen[1], rows=seen[2])
        await running
        seen = await look(db, number)
        if seen is None:
            fail(f"the licence was deleted while {word} {number} ran")
        return seen[0]


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
