"""The calls of custom actions."""

from typing import Any

from tabellion.features.actions import service, wire
from tabellion.features.tables import ENTITY
from tabellion.platform.http.call import Answer, Call, Incoming, Parameter

_PATH = "/v5/entities/{e}/custom-actions"
_ONE = _PATH + "/{id}"
_CATEGORY, _MODULE = "scenarios", "campaigns"
_ID = Parameter("id", "id of the custom action", "4")


async def list_all(call: Incoming) -> Answer:
    """The custom actions of an entity."""
    return Answer(200, wire.ActionsOut([wire.action_out(a) for a in await service.list_actions(call)]))


async def create(call: Incoming) -> Answer:
    """Make a custom action."""
    action_id = await service.create(call, wire.read_new(call.body))
    return Answer(201, wire.ActionId(str(action_id)), location=f"/v5/entities/{call.path['e']}/custom-actions/{action_id}")


async def get(call: Incoming) -> Answer:
    """One custom action."""
    return Answer(200, wire.action_out(await service.get(call)))


async def change(call: Incoming) -> Answer:
    """Change a custom action."""
    if call.body == wire.ActionPatch():
        call.refuse_ignored(wire.ActionOut, "the action stays as it is")
    return Answer(200, wire.action_out(await service.change(call, wire.read_changes(call.body))))


async def delete(call: Incoming) -> Answer:
    """Delete a custom action."""
    await service.delete(call)
    return Answer(204)


_IN: dict[str, Any] = {
    "name": "print-voucher",
    "displayName": "Print a voucher",
    "parameters": [{"name": "amount", "valueType": "NUMBER", "mandatory": True}],
}
_OUT: dict[str, Any] = {**_IN, "id": "4", "description": None, "targetUrl": None, "isActive": True}

CALLS = (
    Call(
        id="customActions.v5.list",
        method="GET",
        path=_PATH,
        category=_CATEGORY,
        module=_MODULE,
        summary="List the custom actions of an entity",
        handler=list_all,
        parameters=(ENTITY,),
        statuses={200: "The custom actions, by name."},
        answer=wire.ActionsOut,
        answer_example={"customActions": [_OUT]},
    ),
    Call(
        id="customActions.v5.create",
        method="POST",
        path=_PATH,
        category=_CATEGORY,
        module=_MODULE,
        summary="Create a custom action",
        description="Only `name` is mandatory. A target follows the rules of webhook targets.",
        handler=create,
        parameters=(ENTITY,),
        statuses={201: "The custom action was created."},
        conflicts=("name.used",),
        body=wire.ActionIn,
        lenient=True,
        echoed=wire.ActionOut,
        body_example=_IN,
        answer=wire.ActionId,
        answer_example={"id": "4"},
    ),
    Call(
        id="customActions.v5.get",
        method="GET",
        path=_ONE,
        category=_CATEGORY,
        module=_MODULE,
        summary="Read a custom action",
        handler=get,
        parameters=(ENTITY, _ID),
        statuses={200: "The custom action."},
        answer=wire.ActionOut,
        answer_example=_OUT,
    ),
    Call(
        id="customActions.v5.change",
        method="PATCH",
        path=_ONE,
        category=_CATEGORY,
        module=_MODULE,
        summary="Change a custom action",
        description="Only what is sent changes; `parameters` are replaced as a whole.",
        handler=change,
        parameters=(ENTITY, _ID),
        statuses={200: "The custom action as it is now."},
        conflicts=("name.used",),
        body=wire.ActionPatch,
        lenient=True,
        body_example={"isActive": False},
        answer=wire.ActionOut,
        answer_example={**_OUT, "isActive": False},
    ),
    Call(
        id="customActions.v5.delete",
        method="DELETE",
        path=_ONE,
        category=_CATEGORY,
        module=_MODULE,
        summary="Delete a custom action",
        handler=delete,
        parameters=(ENTITY, _ID),
        statuses={204: "The custom action is deleted."},
    ),
)
