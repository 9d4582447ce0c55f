"""The structure calls: v4 reads, v5 reads, creates, changes and deletes."""

from tabellion.features.tables import examples, filling, service, wire
from tabellion.features.tables.parameters import ENTITY, TABLE
from tabellion.platform.http.call import Answer, Call, Incoming

_V4 = "/v4/entity/{e}/table"
_V5 = "/v5/entities/{e}/profile-tables"
_CATEGORY, _MODULE = "profile-table-structure", "structure"


async def list_v4(call: Incoming) -> Answer:
    """The profile tables of an entity."""
    names = [wire.TableName(str(table.id), table.name) for table in await service.profile_tables.listed(call)]
    return Answer(200, wire.TableNamesV4(names))


async def get_v4(call: Incoming) -> Answer:
    """The structure of a table."""
    table = await service.find_table(call, call.path["e"], call.path["t"])
    return Answer(200, wire.table_v4(table), etag=service.structure_etag(table))


async def list_v5(call: Incoming) -> Answer:
    """The profile tables of an entity."""
    names = [wire.TableName(str(table.id), table.name) for table in await service.profile_tables.listed(call)]
    return Answer(200, wire.TablesV5(names))


async def get_v5(call: Incoming) -> Answer:
    """The structure of a table."""
    table = await service.find_table(call, call.path["e"], call.path["t"])
    return Answer(200, wire.table_v5(table), etag=service.structure_etag(table))


async def create(call: Incoming) -> Answer:
    """Make a table."""
    body: wire.TableIn = call.body
    table = await service.profile_tables.create(call, lambda plan: filling.fill_table(plan, body), body.name)
    location = f"/v5/entities/{call.path['e']}/profile-tables/{table.id}"
    return Answer(201, wire.TableId(str(table.id)), location=location)


async def change(call: Incoming) -> Answer:
    """Change a table's structure."""
    body: wire.ChangeRequest = call.body
    table = await service.profile_tables.change(call, lambda plan: filling.fill_changes(plan, body))
    return Answer(200, wire.table_v5(table), etag=service.structure_etag(table))


async def delete(call: Incoming) -> Answer:
    """Delete a table."""
    await service.profile_tables.delete(call)
    return Answer(204)


CALLS = (
    Call(
        id="structure.v4.list",
        method="GET",
        path=_V4,
        category=_CATEGORY,
        module=_MODULE,
        summary="List the profile tables of an entity",
        handler=list_v4,
        parameters=(ENTITY,),
        statuses={200: "Names and ids, by name."},
        answer=wire.TableNamesV4,
        answer_root="profileTableNames",
        answer_example={"profileTableNames": examples.NAMES},
    ),
    Call(
        id="structure.v4.get",
        method="GET",
        path=_V4 + "/{t}",
        category=_CATEGORY,
        module=_MODULE,
        summary="Read the structure of a profile table",
        description="Attributes are a map by name. The technical attributes that every table has are left out.",
        handler=get_v4,
        parameters=(ENTITY, TABLE),
        statuses={200: "The structure."},
        etag=True,
        answer=wire.TableV4,
        answer_root="profileTable",
        answer_example=examples.STRUCTURE_V4,
    ),
    Call(
        id="structure.v5.list",
        method="GET",
        path=_V5,
        category=_CATEGORY,
        module=_MODULE,
        summary="List the profile tables of an entity",
        handler=list_v5,
        parameters=(ENTITY,),
        statuses={200: "Names and ids, by name."},
        answer=wire.TablesV5,
        answer_example={"profileTables": examples.NAMES},
    ),
    Call(
        id="structure.v5.create",
        method="POST",
        path=_V5,
        category=_CATEGORY,
        module=_MODULE,
        summary="Create a profile table",
        description=(
            "`name` and `attributes` are mandatory. An EMAIL_ADDRESS is mandatory and unique unless said otherwise. "
            "A structure can be sent as it was read: its id and its technical attributes are ignored."
        ),
        handler=create,
        parameters=(ENTITY,),
        statuses={201: "The table was created."},
        conflicts=("name.used",),
        body=wire.TableIn,
        lenient=True,
        body_example=examples.CREATE,
        answer=wire.TableId,
        echoed=wire.TableV5,
        answer_example={"id": "31"},
    ),
    Call(
        id="structure.v5.get",
        method="GET",
        path=_V5 + "/{t}",
        category=_CATEGORY,
        module=_MODULE,
        summary="Read the structure of a profile table",
        description="Every attribute, the technical ones first.",
        handler=get_v5,
        parameters=(ENTITY, TABLE),
        statuses={200: "The structure."},
        etag=True,
        answer=wire.TableV5,
        answer_example=examples.STRUCTURE_V5,
    ),
    Call(
        id="structure.v5.change",
        method="POST",
        path=_V5 + "/{t}/change-requests",
        category=_CATEGORY,
        module=_MODULE,
        summary="Change the structure of a profile table",
        description=(
            "Operations run in order, all or none: addAttribute, updateAttribute, removeAttribute, addSubscription, "
            "removeSubscription, addSegmentation, updateSegmentation, removeSegmentation, rename. What a campaign that was "
            "launched needs is not removed."
        ),
        handler=change,
        parameters=(ENTITY, TABLE),
        statuses={200: "The new structure."},
        conflicts=("structure.dataConflict", "name.used", "table.inUse"),
        etag=True,
        tagged=True,
        body=wire.ChangeRequest,
        lenient=True,
        body_example=examples.CHANGE,
        answer=wire.TableV5,
        answer_example=examples.CHANGED,
    ),
    Call(
        id="structure.v5.delete",
        method="DELETE",
        path=_V5 + "/{t}",
        category=_CATEGORY,
        module=_MODULE,
        summary="Delete a profile table",
        description="The table, its profiles and the history of their consent are erased.",
        handler=delete,
        parameters=(ENTITY, TABLE),
        statuses={204: "The table is deleted."},
        conflicts=("table.inUse",),
        etag=True,
    ),
)
