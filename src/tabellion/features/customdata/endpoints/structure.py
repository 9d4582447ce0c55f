"""The structure calls of custom tables: v4 reads, v5 reads, creates, changes and deletes."""

from tabellion.features.customdata import filling
from tabellion.features.customdata.endpoints import examples
from tabellion.features.customdata.parameters import CUSTOM_TABLE
from tabellion.features.customdata.service.structure import custom_tables, targets
from tabellion.features.customdata.wire import structure as wire
from tabellion.features.tables import ENTITY, structure_etag
from tabellion.platform.http.call import Answer, Call, Incoming

_V4 = "/v4/entity/{e}/customTable"
_V5 = "/v5/entities/{e}/custom-tables"
_CATEGORY, _MODULE = "custom-table-structure", "structure"


async def list_v4(call: Incoming) -> Answer:
    """The custom tables of an entity."""
    names = [wire.CustomTableName(table.public_id, table.name) for table in await custom_tables.listed(call)]
    return Answer(200, wire.CustomTablesV4(names))


async def get_v4(call: Incoming) -> Answer:
    """The structure of a table."""
    table = await custom_tables.find(call, call.path["e"], call.path["t"])
    return Answer(200, wire.table_v4(table), etag=structure_etag(table))


async def list_v5(call: Incoming) -> Answer:
    """The custom tables of an entity."""
    tables = await custom_tables.listed(call)
    heads = [wire.CustomTableHead(table.public_id, table.name, table.definition.type) for table in tables]
    return Answer(200, wire.CustomTablesV5(heads))


async def get_v5(call: Incoming) -> Answer:
    """The structure of a table."""
    table = await custom_tables.find(call, call.path["e"], call.path["t"])
    return Answer(200, wire.table_v5(table), etag=structure_etag(table))


async def create(call: Incoming) -> Answer:
    """Make a table."""
    body: wire.CustomTableIn = call.body
    known = await targets(call)
    table = await custom_tables.create(call, lambda plan: filling.fill_table(plan, body, known), body.name)
    location = f"/v5/entities/{call.path['e']}/custom-tables/{table.public_id}"
    return Answer(201, wire.CustomTableId(table.public_id), location=location)


async def change(call: Incoming) -> Answer:
    """Change a table's structure."""
    body: wire.CustomChangeRequest = call.body
    known = await targets(call)
    table = await custom_tables.change(call, lambda plan: filling.fill_changes(plan, body, known))
    return Answer(200, wire.table_v5(table), etag=structure_etag(table))


async def delete(call: Incoming) -> Answer:
    """Delete a table."""
    await custom_tables.delete(call)
    return Answer(204)


CALLS = (
    Call(
        id="customStructure.v4.list",
        method="GET",
        path=_V4,
        category=_CATEGORY,
        module=_MODULE,
        summary="List the custom tables of an entity",
        handler=list_v4,
        parameters=(ENTITY,),
        statuses={200: "Names and ids, by name."},
        answer=wire.CustomTablesV4,
        answer_root="customTables",
        answer_example={"customTables": examples.NAMES},
    ),
    Call(
        id="customStructure.v4.get",
        method="GET",
        path=_V4 + "/{t}",
        category=_CATEGORY,
        module=_MODULE,
        summary="Read the structure of a custom table",
        description="Attributes are a list, the technical ones first; `businessKey` is `id` where keys are generated.",
        handler=get_v4,
        parameters=(ENTITY, CUSTOM_TABLE),
        statuses={200: "The structure."},
        etag=True,
        answer=wire.CustomTableV4,
        answer_root="customTable",
        answer_example=examples.STRUCTURE_V4,
    ),
    Call(
        id="customStructure.v5.list",
        method="GET",
        path=_V5,
        category=_CATEGORY,
        module=_MODULE,
        summary="List the custom tables of an entity",
        handler=list_v5,
        parameters=(ENTITY,),
        statuses={200: "Names, ids and types, by name."},
        answer=wire.CustomTablesV5,
        answer_example={"customTables": examples.HEADS},
    ),
    Call(
        id="customStructure.v5.create",
        method="POST",
        path=_V5,
        category=_CATEGORY,
        module=_MODULE,
        summary="Create a custom table",
        description=(
            "`name` and `attributes` (each with `name` and `valueType`) are mandatory. Without `primaryKeyAttribute` the "
            "business key is generated. Foreign keys name their table by id or name."
        ),
        handler=create,
        parameters=(ENTITY,),
        statuses={201: "The table was created."},
        conflicts=("name.used",),
        body=wire.CustomTableIn,
        lenient=True,
        body_example=examples.CREATE,
        answer=wire.CustomTableId,
        echoed=wire.CustomTableV5,
        answer_example={"id": examples.TABLE_ID},
    ),
    Call(
        id="customStructure.v5.get",
        method="GET",
        path=_V5 + "/{t}",
        category=_CATEGORY,
        module=_MODULE,
        summary="Read the structure of a custom table",
        description="Every attribute but the technical ones.",
        handler=get_v5,
        parameters=(ENTITY, CUSTOM_TABLE),
        statuses={200: "The structure."},
        etag=True,
        answer=wire.CustomTableV5,
        answer_example=examples.STRUCTURE_V5,
    ),
    Call(
        id="customStructure.v5.change",
        method="POST",
        path=_V5 + "/{t}/change-requests",
        category=_CATEGORY,
        module=_MODULE,
        summary="Change the structure of a custom table",
        description=(
            "Operations run in order, all or none: addAttribute, updateAttribute, removeAttribute, addForeignKey, "
            "removeForeignKey, setEventsToTrigger, setCleaningRule, setCreationTimeAttribute, setValueAttribute, rename."
        ),
        handler=change,
        parameters=(ENTITY, CUSTOM_TABLE),
        statuses={200: "The new structure."},
        conflicts=("structure.dataConflict", "name.used", "table.inUse"),
        etag=True,
        tagged=True,
        body=wire.CustomChangeRequest,
        lenient=True,
        body_example=examples.CHANGE,
        answer=wire.CustomTableV5,
        answer_example=examples.CHANGED,
    ),
    Call(
        id="customStructure.v5.delete",
        method="DELETE",
        path=_V5 + "/{t}",
        category=_CATEGORY,
        module=_MODULE,
        summary="Delete a custom table",
        description="The table and its records are erased.",
        handler=delete,
        parameters=(ENTITY, CUSTOM_TABLE),
        statuses={204: "The table is deleted."},
        conflicts=("table.inUse",),
        etag=True,
    ),
)
