"""The v4 calls on records: JSON and XML, attributes as a list of names and values."""

from tabellion.features.customdata.endpoints import examples
from tabellion.features.customdata.model import CustomTable
from tabellion.features.customdata.parameters import CUSTOM_TABLE
from tabellion.features.customdata.service import records as service
from tabellion.features.customdata.wire import records as wire
from tabellion.features.profiles import row_etag
from tabellion.features.tables import ENTITY
from tabellion.features.tables.filters import row_parameter
from tabellion.platform.http.call import Answer, Call, Incoming, Parameter

RECORD = Parameter("r", "business key of the record, its `id`, or `attribute=value` of a unique attribute", "ST-00017")
_PATH = "/v4/entity/{e}/customTable/{t}/record"
_ONE = _PATH + "/{r}"
_CATEGORY, _MODULE = "custom-data", "custom-data"
_SEARCH = (
    Parameter("searchField", "attribute to search by (also `id`); with `searchValue`", "state"),
    Parameter("searchValue", "the value it must have; empty: none", "OPEN"),
    Parameter("sortedField", "attribute to sort by; `id` by default", "bookedAt"),
    Parameter("ascending", "false: the greatest first", "true", schema={"type": "boolean", "default": True}),
    row_parameter("number", "rows to answer"),
)


@service.on_table
async def list_records(call: Incoming, table: CustomTable) -> Answer:
    """The records that have a value."""
    rows = await service.search(call, table)
    return Answer(200, wire.RecordsOut([wire.record_out(table, row) for row in rows]))


@service.on_table
async def post_record(call: Incoming, table: CustomTable) -> Answer:
    """Create a record, or update the one that has the business key of the body."""
    reader = wire.read_record(table, call.caller.time_zone, call.body)
    written = await service.save(call, table, reader)
    body = wire.BusinessKey(await service.key_of(call, table, written, reader))
    if written.outcome != "CREATED":
        return Answer(200, body)
    return Answer(201, body, location=f"/v4/entity/{call.path['e']}/customTable/{call.path['t']}/record/id={written.id}")


@service.on_table
async def get_record(call: Incoming, table: CustomTable) -> Answer:
    """Read one record."""
    row = await service.get(call, table)
    return Answer(200, wire.record_out(table, row), etag=row_etag(table, row))


@service.on_table
async def put_record(call: Incoming, table: CustomTable) -> Answer:
    """Change a record; one addressed by its business key is created when it does not exist."""
    reader = wire.read_record(table, call.caller.time_zone, call.body)
    written = await service.put(call, table, reader)
    return Answer(200, wire.BusinessKey(await service.key_of(call, table, written, reader)))


@service.on_table
async def delete_record(call: Incoming, table: CustomTable) -> Answer:
    """Delete one record."""
    await service.delete(call, table)
    return Answer(204)


CALLS = (
    Call(
        id="records.v4.list",
        method="GET",
        path=_PATH,
        category=_CATEGORY,
        module=_MODULE,
        summary="List records",
        description="At most `number` records, sorted. Nothing found is an empty list.",
        handler=list_records,
        parameters=(ENTITY, CUSTOM_TABLE, *_SEARCH),
        statuses={200: "The records found."},
        answer=wire.RecordsOut,
        answer_root="records",
        answer_example={"records": [examples.RECORD_OUT]},
    ),
    Call(
        id="records.v4.save",
        method="POST",
        path=_PATH,
        category=_CATEGORY,
        module=_MODULE,
        summary="Create or update a record",
        description=(
            "The business key of the body (or the attributes of the composite key) decides. Where keys are generated, the "
            "record is created, unless the body has the `id` of one. Only what is sent changes; null clears."
        ),
        handler=post_record,
        parameters=(ENTITY, CUSTOM_TABLE),
        statuses={201: "The record was created.", 200: "The record was updated, or was already as asked."},
        conflicts=("attribute.notUnique", "record.inUse"),
        body=wire.RecordIn,
        body_root="record",
        body_example=examples.RECORD_IN,
        answer=wire.BusinessKey,
        answer_root="record",
        answer_example=examples.KEY,
    ),
    Call(
        id="records.v4.get",
        method="GET",
        path=_ONE,
        category=_CATEGORY,
        module=_MODULE,
        summary="Read a record",
        description="All attributes, the technical ones first; what has no value is there with null.",
        handler=get_record,
        parameters=(ENTITY, CUSTOM_TABLE, RECORD),
        statuses={200: "The record."},
        etag=True,
        answer=wire.RecordOut,
        answer_root="record",
        answer_example=examples.RECORD_OUT,
    ),
    Call(
        id="records.v4.put",
        method="PUT",
        path=_ONE,
        category=_CATEGORY,
        module=_MODULE,
        summary="Change a record, or create it",
        description=(
            "Only what is sent changes. A record addressed by a business key that does not exist is created, also then the "
            "status is 200; one addressed by its `id` is not, nor is one whose key would be generated."
        ),
        handler=put_record,
        parameters=(ENTITY, CUSTOM_TABLE, RECORD),
        statuses={200: "The record is as asked."},
        conflicts=("attribute.notUnique", "record.inUse"),
        etag=True,
        body=wire.RecordIn,
        body_root="record",
        body_example={"properties": [{"name": "state", "value": "PAID"}]},
        answer=wire.BusinessKey,
        answer_root="record",
        answer_example=examples.KEY,
    ),
    Call(
        id="records.v4.delete",
        method="DELETE",
        path=_ONE,
        category=_CATEGORY,
        module=_MODULE,
        summary="Delete a record",
        handler=delete_record,
        parameters=(ENTITY, CUSTOM_TABLE, RECORD),
        statuses={204: "The record is deleted."},
        conflicts=("record.inUse",),
        etag=True,
    ),
)
