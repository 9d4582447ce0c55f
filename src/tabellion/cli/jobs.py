"""`jobs`: imports, ETLs and exports of all licences, what waits, runs and has ended."""

import shlex
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from tabellion.cli.common import AsJson, DatabaseUrl, DataDir, clear_errors, console, fail, on_database, settings_of, show
from tabellion.cli.foreground import REJECTED, reasons, run_export, run_import, save_rejected_of, shown, whole
from tabellion.cli.output import Force, check_place, told_beside
from tabellion.features.bulk.etls import Execution as EtlExecution
from tabellion.features.bulk.etls import etls_store
from tabellion.features.bulk.etls import stop as stop_etl
from tabellion.features.bulk.exports import Execution as ExportExecution
from tabellion.features.bulk.exports import exports_store
from tabellion.features.bulk.exports import stop as stop_export
from tabellion.features.bulk.imports import Job, Status, jobs_store
from tabellion.features.customdata import custom_tables
from tabellion.features.licences import get_licence, list_licences
from tabellion.features.tables import profile_tables
from tabellion.kit.clock import utc_now
from tabellion.kit.counted import counted
from tabellion.platform import audit
from tabellion.platform.database.connection import Database
from tabellion.server.hold import find_hold

app = typer.Typer(no_args_is_help=True, help="Imports, ETLs and exports: what waits, runs and has ended.")


class Kind(StrEnum):
    """Each kind has numbers of its own."""

    IMPORT = "import"
    ETL = "etl"
    EXPORT = "export"


JobId = Annotated[int, typer.Argument(help="Number of the job.")]
OfKind = Annotated[Kind, typer.Option("--kind", help="What the number is of: each kind has numbers of its own.")]


class _Jobs(NamedTuple):
    """How jobs of a kind are found and ended."""

    listed: Callable[[Database, int | None, int], Awaitable[list[Any]]]
    find: Callable[[Database, int], Awaitable[Any | None]]
    cancel: Callable[[Database, int, Status, datetime], Awaitable[bool]]
    whole: Callable[[Any], dict[str, Any]]
    # The tables that one is for: their kinds and ids.
    tables: Callable[[Any], list[tuple[str, str]]]
    # What the audit trail calls one.
    noun: str


def _whole_etl(job: EtlExecution) -> dict[str, Any]:
    counters = job.counters
    imports = [part.job_id for part in job.parts]
    return shown(job, rowsRead=counters.read, rowsInError=counters.in_error, imports=imports)


def _whole_export(job: ExportExecution) -> dict[str, Any]:
    return shown(job, rowsRead=job.rows_exported, rowsInError=0, bytes=job.bytes, sha256=job.sha256)


def _tables_of_etl(job: EtlExecution) -> list[tuple[str, str]]:
    loads = [file["load"] for file in job.definition["files"]]
    return list(dict.fromkeys((load["tableType"], load["tableId"]) for load in loads))


_KINDS: dict[Kind, _Jobs] = {
    Kind.IMPORT: _Jobs(
        jobs_store.listed, jobs_store.find, jobs_store.end, whole,
        lambda job: [(job.table_kind, str(job.table_id))], "import",
    ),
    Kind.ETL: _Jobs(
        etls_store.latest, etls_store.execution, stop_etl, _whole_etl, _tables_of_etl, "etl-execution",
    ),
    Kind.EXPORT: _Jobs(
        exports_store.latest, exports_store.execution, stop_export, _whole_export,
        lambda job: [(job.definition["tableType"], job.definition["tableId"])], "export-execution",
    ),
}  # fmt: skip
_BRIEF = ("id", "ofEtl", "licence", "table", "status", "percent", "rowsRead", "rowsInError", "createdAt", "errors")


