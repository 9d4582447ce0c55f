"""The calls that run ETLs, and those on their executions, v5."""

from tabellion.features.bulk.documents import Id, page_parameters, read_page
from tabellion.features.bulk.etls import examples, service, wire
from tabellion.features.bulk.etls.definition import Definition
from tabellion.features.bulk.etls.endpoints.definitions import CATEGORY, ETL, ETL_ID, MODULE
from tabellion.features.bulk.imports import reports
from tabellion.features.bulk.names import NamePattern
from tabellion.features.licences import entity_of
from tabellion.features.tables import ENTITY
from tabellion.kit.problem import invalid
from tabellion.platform.files import UploadedFile
from tabellion.platform.http.call import Answer, Call, Form, Incoming, Parameter

_EXECUTIONS = "/v5/entities/{e}/etl-executions"
_EXECUTION, _X = _EXECUTIONS + "/{i}", Parameter("i", "id of the execution", "99")
_FILE, _DEFINITION = "file", "definition"


async def trigger(call: Incoming) -> Answer:
    """Run an ETL with the files sent."""
    return _accepted(call, await service.trigger(call, _files(call)))


async def execute(call: Incoming) -> Answer:
    """Run a definition once."""
    return _accepted(call, await service.execute(call, _files(call), lambda: _definition(call)))


async def executions(call: Incoming) -> Answer:
    """Executions, the latest first."""
    page = read_page(call.query.first, "etlId")
    found, following = await service.executions(
        call, etl_id=page.owner_id, status=page.status, before=page.before, limit=page.limit
    )
    cursor = None if following is None else str(following)
    return Answer(200, wire.ExecutionsOut([wire.execution_out(x, entity_of(call).name) for x in found], cursor))


async def execution(call: Incoming) -> Answer:
    """One execution."""
    return Answer(200, wire.execution_out(await service.execution(call), entity_of(call).name))


async def errors(call: Incoming) -> Answer:
    """The rejected rows, zipped."""
    found, path = await service.report(call, reports.ERRORS)
    return Answer(200, file=path, name=f"errors-{found.id}.zip")


async def result_file(call: Incoming) -> Answer:
    """All rows and what became of them, zipped."""
    found, path = await service.report(call, reports.RESULT)
    pattern, name = found.definition.get("resultFileNamePattern"), f"result-{found.id}.zip"
    if pattern is not None:
        name = NamePattern(pattern).at((found.ended_at or call.now).astimezone(call.caller.time_zone))
    return Answer(200, file=path, name=name)


async def cancel(call: Incoming) -> Answer:
    """End an execution."""
    await service.cancel(call)
    return Answer(204)


def _accepted(call: Incoming, number: int) -> Answer:
    return Answer(201, Id(str(number)), location=f"/v5/entities/{call.path['e']}/etl-executions/{number}")


def _files(call: Incoming) -> list[UploadedFile]:
    return [] if call.upload is None else [file for file in call.upload.files if file.field == _FILE]


def _definition(call: Incoming) -> Definition:
    part = call.upload.file(_DEFINITION)
    document = part.path.read_bytes() if part is not None else call.upload.fields.get(_DEFINITION, "").encode()
    if not document:
        raise invalid(_DEFINITION, "member.mandatory", f"the form has no part '{_DEFINITION}'")
    definition, call.ignored = wire.read_definition(document)
    return definition


_FILES_TEXT = (
    "One or more parts `file`: CSV as it is, zipped (several in one zip) or gzipped. Names are compared with the "
    "`namePattern`s; each file is loaded in the order of the definition. Counts as one bulk call."
)

CALLS = (
    Call(
        id="etls.v5.execute",
        method="POST",
        path=_EXECUTIONS,
        category=CATEGORY,
        module=MODULE,
        summary="Import files once, with a definition",
        description=f"{_FILES_TEXT} What is wrong with the definition is told at once, with a file by the execution.",
        handler=execute,
        parameters=(ENTITY,),
        statuses={201: "The execution is queued."},
        form=Form(_FILE, "contacts.csv", _DEFINITION, Definition),
        body_example=examples.DOCUMENT,
        answer=Id,
        answer_example={"id": "99"},
    ),
    Call(
        id="etls.v5.executions",
        method="GET",
        path=_EXECUTIONS,
        category=CATEGORY,
        module=MODULE,
        summary="List executions",
        handler=executions,
        parameters=(ENTITY, *page_parameters("etlId", "ETL")),
        statuses={200: "Executions, the latest first."},
        answer=wire.ExecutionsOut,
        answer_example={"executions": [examples.EXECUTION_OUT], "nextCursor": None},
    ),
    Call(
        id="etls.v5.execution",
        method="GET",
        path=_EXECUTION,
        category=CATEGORY,
        module=MODULE,
        summary="Read an execution",
        description=(
            "`withErrors` is false only when every row is in. `errors` says why an execution FAILED, or "
            "what one that has not ended waits for."
        ),
        handler=execution,
        parameters=(ENTITY, _X),
        statuses={200: "What became of the rows so far."},
        answer=wire.ExecutionOut,
        answer_example=examples.EXECUTION_OUT,
    ),
    Call(
        id="etls.v5.errors",
        method="GET",
        path=_EXECUTION + "/errors",
        category=CATEGORY,
        module=MODULE,
        summary="Download the rejected rows of an execution",
        description="A CSV per file: its columns, `lineNumber`, `errorCode`, `errorColumn`, `errorMessage`. Kept 30 days.",
        handler=errors,
        parameters=(ENTITY, _X),
        statuses={200: "A zip."},
        download="application/zip",
        conflicts=("job.state",),
    ),
    Call(
        id="etls.v5.resultFile",
        method="GET",
        path=_EXECUTION + "/result-file",
        category=CATEGORY,
        module=MODULE,
        summary="Download all rows of an execution and what became of them",
        description="A CSV per file: its columns, and `lineNumber`, `operation`, `id`; if `generateResultFile` is true.",
        handler=result_file,
        parameters=(ENTITY, _X),
        statuses={200: "A zip."},
        download="application/zip",
        conflicts=("job.state",),
    ),
    Call(
        id="etls.v5.cancel",
        method="DELETE",
        path=_EXECUTION,
        category=CATEGORY,
        module=MODULE,
        summary="Cancel an execution",
        description="Rows already written stay.",
        handler=cancel,
        parameters=(ENTITY, _X),
        statuses={204: "The execution is cancelled."},
        conflicts=("job.state",),
    ),
    Call(
        id="etls.v5.trigger",
        method="POST",
        path=ETL + "/trigger-execution",
        category=CATEGORY,
        module=MODULE,
        summary="Run an ETL now",
        description=_FILES_TEXT + " An ETL that fetches its files from a location is called without a body.",
        handler=trigger,
        parameters=(ENTITY, ETL_ID),
        statuses={201: "The execution is queued."},
        conflicts=("etl.inactive",),
        form=Form(_FILE, "contacts.csv", optional=True),
        answer=Id,
        answer_example={"id": "100"},
    ),
)
