"""The v5 calls on records, like those on profiles: JSON, attributes as one flat object."""

from tabellion.features.customdata.endpoints import examples
from tabellion.features.customdata.endpoints.v4 import RECORD
from tabellion.features.customdata.model import CustomTable
from tabellion.features.customdata.parameters import CUSTOM_TABLE
from tabellion.features.customdata.service import records as service
from tabellion.features.customdata.wire import records as wire
from tabellion.features.profiles import Reader, Written, row_etag
from tabellion.features.tables import ENTITY
from tabellion.features.tables.filters import row_parameter
from tabellion.platform.http.call import Answer, Call, Incoming, Parameter

_PATH = "/v5/entities/{e}/custom-tables/{t}/records"
_ONE = _PATH + "/{r}"
_CATEGORY, _MODULE = "custom-data", "custom-data"
_FILTER = Parameter("filter", "a condition, see the guide to the filter language", 'state = "OPEN"')
_PAGE = (
    Parameter("sort", "attributes, `-` in front for descending; nulls last", "state,-bookedAt"),
    row_parameter("limit", "records of a page"),
    Parameter("cursor", "`nextCursor` of the page before", ""),
)
_CREATED = "The record was created."
_UPDATED = "The record was updated, or was already as asked."


def _reader(call: Incoming, table: CustomTable) -> Reader:
    if not call.body.attributes:
        call.refuse_ignored(wire.Record5Out, "the record has nothing new")
    return wire.read_record5(table, call.caller.time_zone, call.body)


async def _answer(call: Incoming, table: CustomTable, written: Written, reader: Reader) -> Answer:
    body = wire.BusinessKey(await service.key_of(call, table, written, reader))
    if written.outcome != "CREATED":
        return Answer(200, body)
    path = call.path
    return Answer(201, body, location=f"/v5/entities/{path['e']}/custom-tables/{path['t']}/records/id={written.id}")


@service.on_table
async def list_records(call: Incoming, table: CustomTable) -> Answer:
    """One page of the records that satisfy a filter."""
    rows, cursor = await service.page(call, table)
    return Answer(200, wire.Records5Out([wire.record5_out(table, row) for row in rows], cursor))


@service.on_table
async def count_records(call: Incoming, table: CustomTable) -> Answer:
    """How many records satisfy a filter."""
    return Answer(200, wire.RecordCount(await service.count(call, table)))


@service.on_table
async def post_record(call: Incoming, table: CustomTable) -> Answer:
    """Create a record; one that exists is left as it is."""
    reader = _reader(call, table)
    return await _answer(call, table, await service.save(call, table, reader, may_update=False), reader)


@service.on_table
async def put_by_key(call: Incoming, table: CustomTable) -> Answer:
    """Create or update the record that owns the key of the body."""
    reader = _reader(call, table)
    return await _answer(call, table, await service.put_by_body_key(call, table, reader, call.body.key), reader)


@service.on_table
async def get_record(call: Incoming, table: CustomTable) -> Answer:
    """Read one record."""
    row = await service.get(call, table)
    return Answer(200, wire.record5_out(table, row), etag=row_etag(table, row))


@service.on_table
async def put_record(call: Incoming, table: CustomTable) -> Answer:
    """Change a record; one addressed by its business key is created when it does not exist."""
    reader = _reader(call, table)
    return await _answer(call, table, await service.put(call, table, reader), reader)


@service.on_table
async def patch_record(call: Incoming, table: CustomTable) -> Answer:
    """Change a record."""
    reader = _reader(call, table)
    return await _answer(call, table, await service.patch(call, table, reader), reader)


@service.on_table
async def delete_record(call: Incoming, table: CustomTable) -> Answer:
    """Delete one record."""
    await service.delete(call, table)
    return Answer(204)


