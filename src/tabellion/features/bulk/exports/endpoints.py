"""The calls of exports, v5."""

from typing import Any

from tabellion.features.bulk.documents import Id, page_parameters, read_page
from tabellion.features.bulk.exports import service, wire
from tabellion.features.bulk.exports.definition import Definition
from tabellion.features.bulk.exports.model import file_name
from tabellion.features.licences import entity_of
from tabellion.features.tables import ENTITY
from tabellion.platform.http.call import Answer, Call, Incoming, Parameter

_CATEGORY, _MODULE = "exports", "bulk"
_EXPORTS, _EXECUTIONS = "/v5/entities/{e}/exports", "/v5/entities/{e}/export-executions"
_EXPORT, _EXECUTION = _EXPORTS + "/{i}", _EXECUTIONS + "/{i}"
_I, _X = Parameter("i", "id of the export", "3"), Parameter("i", "id of the execution", "7")


async def execute(call: Incoming) -> Answer:
    """Write a file once."""
    return _accepted(call, await service.execute(call, call.body))


async def executions(call: Incoming) -> Answer:
    """Executions, the latest first."""
    page = read_page(call.query.first, "exportId")
    found, following = await service.executions(
        call, export_id=page.owner_id, status=page.status, before=page.before, limit=page.limit
    )
    cursor = None if following is None else str(following)
    return Answer(200, wire.ExecutionsOut([wire.execution_out(x, entity_of(call).name) for x in found], cursor))


async def execution(call: Incoming) -> Answer:
    """One execution."""
    return Answer(200, wire.execution_out(await service.execution(call), entity_of(call).name))


async def file(call: Incoming) -> Answer:
    """The file."""
    found, path = await service.file(call)
    return Answer(200, file=path, name=file_name(found), headers={"Content-Type": wire.media_type(found)})


async def cancel(call: Incoming) -> Answer:
    """End an execution."""
    await service.cancel(call)
    return Answer(204)


async def list_exports(call: Incoming) -> Answer:
    """The exports of an entity."""
    return Answer(200, wire.ExportsOut([wire.export_brief(export) for export in await service.list_exports(call)]))


async def create(call: Incoming) -> Answer:
    """Keep an export."""
    number = await service.create(call, *wire.read_new(call.body))
    return Answer(201, Id(str(number)), location=f"/v5/entities/{call.path['e']}/exports/{number}")


async def get(call: Incoming) -> Answer:
    """One export."""
    return Answer(200, wire.export_out(await service.get(call)))


async def change(call: Incoming) -> Answer:
    """Change an export."""
    return Answer(200, wire.export_out(await service.change(call, lambda before: wire.read_changed(before, call.body))))


async def delete(call: Incoming) -> Answer:
    """Delete an export."""
    await service.delete(call)
    return Answer(204)


async def trigger(call: Incoming) -> Answer:
    """Run an export now."""
    return _accepted(call, await service.trigger(call))


def _accepted(call: Incoming, number: int) -> Answer:
    return Answer(201, Id(str(number)), location=f"/v5/entities/{call.path['e']}/export-executions/{number}")


_DOCUMENT: dict[str, Any] = {
    "tableType": "PROFILE_TABLE",
    "tableId": "Guests",
    "attributes": ["profileId", "emailAddress", "subscriptions.Newsletter"],
    "filter": "updateMoment >= now(-7d)",
    "format": {"type": "CSV", "encoding": "UTF-8", "separator": ";", "enclosing": '"', "protectFormulas": False},
    "compression": "ZIP",
}
_EXPORT_IN: dict[str, Any] = {
    "name": "weekly",
    **_DOCUMENT,
    "incremental": True,
    "schedule": {"cron": "0 3 * * 1", "timeZone": "Europe/Paris"},
}
_EXPORT_OUT: dict[str, Any] = {
    "id": "3", "isActive": True, **_EXPORT_IN, "tableId": "31", "locationId": None, "nextRunAt": "2027-03-01T02:00:00.000Z",
}  # fmt: skip
_EXECUTION_OUT: dict[str, Any] = {
    "id": "7",
    "exportId": "3",
    "status": "DONE",
    "executionStatus": "SUCCESS",
    "rowsExported": 48210,
    "percent": 100,
    "bytes": 5210332,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "startedAt": "2027-03-01T02:00:00.000Z",
    "endedAt": "2027-03-01T02:00:02.000Z",
    "expiresAt": "2027-03-06T02:00:02.000Z",
    "errors": [],
    "_links": {
        "file": {"href": "/exports/v5/entities/hotels/export-executions/7/file"},
        "export": {"href": "/exports/v5/entities/hotels/exports/3"},
    },
}

