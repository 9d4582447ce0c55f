"""The documents of the calls of exports."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from tabellion.features.bulk.documents import Link, Timing, name_faults
from tabellion.features.bulk.exports.definition import Definition, Format
from tabellion.features.bulk.exports.model import KEPT, LINKS, Execution, Export
from tabellion.features.bulk.imports import charset_of
from tabellion.features.bulk.names import NamePattern
from tabellion.features.tables import moment_or_null, render_moment
from tabellion.kit.problem import FieldError
from tabellion.kit.schedule import schedule_faults
from tabellion.platform.http.shapes import Flag, Text

_MEDIA = {"ZIP": "application/zip", "GZIP": "application/gzip"}


class ExportIn(Definition, rename="camel", kw_only=True):
    """An export to be kept. `incremental`: only rows that have changed since the last successful execution.

    `locationId`: the file is also written there, as `fileName` (with dates: `rows_$yyyyMMdd.csv`; null: `export-7.csv`).
    """

    name: str
    is_active: Flag = True
    incremental: Flag = False
    schedule: Timing | None = None
    location_id: Text | None = None
    file_name: str | None = None


class ExportPatch(msgspec.Struct, rename="camel"):
    """What is to be changed; each member is replaced as a whole, null clears it."""

    name: str | UnsetType = UNSET
    is_active: Flag | UnsetType = UNSET
    attributes: list[str] | None | UnsetType = UNSET
    filter: str | None | UnsetType = UNSET
    format: Format | UnsetType = UNSET
    compression: Literal["NONE", "ZIP", "GZIP"] | UnsetType = UNSET
    incremental: Flag | UnsetType = UNSET
    schedule: Timing | None | UnsetType = UNSET
    location_id: Text | None | UnsetType = UNSET
    file_name: str | None | UnsetType = UNSET


class ExportOut(ExportIn, rename="camel", kw_only=True):
    """An export; `nextRunAt`: when its schedule runs it next."""

    id: str
    next_run_at: str | None


class ExportBrief(msgspec.Struct, rename="camel"):
    """An export in the list."""

    id: str
    name: str
    is_active: bool


class ExportsOut(msgspec.Struct):
    """The exports of an entity, by name."""

    exports: list[ExportBrief]


class ExecutionOut(msgspec.Struct, rename="camel"):
    """An execution. `bytes` and `sha256` are of the file as it is downloaded."""

    id: str
    export_id: str | None
    status: str
    execution_status: str | None
    rows_exported: int
    percent: int
    bytes: int | None
    sha256: str | None
    started_at: str | None
    ended_at: str | None
    expires_at: str | None
    errors: tuple[FieldError, ...]
    links: dict[str, Link] = msgspec.field(name="_links")


class ExecutionsOut(msgspec.Struct, rename="camel"):
    """Executions, the latest first."""

    executions: list[ExecutionOut]
    next_cursor: str | None


def read_new(body: ExportIn) -> tuple[Export, list[FieldError]]:
    """The export to be kept, and what is wrong with its name, file name and schedule."""
    return _export(0, msgspec.to_builtins(body))


def read_changed(before: Export, body: ExportPatch) -> tuple[Export, list[FieldError]]:
    """The export with what a body changes, and what is wrong with its name, file name and schedule."""
    document = before.definition | {"name": before.name, "isActive": before.is_active} | msgspec.to_builtins(body)
    export, faults = _export(before.id, document)
    return msgspec.structs.replace(export, changed_since=before.changed_since), faults


def export_out(export: Export) -> ExportOut:
    """One export as it is answered."""
    own = {"id": str(export.id), "name": export.name, "isActive": export.is_active}
    moment = moment_or_null(export.next_run_at)
    return msgspec.convert(export.definition | own | {"nextRunAt": moment}, ExportOut)


def export_brief(export: Export) -> ExportBrief:
    """One export as it is listed."""
    return ExportBrief(str(export.id), export.name, export.is_active)


def execution_out(execution: Execution, entity: str) -> ExecutionOut:
    """An execution as it is answered."""
    links = {"file": Link(LINKS.execution(entity, execution.id) + "/file")}
    if execution.export_id is not None:
        links["export"] = Link(LINKS.definition(entity, execution.export_id))
    ended = execution.ended_at
    return ExecutionOut(
        id=str(execution.id),
        export_id=None if execution.export_id is None else str(execution.export_id),
        status=execution.status,
        execution_status=execution.outcome,
        rows_exported=execution.rows_exported,
        percent=execution.percent,
        bytes=execution.bytes,
        sha256=execution.sha256,
        started_at=moment_or_null(execution.started_at),
        ended_at=moment_or_null(ended),
        expires_at=None if ended is None else render_moment(ended + KEPT),
        errors=execution.errors,
        links=links,
    )


def media_type(execution: Execution) -> str:
    """The type of the file of an execution."""
    format_ = execution.definition["format"]
    plain = f"text/csv;charset={charset_of(format_['encoding'])}" if format_["type"] == "CSV" else "application/x-ndjson"
    return _MEDIA.get(execution.definition["compression"], plain)


def _export(number: int, document: dict[str, Any]) -> tuple[Export, list[FieldError]]:
    definition = {name: value for name, value in document.items() if name not in {"name", "isActive"}}
    name: str = document["name"]
    faults = name_faults(name)
    if definition.get("fileName") is not None:
        try:
            NamePattern(definition["fileName"])
        except ValueError as error:
            faults.append(FieldError("fileName", "structure.invalid", str(error)))
    schedule = definition.get("schedule")
    if schedule is not None:
        faults += schedule_faults("schedule", schedule["cron"], schedule["timeZone"])
    return Export(number, name, document["isActive"], definition), faults
