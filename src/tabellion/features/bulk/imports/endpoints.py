"""The import calls of v4."""

from typing import Any

from tabellion.features.bulk.imports import form, reports, service, wire
from tabellion.features.bulk.imports.form import FILE, PARAMETERS
from tabellion.features.customdata import CUSTOM_TABLE
from tabellion.features.tables import ENTITY, TABLE
from tabellion.kit.problem import invalid
from tabellion.platform.http.call import Answer, Call, Form, Incoming, Method, Parameter

_CATEGORY, _MODULE = "mass-imports", "bulk"
_ONE = "/v4/entity/{e}/import/{i}"
_I = Parameter("i", "id of the import", "1000042")
_CREATIONS: tuple[tuple[str, Method, str, Parameter], ...] = (
    ("imports.v4.create", "POST", "table", TABLE),
    ("imports.v4.createByPut", "PUT", "table", TABLE),
    ("imports.v4.createRecords", "POST", "customTable", CUSTOM_TABLE),
    ("imports.v4.createRecordsByPut", "PUT", "customTable", CUSTOM_TABLE),
)
_DESCRIPTION = (
    "A CSV file, as it is or zipped, as the form's `inputFile`; what to do with it in the part `parameters` (JSON), or in "
    "the fields `format`, `charset`, `mode` and `headerKeyColumn`. The first line names the columns: attributes, "
    "`subscriptions#Name`, `segmentations#Name`. The answer comes before the file is read: whatever is wrong with its "
    "content is told by the import's status, result and error file. Counts as a bulk call."
)
_FIELDS = (
    Parameter("format", "as the field of the form: COMMA_, TAB_ or SEMI_COLON_SEPARATED_VALUES"),
    Parameter("charset", "as the field of the form"),
    Parameter("mode", "as the field of the form: CREATE_UPDATE, CREATE_ONLY or UPDATE_ONLY"),
    Parameter("headerKeyColumn", "as the field of the form"),
)
_ORDER: dict[str, Any] = {
    "mode": "CREATE_UPDATE",
    "encoding": "UTF-8",
    "format": {"separator": ";", "endOfLine": "\n"},
    "generateResultFile": True,
    "attributesMapping": [
        {"headerColumn": "mail", "attributeName": "emailAddress"},
        {"headerColumn": "subscriptions#Newsletter", "attributeName": "subscriptions#Newsletter"},
    ],
}
_ID = {"id": 1000042}
_STATUS = {"id": 1000042, "status": "RUNNING", "rowsRead": 12000, "percent": 41}
_RESULT: dict[str, Any] = {
    "id": 1000042,
    "status": "DONE_WITH_ERRORS",
    "withErrors": True,
    "rowsRead": 1000,
    "rowsCreated": 700,
    "rowsUpdated": 250,
    "rowsUnchanged": 45,
    "rowsInError": 5,
    "startedAt": "2027-03-01T08:15:00.000Z",
    "endedAt": "2027-03-01T08:15:09.000Z",
    "errors": [],
}


async def create(call: Incoming) -> Answer:
    """Accept a file."""
    upload = call.upload
    given = upload.wanted(FILE)
    if sum(file.field == FILE for file in upload.files) > 1:
        raise invalid(FILE, "structure.tooMany", f"the form has several files '{FILE}'; an import reads one")
    job_id = await service.accept(call, given.path, lambda table: form.order_of(call, table))
    return Answer(201, wire.ImportId(job_id), location=f"/v4/entity/{call.path['e']}/import/{job_id}/status")


async def status(call: Incoming) -> Answer:
    """How far it is."""
    return Answer(200, wire.status_out(await service.get(call)))


async def result(call: Incoming) -> Answer:
    """What became of the rows."""
    return Answer(200, wire.result_out(await service.get(call)))


async def errors(call: Incoming) -> Answer:
    """The rejected rows, zipped."""
    return await _file(call, reports.ERRORS)


async def result_file(call: Incoming) -> Answer:
    """All rows and what became of them, zipped."""
    return await _file(call, reports.RESULT)


async def _file(call: Incoming, kind: str) -> Answer:
    job, path = await service.report(call, kind)
    return Answer(200, file=path, name=f"{reports.NAMES[kind]}-{job.id}.zip")


async def cancel(call: Incoming) -> Answer:
    """End it."""
    await service.cancel(call)
    return Answer(204)


CALLS = (
    *(
        Call(
            id=id_,
            method=method,
            path=f"/v4/entity/{{e}}/{segment}/{{t}}/import",
            category=_CATEGORY,
            module=_MODULE,
            summary="Import a file into a profile table" if parameter is TABLE else "Import a file into a custom table",
            description=_DESCRIPTION,
            handler=create,
            parameters=(ENTITY, parameter, *_FIELDS),
            free_query=True,
            statuses={201: "The import is queued."},
            form=Form(FILE, "contacts.csv", PARAMETERS, wire.Parameters),
            body_example=_ORDER,
            answer=wire.ImportId,
            answer_root="import",
            answer_example=_ID,
        )
        for id_, method, segment, parameter in _CREATIONS
    ),
    Call(
        id="imports.v4.status",
        method="GET",
        path=_ONE + "/status",
        category=_CATEGORY,
        module=_MODULE,
        summary="Ask how far an import is",
        handler=status,
        parameters=(ENTITY, _I),
        statuses={200: "QUEUED, VALIDATING, RUNNING, DONE, DONE_WITH_ERRORS, FAILED or CANCELLED, and how far it is."},
        answer=wire.StatusOut,
        answer_root="importStatus",
        answer_example=_STATUS,
    ),
    Call(
        id="imports.v4.result",
        method="GET",
        path=_ONE + "/result",
        category=_CATEGORY,
        module=_MODULE,
        summary="Read the result of an import",
        description=(
            "`withErrors` is false only when every row is in. `errors` says why a whole import FAILED, or "
            "what one that has not ended waits for."
        ),
        handler=result,
        parameters=(ENTITY, _I),
        statuses={200: "What became of the rows so far."},
        answer=wire.ResultOut,
        answer_root="importResult",
        answer_example=_RESULT,
    ),
    Call(
        id="imports.v4.errors",
        method="GET",
        path=_ONE + "/errors",
        category=_CATEGORY,
        module=_MODULE,
        summary="Download the rejected rows of an import",
        description="The columns of the input, and `lineNumber`, `errorCode`, `errorColumn`, `errorMessage`. Kept 30 days.",
        handler=errors,
        parameters=(ENTITY, _I),
        statuses={200: "A zip with one CSV file."},
        download="application/zip",
        conflicts=("job.state",),
    ),
    Call(
        id="imports.v4.resultFile",
        method="GET",
        path=_ONE + "/result-file",
        category=_CATEGORY,
        module=_MODULE,
        summary="Download all rows of an import and what became of them",
        description="The columns of the input, and `lineNumber`, `operation`, `id`. Made if `generateResultFile` was sent.",
        handler=result_file,
        parameters=(ENTITY, _I),
        statuses={200: "A zip with one CSV file."},
        download="application/zip",
        conflicts=("job.state",),
    ),
    Call(
        id="imports.v4.cancel",
        method="DELETE",
        path=_ONE,
        category=_CATEGORY,
        module=_MODULE,
        summary="Cancel an import",
        description="Rows already written stay.",
        handler=cancel,
        parameters=(ENTITY, _I),
        statuses={204: "The import is cancelled."},
        conflicts=("job.state",),
    ),
)