CALLS = (
    Call(
        id="exports.v5.execute",
        method="POST",
        path=_EXECUTIONS,
        category=_CATEGORY,
        module=_MODULE,
        summary="Write rows of a table into a file, once",
        description="The rows are those of one moment. `attributes` null: all. `filter` as in the lists. No bulk call.",
        handler=execute,
        parameters=(ENTITY,),
        statuses={201: "The execution is queued."},
        body=Definition,
        body_example=_DOCUMENT,
        answer=Id,
        answer_example={"id": "7"},
    ),
    Call(
        id="exports.v5.executions",
        method="GET",
        path=_EXECUTIONS,
        category=_CATEGORY,
        module=_MODULE,
        summary="List executions of exports",
        handler=executions,
        parameters=(ENTITY, *page_parameters("exportId", "export")),
        statuses={200: "Executions, the latest first."},
        answer=wire.ExecutionsOut,
        answer_example={"executions": [_EXECUTION_OUT], "nextCursor": None},
    ),
    Call(
        id="exports.v5.execution",
        method="GET",
        path=_EXECUTION,
        category=_CATEGORY,
        module=_MODULE,
        summary="Read an execution of an export",
        description="`rowsExported`, `bytes` and `sha256` tell whether a copy of the file is whole.",
        handler=execution,
        parameters=(ENTITY, _X),
        statuses={200: "How far it is, and what it has written."},
        answer=wire.ExecutionOut,
        answer_example=_EXECUTION_OUT,
    ),
    Call(
        id="exports.v5.file",
        method="GET",
        path=_EXECUTION + "/file",
        category=_CATEGORY,
        module=_MODULE,
        summary="Download the file of an execution",
        description="Kept 5 days.",
        handler=file,
        parameters=(ENTITY, _X),
        statuses={200: "The file: CSV or JSON lines, as it is, zipped (with a manifest) or gzipped."},
        download="application/octet-stream",
        conflicts=("job.state",),
    ),
    Call(
        id="exports.v5.cancel",
        method="DELETE",
        path=_EXECUTION,
        category=_CATEGORY,
        module=_MODULE,
        summary="Cancel an execution of an export",
        handler=cancel,
        parameters=(ENTITY, _X),
        statuses={204: "The execution is cancelled."},
        conflicts=("job.state",),
    ),
    Call(
        id="exports.v5.list",
        method="GET",
        path=_EXPORTS,
        category=_CATEGORY,
        module=_MODULE,
        summary="List the exports of an entity",
        handler=list_exports,
        parameters=(ENTITY,),
        statuses={200: "The exports, by name."},
        answer=wire.ExportsOut,
        answer_example={"exports": [{"id": "3", "name": "weekly", "isActive": True}]},
    ),
    Call(
        id="exports.v5.create",
        method="POST",
        path=_EXPORTS,
        category=_CATEGORY,
        module=_MODULE,
        summary="Keep an export",
        description="`incremental`: only rows changed since the last successful execution. `schedule`: it runs by itself.",
        handler=create,
        parameters=(ENTITY,),
        statuses={201: "The export was created."},
        conflicts=("name.used",),
        body=wire.ExportIn,
        body_example=_EXPORT_IN,
        answer=Id,
        echoed=wire.ExportOut,
        answer_example={"id": "3"},
    ),
    Call(
        id="exports.v5.get",
        method="GET",
        path=_EXPORT,
        category=_CATEGORY,
        module=_MODULE,
        summary="Read an export",
        handler=get,
        parameters=(ENTITY, _I),
        statuses={200: "The export."},
        answer=wire.ExportOut,
        answer_example=_EXPORT_OUT,
    ),
    Call(
        id="exports.v5.change",
        method="PATCH",
        path=_EXPORT,
        category=_CATEGORY,
        module=_MODULE,
        summary="Change an export",
        description="Only what is sent changes. An incremental export that is changed begins with all rows again.",
        handler=change,
        parameters=(ENTITY, _I),
        statuses={200: "The export as it is now."},
        conflicts=("name.used",),
        body=wire.ExportPatch,
        body_example={"isActive": False},
        answer=wire.ExportOut,
        answer_example={**_EXPORT_OUT, "isActive": False},
    ),
    Call(
        id="exports.v5.delete",
        method="DELETE",
        path=_EXPORT,
        category=_CATEGORY,
        module=_MODULE,
        summary="Delete an export",
        description="Its executions and their files stay.",
        handler=delete,
        parameters=(ENTITY, _I),
        statuses={204: "The export is deleted."},
    ),
    Call(
        id="exports.v5.trigger",
        method="POST",
        path=_EXPORT + "/trigger-execution",
        category=_CATEGORY,
        module=_MODULE,
        summary="Run an export now",
        handler=trigger,
        parameters=(ENTITY, _I),
        statuses={201: "The execution is queued."},
        conflicts=("export.inactive",),
        answer=Id,
        answer_example={"id": "7"},
    ),
)
