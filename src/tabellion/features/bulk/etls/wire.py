"""The documents of the calls of ETLs."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from tabellion.features.bulk.documents import Link, Timing, name_faults
from tabellion.features.bulk.etls.definition import Definition, File, Report
from tabellion.features.bulk.etls.model import LINKS, Etl, Execution
from tabellion.features.bulk.imports import Status
from tabellion.features.tables import moment_or_null
from tabellion.kit.problem import FieldError
from tabellion.kit.schedule import schedule_faults
from tabellion.platform.http import shapes
from tabellion.platform.http.shapes import Flag, Text


class Source(msgspec.Struct, rename="camel"):
    """Where the files come from: `API`, with the trigger call; `LOCATION`: a folder that is looked into.

    `trigger`: as soon as all required files are there (FILE), or by `schedule` (SCHEDULE).
    """

    type: Literal["API", "LOCATION"] = "API"
    location_id: Text | None = None
    trigger: Literal["FILE", "SCHEDULE"] | None = None


class EtlIn(Definition, rename="camel", kw_only=True):
    """An ETL to be kept."""

    name: str
    is_active: Flag = True
    source: Source = msgspec.field(default_factory=Source)
    schedule: Timing | None = None


class EtlPatch(msgspec.Struct, rename="camel"):
    """What is to be changed; each member is replaced as a whole, null clears it."""

    name: str | UnsetType = UNSET
    is_active: Flag | UnsetType = UNSET
    files: list[File] | UnsetType = UNSET
    generate_result_file: Flag | UnsetType = UNSET
    result_file_name_pattern: str | None | UnsetType = UNSET
    report: Report | None | UnsetType = UNSET
    source: Source | UnsetType = UNSET
    schedule: Timing | None | UnsetType = UNSET


class EtlOut(EtlIn, rename="camel", kw_only=True):
    """An ETL; of a location also when it is looked there next, when it was, and why the last look came to nothing."""

    id: str
    next_run_at: str | None
    looked_at: str | None
    look_error: str | None


class EtlBrief(msgspec.Struct, rename="camel"):
    """An ETL in the list."""

    id: str
    name: str
    is_active: bool


class EtlsOut(msgspec.Struct):
    """The ETLs of an entity, by name."""

    etls: list[EtlBrief]


class FileOut(msgspec.Struct, rename="camel"):
    """A file of an execution."""

    name: str
    table_type: str
    table_id: str
    rows_read: int
    rows_in_error: int


class ExecutionOut(msgspec.Struct, rename="camel"):
    """An execution; `rowsRead` is the sum of the four numbers after it, at every moment."""

    id: str
    etl_id: str | None
    status: str
    execution_status: str | None
    with_errors: bool
    rows_read: int
    rows_created: int
    rows_updated: int
    rows_unchanged: int
    rows_in_error: int
    percent: int
    started_at: str | None
    ended_at: str | None
    errors: tuple[FieldError, ...]
    files: list[FileOut]
    links: dict[str, Link] = msgspec.field(name="_links")


class ExecutionsOut(msgspec.Struct, rename="camel"):
    """Executions, the latest first."""

    executions: list[ExecutionOut]
    next_cursor: str | None


def read_definition(document: bytes) -> tuple[Definition, list[str]]:
    """The part `definition` of a form, and the members that it does not know. Raises `Malformed`, `Invalid`."""
    return shapes.read_part(Definition, "definition", document)


def read_new(body: EtlIn, number: int = 0) -> tuple[Etl, list[FieldError]]:
    """The ETL to be kept, and what is wrong with its name, source and schedule."""
    return _etl(number, msgspec.to_builtins(body))


def read_changed(before: Etl, body: EtlPatch) -> tuple[Etl, list[FieldError]]:
    """The ETL with what a body changes, and what is wrong with its name, source and schedule."""
    document = before.definition | {"name": before.name, "isActive": before.is_active}
    return _etl(before.id, document | msgspec.to_builtins(body))


def etl_out(etl: Etl) -> EtlOut:
    """One ETL as it is answered."""
    own = {
        "id": str(etl.id),
        "name": etl.name,
        "isActive": etl.is_active,
        "nextRunAt": moment_or_null(etl.next_run_at),
        "lookedAt": moment_or_null(etl.looked_at),
        "lookError": etl.look_error,
    }
    return msgspec.convert(etl.definition | own, EtlOut)


def etl_brief(etl: Etl) -> EtlBrief:
    """One ETL as it is listed."""
    return EtlBrief(str(etl.id), etl.name, etl.is_active)


def execution_out(execution: Execution, entity: str) -> ExecutionOut:
    """An execution as it is answered."""
    counters = execution.counters
    own = LINKS.execution(entity, execution.id)
    links: dict[str, Link] = {}
    # One that ended before it read a row has made no file.
    if counters.read or execution.status not in {Status.FAILED, Status.CANCELLED}:
        links["errors"] = Link(f"{own}/errors")
        if execution.definition.get("generateResultFile"):
            links["resultFile"] = Link(f"{own}/result-file")
    if execution.etl_id is not None:
        links["etl"] = Link(LINKS.definition(entity, execution.etl_id))
    loads = [file["load"] for file in execution.definition["files"]]
    return ExecutionOut(
        id=str(execution.id),
        etl_id=None if execution.etl_id is None else str(execution.etl_id),
        status=execution.status,
        execution_status=execution.outcome,
        with_errors=execution.status != Status.DONE,
        rows_read=counters.read,
        rows_created=counters.created,
        rows_updated=counters.updated,
        rows_unchanged=counters.unchanged,
        rows_in_error=counters.in_error,
        percent=execution.percent,
        started_at=moment_or_null(execution.started_at),
        ended_at=moment_or_null(execution.ended_at),
        errors=execution.errors,
        files=[
            FileOut(
                part.name,
                loads[part.file_number]["tableType"],
                loads[part.file_number]["tableId"],
                part.counters.read,
                part.counters.in_error,
            )
            for part in execution.parts
        ],
        links=links,
    )


def _etl(number: int, document: dict[str, Any]) -> tuple[Etl, list[FieldError]]:
    definition = {name: value for name, value in document.items() if name not in {"name", "isActive"}}
    name: str = document["name"]
    faults = name_faults(name)
    faults += _source_faults(definition)
    return Etl(number, name, document["isActive"], definition), faults


def _source_faults(definition: dict[str, Any]) -> list[FieldError]:
    source, schedule = definition["source"], definition.get("schedule")
    faults: list[FieldError] = []

    def refuse(member: str, message: str, code: str = "structure.invalid") -> None:
        faults.append(FieldError(member, code, message))

    if schedule is not None:
        faults += schedule_faults("schedule", schedule["cron"], schedule["timeZone"])
    if source["type"] == "API":
        if schedule is not None:
            refuse("schedule", "a schedule is for files from a location; an ETL of source API runs when files are sent")
        if source.get("locationId") is not None or source.get("trigger") is not None:
            refuse("source", "'locationId' and 'trigger' are for source LOCATION")
        return faults
    if source.get("locationId") is None:
        refuse("source.locationId", "'locationId' is needed: the id of a location", "member.mandatory")
    source["trigger"] = source.get("trigger") or ("FILE" if schedule is None else "SCHEDULE")
    if (source["trigger"] == "SCHEDULE") != (schedule is not None):
        refuse("schedule", "'schedule' goes with trigger SCHEDULE, and only with it")
    for number, file in enumerate(definition["files"]):
        if file.get("namePattern") is None:
            message = "'namePattern' is needed: which files of the location are meant"
            refuse(f"files[{number}].namePattern", message, "member.mandatory")
    return faults
