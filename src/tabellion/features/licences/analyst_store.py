"""SQL of the role that reads a licence's views: the role, the schemas, and which licences have one."""

from typing import LiteralString

from psycopg import errors, sql

from tabellion.platform.database.connection import Database
from tabellion.platform.database.names import identifier
from tabellion.platform.database.scalars import scalar

# A question is cut short before it holds up a change of structure for long, or fills the disk with a sort.
_SETTINGS: tuple[tuple[LiteralString, str], ...] = (
    ("default_transaction_read_only", "on"),
    ("statement_timeout", "10min"),
    ("idle_in_transaction_session_timeout", "1min"),
    ("temp_file_limit", "10GB"),
)
_MAX_CONNECTIONS = 10


def views_schema(licence: str, entity: str, entity_id: int) -> str:
    """The schema of an entity's views. Neither name has a slash in it, so no two entities share one."""
    return identifier(f"{licence}/{entity}", str(entity_id))


async def analysts(db: Database, entity_id: int) -> tuple[str, str, str] | None:
    """Licence, entity and the role of the licence's analysts; None: it has none."""
    query = (
        "SELECT l.name, e.name, l.analyst_role FROM tabellion.entity e JOIN tabellion.licence l ON l.id = e.licence_id "
        "WHERE e.id = %s AND l.analyst_role IS NOT NULL"
    )
    row = await (await db.execute(query, (entity_id,))).fetchone()
    return None if row is None else (row[0], row[1], row[2])


async def analyst_role(db: Database, licence_id: int) -> str | None:
    """The role of a licence's analysts, if it has any."""
    return await scalar(db, "SELECT analyst_role FROM tabellion.licence WHERE id = %s", (licence_id,))


async def set_analyst_role(db: Database, licence_id: int, role: str | None) -> None:
    """Say which role the licence's analysts have."""
    await db.execute("UPDATE tabellion.licence SET analyst_role = %s WHERE id = %s", (role, licence_id))


async def make_role(admin: Database, role: str, password: str, schemas: list[str]) -> None:
    """Make the role, or give it another password. Raises InsufficientPrivilege."""
    name = sql.Identifier(role)
    verb = sql.SQL("ALTER" if await _has_role(admin, role) else "CREATE")
    # Hashed here: the password itself would stand in the log of a server that logs such statements.
    secret = admin.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    options = sql.SQL("{} ROLE {} LOGIN NOINHERIT CONNECTION LIMIT {} PASSWORD {}")
    await admin.execute(options.format(verb, name, sql.Literal(_MAX_CONNECTIONS), sql.Literal(secret)))
    for setting, value in _SETTINGS:
        # Only a superuser sets the limit of temporary files; without it the disk's operator has to watch.
        statement = sql.SQL("ALTER ROLE {} SET {} = {}").format(name, sql.SQL(setting), sql.Literal(value))
        try:
            async with admin.transaction():
                await admin.execute(statement)
        except errors.InsufficientPrivilege:
            if setting != "temp_file_limit":
                raise
    path = sql.SQL(", ").join(map(sql.Identifier, schemas or ["pg_catalog"]))
    await admin.execute(sql.SQL("ALTER ROLE {} SET search_path = {}").format(name, path))


async def _has_role(db: Database, role: str) -> bool:
    """Whether there is such a role. Roles are the cluster's: a dump that was restored into another one held none."""
    return await (await db.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,))).fetchone() is not None


async def make_schema(db: Database, schema: str, role: str) -> None:
    """Make a schema of views that the role reads, once there is the role."""
    name, reader = sql.Identifier(schema), sql.Identifier(role)
    await db.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
    if not await _has_role(db, role):
        return
    await db.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(name, reader))
    # Whatever view comes into the schema later, the role reads it.
    await db.execute(sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA {} GRANT SELECT ON TABLES TO {}").format(name, reader))


async def drop_schema(db: Database, schema: str) -> None:
    """Drop a schema of views."""
    await db.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


async def drop_role(admin: Database, role: str) -> None:
    """End the role's connections and drop it, if there is one."""
    if not await _has_role(admin, role):
        return
    name = sql.Identifier(role)
    await admin.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(name))
    # Who may make roles may not end their connections unless they are members.
    await admin.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(name))
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (role,))
    await admin.execute(sql.SQL("DROP ROLE {}").format(name))
