"""The structure calls: v4 reads, v5 reads, creates, changes and deletes (contract, section 10)."""

from typing import Any

from tabellion.features.tables import service, wire
from tabellion.features.tables.parameters import ENTITY, TABLE
from tabellion.platform.http.call import Answer, Call, Incoming

_V4 = "/v4/entity/{e}/table"
_V5 = "/v5/entities/{e}/profile-tables"
_CATEGORY, _MODULE = "profile-table-structure", "structure"


async def list_v4(call: Incoming) -> Answer:
    """The profile tables of an entity."""
    names = [wire.TableName(str(table.id), table.name) for table in await service.list_tables(call)]
    return Answer(200, wire.TableNamesV4(names))


async def get_v4(call: Incoming) -> Answer:
    """The structure of a table."""
    table = await service.find_table(call, call.path["e"], call.path["t"])
    return Answer(200, wire.table_v4(table), etag=service.etag(table))


async def list_v5(call: Incoming) -> Answer:
    """The profile tables of an entity."""
    names = [wire.TableName(str(table.id), table.name) for table in await service.list_tables(call)]
    return Answer(200, wire.TablesV5(names))


async def get_v5(call: Incoming) -> Answer:
    """The structure of a table."""
    table = await service.find_table(call, call.path["e"], call.path["t"])
    return Answer(200, wire.table_v5(table), etag=service.etag(table))


async def create(call: Incoming) -> Answer:
    """Make a table."""
    body: wire.TableIn = call.body
    table = await service.create(call, lambda plan: wire.fill_table(plan, body), body.name)
    location = f"/v5/entities/{call.path['e']}/profile-tables/{table.id}"
    return Answer(201, wire.TableId(str(table.id)), location=location)


async def change(call: Incoming) -> Answer:
    """Change a table's structure."""
    body: wire.ChangeRequest = call.body
    table = await service.change(call, lambda plan: wire.fill_changes(plan, body))
    return Answer(200, wire.table_v5(table), etag=service.etag(table))


async def delete(call: Incoming) -> Answer:
    """Delete a table."""
    await service.delete(call)
    return Answer(204)


_NAMES = [{"id": "31", "name": "Guests"}]
_SEGMENTATIONS = [
    {"name": "Vip", "type": "SIMPLE"},
    {"name": "Loyalty", "type": "EXCLUSIVE", "categories": ["Silver", "Gold"]},
]
_STRUCTURE_V4: dict[str, Any] = {
    "id": "31",
    "name": "Guests",
    "attributes": {
        "emailAddress": {"valueType": "EmailAddress", "mandatory": True, "unique": True, "multiValued": False},
        "lastName": {"valueType": "String", "mandatory": True, "unique": False, "multiValued": False},
        "interests": {
            "valueType": "String",
            "mandatory": False,
            "unique": False,
            "multiValued": True,
            "valueRestriction": {"acceptedValues": ["SPA", "GOLF"]},
        },
    },
    "subscriptions": [{"name": "Newsletter", "displayName": "Newsletter"}],
    "segmentations": _SEGMENTATIONS,
}
_CREATE: dict[str, Any] = {
    "name": "Guests",
    "attributes": [
        {"type": "EMAIL_ADDRESS", "name": "emailAddress"},
        {"type": "LASTNAME", "name": "lastName", "mandatory": True},
        {
            "type": "CUSTOM",
            "name": "interests",
            "valueType": "STRING",
            "multiValued": True,
            "valueRestriction": {"acceptedValues": ["SPA", "GOLF"]},
        },
    ],
    "subscriptions": [{"name": "Newsletter"}],
    "segmentations": _SEGMENTATIONS,
}
_STRUCTURE_V5: dict[str, Any] = {
    "id": "31",
    "name": "Guests",
    "attributes": [
        {
            "type": "CUSTOM",
            "name": "profileId",
            "unique": True,
            "mandatory": True,
            "valueType": "INTEGER",
            "multiValued": False,
        },
        {"type": "EMAIL_ADDRESS", "name": "emailAddress", "unique": True, "mandatory": True},
        {"type": "LASTNAME", "name": "lastName", "unique": False, "mandatory": True},
        {
            "type": "CUSTOM",
            "name": "interests",
            "unique": False,
            "mandatory": False,
            "valueType": "STRING",
            "multiValued": True,
            "valueRestriction": {"acceptedValues": ["SPA", "GOLF"]},
        },
    ],
    "subscriptions": [{"name": "Newsletter", "displayName": "Newsletter", "description": None}],
    "segmentations": _SEGMENTATIONS,
    "displayOptions": None,
    "layout": None,
}
_CHANGE: dict[str, Any] = {
    "operations": [
        {
            "operation": "addAttribute",
            "attribute": {"type": "CUSTOM", "name": "roomType", "valueType": "STRING"},
        },
        {
            "operation": "updateAttribute",
            "name": "roomType",
            "changes": {"valueRestriction": {"acceptedValues": ["SEA", "GARDEN"]}},
        },
        {"operation": "addSubscription", "subscription": {"name": "Events"}},
    ]
}

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
        answer_example={"profileTableNames": _NAMES},
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
        answer_example=_STRUCTURE_V4,
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
        answer_example={"profileTables": _NAMES},
    ),
    Call(
        id="structure.v5.create",
        method="POST",
        path=_V5,
        category=_CATEGORY,
        module=_MODULE,
        summary="Create a profile table",
        description=(
            "`name` and `attributes` are mandatory. An EMAIL_ADDRESS is mandatory and unique unless said otherwise."
        ),
        handler=create,
        parameters=(ENTITY,),
        statuses={201: "The table was created."},
        conflicts=("name.used",),
        body=wire.TableIn,
        body_example=_CREATE,
        answer=wire.TableId,
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
        answer_example=_STRUCTURE_V5,
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
            "removeSubscription, addSegmentation, updateSegmentation, removeSegmentation, rename."
        ),
        handler=change,
        parameters=(ENTITY, TABLE),
        statuses={200: "The new structure."},
        conflicts=("structure.dataConflict", "name.used"),
        etag=True,
        body=wire.ChangeRequest,
        body_example=_CHANGE,
        answer=wire.TableV5,
        answer_example=_STRUCTURE_V5,
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
