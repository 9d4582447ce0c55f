"""The SQL of custom actions."""

from datetime import datetime
from typing import Any

import msgspec
from psycopg.types.json import Jsonb

from tabellion.features.actions.model import CustomAction, Parameter
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar

_SELECT = (
    "SELECT id, name, display_name, description, target_url, is_active, parameters "
    "FROM tabellion.custom_action WHERE licence_id = %s AND entity_id = %s "
)


async def listed(db: Database, licence_id: int, entity_id: int) -> list[CustomAction]:
    """The actions of an entity, by name."""
    cursor = await db.execute(_SELECT + "ORDER BY tabellion.folded(name)", (licence_id, entity_id))
    return [_action(row) for row in await cursor.fetchall()]


async def by_id(db: Database, licence_id: int, entity_id: int, action_id: int, *, lock: bool = False) -> CustomAction | None:
    """One action; `lock` keeps its row for the transaction."""
    query = _SELECT + ("AND id = %s FOR UPDATE" if lock else "AND id = %s")
    row = await (await db.execute(query, (licence_id, entity_id, action_id))).fetchone()
    return None if row is None else _action(row)


async def by_name(db: Database, licence_id: int, entity_id: int, name: str) -> CustomAction | None:
    """One action by its name, whatever the case."""
    query = _SELECT + "AND tabellion.folded(name) = tabellion.folded(%s)"
    row = await (await db.execute(query, (licence_id, entity_id, name))).fetchone()
    return None if row is None else _action(row)


async def insert(db: Database, licence_id: int, entity_id: int, action: CustomAction, now: datetime) -> int | None:
    """Enter an action; None when the name is used."""
    return await scalar(
        db,
        "INSERT INTO tabellion.custom_action (licence_id, entity_id, name, display_name, description, target_url, "
        "is_active, parameters, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) "
        "ON CONFLICT (entity_id, tabellion.folded(name)) DO NOTHING RETURNING id",
        (licence_id, entity_id, *_values(action), now),
    )


async def update(db: Database, action: CustomAction) -> None:
    """Write an action back. Raises UniqueViolation when the name is used."""
    await db.execute(
        "UPDATE tabellion.custom_action SET name = %s, display_name = %s, description = %s, target_url = %s, "
        "is_active = %s, parameters = %s WHERE id = %s",
        (*_values(action), action.id),
    )


async def delete(db: Database, licence_id: int, entity_id: int, action_id: int) -> bool:
    """Delete an action; whether there was one."""
    query = "DELETE FROM tabellion.custom_action WHERE licence_id = %s AND entity_id = %s AND id = %s"
    return (await db.execute(query, (licence_id, entity_id, action_id))).rowcount == 1


def _values(action: CustomAction) -> tuple[Any, ...]:
    parameters = Jsonb(msgspec.to_builtins(action.parameters))
    return (action.name, action.display_name, action.description, action.target_url, action.is_active, parameters)


def _action(row: tuple[Any, ...]) -> CustomAction:
    return CustomAction(*row[:6], parameters=msgspec.convert(row[6], tuple[Parameter, ...]))
