"""`jobs`: imports, ETLs and exports of all licences, what waits, runs and has ended."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

import typer

from tabellion.cli.bulk import run_export, run_import, shown, whole
from tabellion.cli.common import AsJson, DatabaseUrl, DataDir, console, fail, on_database, show
from tabellion.features.bulk.etls import Execution as EtlExecution
from tabellion.features.bulk.etls import etls_store
from tabellion.features.bulk.exports import Execution as ExportExecution
from tabellion.features.bulk.exports import exports_store
from tabellion.features.bulk.imports import Job, Status, jobs_store
from tabellion.features.licences import get_licence
from tabellion.kit.clock import utc_now
from tabellion.platform import audit
from tabellion.platform.database.connection import Database

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
    cancel: Callable[[Database, int, Status, Any], Awaitable[bool]]
    whole: Callable[[Any], dict[str, Any]]
    # What the audit trail calls one.
    noun: str


def _whole_etl(job: EtlExecution) -> dict[str, Any]:
    counters = job.counters
    imports = [part.job_id for part in job.parts]
    return shown(job, rowsRead=counters.read, rowsInError=counters.in_error, imports=imports)


def _whole_export(job: ExportExecution) -> dict[str, Any]:
    return shown(job, rowsRead=job.rows_exported, rowsInError=0, bytes=job.bytes, sha256=job.sha256)


_KINDS: dict[Kind, _Jobs] = {
    Kind.IMPORT: _Jobs(jobs_store.listed, jobs_store.find, jobs_store.end, whole, "import"),
    Kind.ETL: _Jobs(etls_store.latest, etls_store.execution, etls_store.end, _whole_etl, "etl-execution"),
    Kind.EXPORT: _Jobs(exports_store.latest, exports_store.execution, exports_store.end, _whole_export, "export-execution"),
}
_BRIEF = ("id", "status", "percent", "rowsRead", "rowsInError", "createdAt")


@app.command("list")
def list_jobs(
    licence: Annotated[str | None, typer.Option(help="Of one licence.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="Of one kind.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=10_000)] = 20,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """List the latest jobs."""

    async def work(db: Database) -> list[dict[str, Any]]:
        owner = None if licence is None else (await get_licence(db, licence)).id
        found: list[dict[str, Any]] = []
        for one in Kind if kind is None else (kind,):
            jobs = [_KINDS[one].whole(job) for job in await _KINDS[one].listed(db, owner, limit)]
            found += [{"kind": one.value} | {name: job[name] for name in _BRIEF} for job in jobs]
        return sorted(found, key=lambda job: job["createdAt"], reverse=True)[:limit]

    show(on_database(data_dir, database_url, work), as_json=as_json, title="jobs")


@app.command("show")
def show_job(
    job_id: JobId,
    kind: OfKind = Kind.IMPORT,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show a job."""
    job = on_database(data_dir, database_url, lambda db: _KINDS[kind].find(db, job_id))
    if job is None:
        fail(f"there is no {kind} {job_id}")
    show(_KINDS[kind].whole(job), as_json=as_json)


@app.command("cancel")
def cancel_job(
    job_id: JobId, kind: OfKind = Kind.IMPORT, data_dir: DataDir = None, database_url: DatabaseUrl = None
) -> None:
    """End a job; rows already written to a table stay, nothing stays of the file of an export."""

    async def work(db: Database) -> bool:
        async with db.transaction():
            if not await _KINDS[kind].cancel(db, job_id, Status.CANCELLED, utc_now()):
                return False
            await _record(db, "jobs cancel", kind, await _KINDS[kind].find(db, job_id))
        return True

    if not on_database(data_dir, database_url, work):
        fail(f"there is no {kind} {job_id} that has not ended")
    console.print(f"{kind} {job_id} is cancelled")


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
            fail(f"there is no {kind} {job_id}")
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


async def _record(db: Database, verb: str, kind: Kind, job: Any) -> None:
    await audit.record_admin(db, job.licence_id, verb, f"{_KINDS[kind].noun}/{job.id}", utc_now())