CALLS = (
    Call(
        id="records.v5.list",
        method="GET",
        path=_PATH,
        category=_CATEGORY,
        module=_MODULE,
        summary="List records",
        description=(
            "A page of the records that satisfy the filter. Any other query parameter is an equality on an attribute "
            "(`state=OPEN`), all must hold. The last page has `nextCursor` null."
        ),
        handler=list_records,
        parameters=(ENTITY, CUSTOM_TABLE, _FILTER, *_PAGE),
        statuses={200: "A page of records."},
        answer=wire.Records5Out,
        answer_example={"records": [examples.RECORD5_OUT], "nextCursor": None},
    ),
    Call(
        id="records.v5.count",
        method="GET",
        path=_PATH + "/count",
        category=_CATEGORY,
        module=_MODULE,
        summary="Count records",
        handler=count_records,
        parameters=(ENTITY, CUSTOM_TABLE, _FILTER),
        statuses={200: "How many records satisfy the filter."},
        answer=wire.RecordCount,
        answer_example={"count": 12},
    ),
    Call(
        id="records.v5.create",
        method="POST",
        path=_PATH,
        category=_CATEGORY,
        module=_MODULE,
        summary="Create a record",
        description="A record that has the key already is left as it is (409).",
        handler=post_record,
        parameters=(ENTITY, CUSTOM_TABLE),
        statuses={201: _CREATED},
        conflicts=("record.exists", "attribute.notUnique"),
        body=wire.RecordAttributesIn,
        lenient=True,
        echoed=wire.Record5Out,
        body_example={"attributes": examples.ATTRIBUTES},
        answer=wire.BusinessKey,
        answer_example=examples.KEY,
    ),
    Call(
        id="records.v5.putByKey",
        method="PUT",
        path=_PATH,
        category=_CATEGORY,
        module=_MODULE,
        summary="Create or update a record by key",
        description=(
            "`key` names one unique attribute, all those of the composite key, or `id`, and alone identifies the record. "
            "Attributes that are not sent stay, null clears."
        ),
        handler=put_by_key,
        parameters=(ENTITY, CUSTOM_TABLE),
        statuses={201: _CREATED, 200: _UPDATED},
        conflicts=("attribute.notUnique", "record.inUse"),
        etag=True,
        body=wire.RecordKeyIn,
        lenient=True,
        echoed=wire.Record5Out,
        body_example={"key": {"stayRef": "ST-00017"}, "attributes": examples.ATTRIBUTES},
        answer=wire.BusinessKey,
        answer_example=examples.KEY,
    ),
    Call(
        id="records.v5.get",
        method="GET",
        path=_ONE,
        category=_CATEGORY,
        module=_MODULE,
        summary="Read a record",
        handler=get_record,
        parameters=(ENTITY, CUSTOM_TABLE, RECORD),
        statuses={200: "The record."},
        etag=True,
        answer=wire.Record5Out,
        answer_example=examples.RECORD5_OUT,
    ),
    Call(
        id="records.v5.put",
        method="PUT",
        path=_ONE,
        category=_CATEGORY,
        module=_MODULE,
        summary="Change a record, or create it",
        description="As PATCH, but a record addressed by a business key that does not exist is created.",
        handler=put_record,
        parameters=(ENTITY, CUSTOM_TABLE, RECORD),
        statuses={200: _UPDATED, 201: _CREATED},
        conflicts=("attribute.notUnique", "record.inUse"),
        etag=True,
        body=wire.RecordAttributesIn,
        lenient=True,
        echoed=wire.Record5Out,
        body_example={"attributes": {"state": "PAID"}},
        answer=wire.BusinessKey,
        answer_example=examples.KEY,
    ),
    Call(
        id="records.v5.patch",
        method="PATCH",
        path=_ONE,
        category=_CATEGORY,
        module=_MODULE,
        summary="Change a record",
        description="Only what is sent changes; null clears an attribute. The record must exist.",
        handler=patch_record,
        parameters=(ENTITY, CUSTOM_TABLE, RECORD),
        statuses={200: _UPDATED},
        conflicts=("attribute.notUnique", "record.inUse"),
        etag=True,
        body=wire.RecordAttributesIn,
        lenient=True,
        echoed=wire.Record5Out,
        body_example={"attributes": {"state": "PAID"}},
        answer=wire.BusinessKey,
        answer_example=examples.KEY,
    ),
    Call(
        id="records.v5.delete",
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
