"""The use cases of custom actions."""

from typing import Any

from psycopg import errors

from tabellion.features.actions import store
from tabellion.features.actions.errors import ActionNameUsed, ActionUnknown
from tabellion.features.actions.model import CustomAction, changed
from tabellion.features.licences import entity_of, resolve_entity
from tabellion.kit.digits import INTEGER, number_of
from tabellion.platform import audit
from tabellion.platform.http.call import Incoming


async def list_actions(call: Incoming) -> list[CustomAction]:
    """The actions of the entity of the path, by name."""
    entity = entity_of(call)
    return await store.listed(call.db, call.caller.licence_id, entity.id)


async def find_action(call: Incoming, entity: str, reference: str) -> CustomAction | None:
    """The action of an id or a name; None when there is none."""
    found = resolve_entity(call.caller, entity)
    number = number_of(reference, INTEGER)
    if number is not None:
        action = await store.by_id(call.db, call.caller.licence_id, found.id, number)
        if action is not None:
            return action
    return await store.by_name(call.db, call.caller.licence_id, found.id, reference)


async def get(call: Incoming, *, lock: bool = False) -> CustomAction:
    """The action of the path. Raises `ActionUnknown`."""
    entity = entity_of(call)
    number = number_of(call.path["id"], INTEGER)
    found = None if number is None else await store.by_id(call.db, call.caller.licence_id, entity.id, number, lock=lock)
    if found is None:
        raise _unknown(call)
    return found


async def create(call: Incoming, action: CustomAction) -> int:
    """Make an action; its id. Raises `ActionNameUsed`."""
    entity = entity_of(call)
    async with call.db.transaction():
        action_id = await store.insert(call.db, call.caller.licence_id, entity.id, action, call.now)
        if action_id is None:
            raise _name_used(entity.name, action.name)
        await audit.record(call.db, call, f"custom-action/{action_id}")
    return action_id


async def change(call: Incoming, changes: dict[str, Any]) -> CustomAction:
    """Change some members of the action of the path. Raises `ActionUnknown`, `ActionNameUsed`."""
    async with call.db.transaction():
        before = await get(call, lock=True)
        after = changed(before, changes)
        if after != before:
            try:
                async with call.db.transaction():
                    await store.update(call.db, after)
            except errors.UniqueViolation:
                raise _name_used(call.path["e"], after.name) from None
            await audit.record(call.db, call, f"custom-action/{after.id}")
    return after


async def delete(call: Incoming) -> None:
    """Delete the action of the path. Raises `ActionUnknown`."""
    entity = entity_of(call)
    number = number_of(call.path["id"], INTEGER)
    async with call.db.transaction():
        if number is None or not await store.delete(call.db, call.caller.licence_id, entity.id, number):
            raise _unknown(call)
        await audit.record(call.db, call, f"custom-action/{number}")


def _unknown(call: Incoming) -> ActionUnknown:
    return ActionUnknown(f"the entity '{call.path['e']}' has no custom action '{call.path['id']}'")


def _name_used(entity: str, name: str) -> ActionNameUsed:
    return ActionNameUsed(f"the entity '{entity}' has a custom action '{name}' already")