@app.command("list")
def list_jobs(
    stray: Annotated[str | None, typer.Argument(hidden=True)] = None,
    licence: Annotated[str | None, typer.Option(help="Of one licence.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="Of one kind.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=10_000)] = 20,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """List the latest jobs."""
    if stray is not None:
        fail(f"the licence is an option here: tabellion jobs list --licence {shlex.quote(stray)}")
    held: list[str] = []

    async def work(db: Database) -> list[dict[str, Any]]:
        owner = None if licence is None else (await get_licence(db, licence)).id
        if (hold := await find_hold(db)) is not None:
            settings = settings_of(data_dir, database_url)
            held.append(hold.told(settings.data_dir, own_database=bool(settings.database_url)))
        found: list[dict[str, Any]] = []
        for one in Kind if kind is None else (kind,):
            jobs = await _named(db, one, await _KINDS[one].listed(db, owner, limit))
            found += [{"kind": one.value} | {name: job.get(name) for name in _BRIEF} for job in jobs]
        return sorted(found, key=lambda job: job["createdAt"], reverse=True)[:limit]

    listed = on_database(data_dir, database_url, work)
    show(listed, as_json=as_json, title="jobs")
    if not as_json and held and any(job["status"] == Status.QUEUED for job in listed):
        console().print(held[0], highlight=False, markup=False, soft_wrap=True)


@app.command("show")
def show_job(
    job_id: JobId,
    kind: OfKind = Kind.IMPORT,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show a job."""

    async def work(db: Database) -> list[dict[str, Any]]:
        job = await _KINDS[kind].find(db, job_id)
        return [] if job is None else await _named(db, kind, [job])

    found = on_database(data_dir, database_url, work)
    if not found:
        fail(_no_job(kind, job_id))
    show({"kind": kind.value} | found[0], as_json=as_json)


@app.command("errors")
def save_errors(
    job_id: JobId,
    out: Annotated[Path, typer.Option(help="The file to write, '-' for the standard output: CSV; .zip compresses it.")],
    force: Force = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Write the rejected rows of an import into a file, with line, code and message; those of an ETL are of its imports."""
    with clear_errors():
        check_place(out, force=force, what=REJECTED)
    job = save_rejected_of(data_dir, database_url, job_id, out, force=force)
    whole_job = f"; the import failed as a whole: {'; '.join(reasons(job))}" if job.errors else ""
    with told_beside(out):
        if as_json:
            show({"file": str(out), "rejectedRows": job.counters.in_error, "reasons": reasons(job)}, as_json=True)
            return
        rows = counted(job.counters.in_error, "rejected row")
        console().print(f"{rows} in {out}{whole_job}", soft_wrap=True, markup=False)


@app.command("cancel")
def cancel_job(
    job_id: JobId,
    kind: OfKind = Kind.IMPORT,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """End a job; rows already written to a table stay, nothing stays of the file of an export."""

    async def work(db: Database) -> None:
        async with db.transaction():
            ended = await _KINDS[kind].cancel(db, job_id, Status.CANCELLED, utc_now())
            job = await _KINDS[kind].find(db, job_id)
            if job is None:
                fail(_no_job(kind, job_id))
            if not ended:
                fail(f"the {kind} {job_id} has ended already, as {job.status}: there is nothing to cancel")
            await _record(db, "jobs cancel", kind, job)

    on_database(data_dir, database_url, work)
    if as_json:
        show({"cancelled": job_id, "kind": kind.value}, as_json=True)
    else:
        console().print(f"{kind} {job_id} is cancelled")


@app.command("retry")
def retry_job(
    job_id: JobId,
    kind: OfKind = Kind.IMPORT,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Go on, here and now, with an import or export that was stopped, failed or cancelled.

    An import goes on where it was; an export writes its file anew.
    """
    if kind == Kind.ETL:
        fail("the files of an ETL that has ended are gone: have it executed again")

    async def enter(db: Database) -> int:
        job: Job | ExportExecution | None = await _KINDS[kind].find(db, job_id)
        if job is None:
            fail(_no_job(kind, job_id))
        reopen = jobs_store.reopen if kind == Kind.IMPORT else exports_store.reopen
        async with db.transaction():
            if job.has_ended and not await reopen(db, job_id):
                belongs = ", or it belongs to an ETL" if kind == Kind.IMPORT else ""
                fail(f"the {kind} {job_id} is {job.status}: there is nothing left to do{belongs}")
            await _record(db, "jobs retry", kind, job)
        return job_id

    if kind == Kind.IMPORT:
        run_import(data_dir, database_url, enter, as_json=as_json)
    else:
        show(_whole_export(run_export(data_dir, database_url, enter, hidden=as_json)), as_json=as_json)


def _no_job(kind: Kind, job_id: int) -> str:
    others = " or ".join(f"--kind {each}" for each in Kind if each != kind)
    return f"there is no {kind} {job_id}; with {others} the number is of another kind"


async def _named(db: Database, kind: Kind, jobs: Sequence[Any]) -> list[dict[str, Any]]:
    """Jobs as they are shown, with the names of licence and tables; tables that are gone have none."""
    owners = {job.licence_id for job in jobs}
    licences = {licence.id: licence.name for licence in await list_licences(db) if licence.id in owners}
    names: dict[tuple[int, str, str], str] = {}
    for owner in owners:
        for table in (*await profile_tables.load(db, owner), *await custom_tables.load(db, owner)):
            for reference in (str(table.id), table.public_id):
                names[owner, table.kind.subject, reference] = table.name
    shown: list[dict[str, Any]] = []
    for job in jobs:
        tables = [names.get((job.licence_id, *each)) for each in _KINDS[kind].tables(job)]
        document = _KINDS[kind].whole(job)
        told = {"licence": licences.get(job.licence_id), "table": ", ".join(name or "(deleted)" for name in tables)}
        shown.append({"id": document.pop("id")} | told | document)
    return shown


async def _record(db: Database, verb: str, kind: Kind, job: Any) -> None:
    await audit.record_admin(db, job.licence_id, verb, f"{_KINDS[kind].noun}/{job.id}", utc_now())
