"""The calls of ETLs that are kept, v5."""

from tabellion.features.bulk.documents import Id
from tabellion.features.bulk.etls import examples, service, wire
from tabellion.features.tables import ENTITY
from tabellion.platform.http.call import Answer, Call, Incoming, Parameter

CATEGORY, MODULE = "mass-imports", "bulk"
_ETLS = "/v5/entities/{e}/etls"
ETL, ETL_ID = _ETLS + "/{i}", Parameter("i", "id of the ETL", "12")


async def list_etls(call: Incoming) -> Answer:
    """The ETLs of an entity."""
    return Answer(200, wire.EtlsOut([wire.etl_brief(etl) for etl in await service.list_etls(call)]))


async def create(call: Incoming) -> Answer:
    """Keep an ETL."""
    number = await service.create(call, *wire.read_new(call.body))
    return Answer(201, Id(str(number)), location=f"/v5/entities/{call.path['e']}/etls/{number}")


async def get(call: Incoming) -> Answer:
    """One ETL."""
    return Answer(200, wire.etl_out(await service.get(call)))


async def replace(call: Incoming) -> Answer:
    """Put another one in an ETL's place."""
    return Answer(200, wire.etl_out(await service.change(call, lambda before: wire.read_new(call.body, before.id))))


async def change(call: Incoming) -> Answer:
    """Change an ETL."""
    if call.body == wire.EtlPatch():
        call.refuse_ignored(wire.EtlOut, "the ETL stays as it is")
    return Answer(200, wire.etl_out(await service.change(call, lambda before: wire.read_changed(before, call.body))))


async def delete(call: Incoming) -> Answer:
    """Delete an ETL."""
    await service.delete(call)
    return Answer(204)


CALLS = (
    Call(
        id="etls.v5.list",
        method="GET",
        path=_ETLS,
        category=CATEGORY,
        module=MODULE,
        summary="List the ETLs of an entity",
        handler=list_etls,
        parameters=(ENTITY,),
        statuses={200: "The ETLs, by name."},
        answer=wire.EtlsOut,
        answer_example={"etls": [{"id": "12", "name": "guests-daily", "isActive": True}]},
    ),
    Call(
        id="etls.v5.create",
        method="POST",
        path=_ETLS,
        category=CATEGORY,
        module=MODULE,
        summary="Keep an ETL",
        description="All that is wrong with the definition is told at once. `report`: who gets a mail at the end.",
        handler=create,
        parameters=(ENTITY,),
        statuses={201: "The ETL was created."},
        conflicts=("name.used",),
        body=wire.EtlIn,
        lenient=True,
        echoed=wire.EtlOut,
        body_example=examples.ETL_IN,
        answer=Id,
        answer_example={"id": "12"},
    ),
    Call(
        id="etls.v5.get",
        method="GET",
        path=ETL,
        category=CATEGORY,
        module=MODULE,
        summary="Read an ETL",
        handler=get,
        parameters=(ENTITY, ETL_ID),
        statuses={200: "The ETL."},
        answer=wire.EtlOut,
        answer_example=examples.ETL_OUT,
    ),
    Call(
        id="etls.v5.replace",
        method="PUT",
        path=ETL,
        category=CATEGORY,
        module=MODULE,
        summary="Put another definition in an ETL's place",
        handler=replace,
        parameters=(ENTITY, ETL_ID),
        statuses={200: "The ETL as it is now."},
        conflicts=("name.used",),
        body=wire.EtlIn,
        lenient=True,
        echoed=wire.EtlOut,
        body_example=examples.ETL_IN,
        answer=wire.EtlOut,
        answer_example=examples.ETL_OUT,
    ),
    Call(
        id="etls.v5.change",
        method="PATCH",
        path=ETL,
        category=CATEGORY,
        module=MODULE,
        summary="Change an ETL",
        description="Only what is sent changes; each member is replaced as a whole.",
        handler=change,
        parameters=(ENTITY, ETL_ID),
        statuses={200: "The ETL as it is now."},
        conflicts=("name.used",),
        body=wire.EtlPatch,
        lenient=True,
        body_example={"isActive": False},
        answer=wire.EtlOut,
        answer_example={**examples.ETL_OUT, "isActive": False},
    ),
    Call(
        id="etls.v5.delete",
        method="DELETE",
        path=ETL,
        category=CATEGORY,
        module=MODULE,
        summary="Delete an ETL",
        description="Its executions stay; those that run go on.",
        handler=delete,
        parameters=(ENTITY, ETL_ID),
        statuses={204: "The ETL is deleted."},
    ),
)
