"""The database role that reads a licence's tables: itself, and the schemas of views that it may use.

A licence has one such role or none, and a schema of views per entity, named `licence/entity`; the views themselves are the
features' that have tables. The role reads those views and nothing else: it has no right on a table, and owns nothing.
"""

from datetime import datetime

from psycopg import errors

from tabellion.features.licences import analyst_store as store
from tabellion.features.licences.admin import get_licence, list_entities
from tabellion.features.licences.errors import AdminError
from tabellion.platform import audit
from tabellion.platform.database.connection import Database


async def views_schema_of(db: Database, entity_id: int) -> str | None:
    """The schema of an entity's views, made when it is missing; None: the licence has no analysts."""
    found = await store.analysts(db, entity_id)
    if found is None:
        return None
    licence, entity, role = found
    schema = store.views_schema(licence, entity, entity_id)
    await store.make_schema(db, schema, role)
    return schema


async def give_analysts_access(db: Database, admin: Database, name: str, password: str, now: datetime) -> str:
    """Make the role of a licence's analysts, or give it a new password; returns the role. Views are for the caller to make.

    `admin` is a connection that may make roles. Raises `AdminError`.
    """
    licence = await get_licence(db, name)
    role = f"{db.info.dbname}_analyst_{licence.id}"
    schemas = [store.views_schema(licence.name, entity.name, entity.id) for entity in await list_entities(db, name)]
    try:
        async with admin.transaction():
            await store.make_role(admin, role, password, schemas)
    except errors.InsufficientPrivilege:
        raise AdminError(
            f"the role '{db.info.user}' may not make roles in this database; let an administrator of the database run "
            f'ALTER ROLE "{db.info.user}" CREATEROLE, and repeat'
        ) from None
    async with db.transaction():
        await store.set_analyst_role(db, licence.id, role)
        for schema in schemas:
            await store.make_schema(db, schema, role)
        await audit.record_admin(db, licence.id, "licence analyst", f"licence/{licence.id}", now)
    return role


async def end_analysts_access(db: Database, admin: Database, name: str, now: datetime) -> None:
    """Drop the views and the role of a licence's analysts, ending their connections; nothing where there are none.

    Raises `AdminError`.
    """
    licence = await get_licence(db, name)
    async with db.transaction():
        role = await store.analyst_role(db, licence.id)
        if role is None:
            return
        for entity in await list_entities(db, name):
            await store.drop_schema(db, store.views_schema(licence.name, entity.name, entity.id))
        await store.set_analyst_role(db, licence.id, None)
        await audit.record_admin(db, licence.id, "licence analyst --off", f"licence/{licence.id}", now)
    await store.drop_role(admin, role)
