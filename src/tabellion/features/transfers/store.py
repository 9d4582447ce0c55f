"""The SQL of file servers and locations."""

from datetime import datetime
from typing import Any

import msgspec
from psycopg.types.json import Jsonb

from tabellion.features.licences import Owner
from tabellion.features.transfers.model import FileServer, Location, Secrets
from tabellion.platform import secrets
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar
from tabellion.platform.secrets.places import Place

_SERVER = "SELECT id, name, definition, secrets, licence_id FROM tabellion.transfer_server WHERE licence_id = %s "
_LOCATION = (
    "SELECT id, name, server_id, path, after_read, move_to FROM tabellion.transfer_location "
    "WHERE licence_id = %s AND entity_id = %s "
)


async def servers(db: Database, owner: Owner) -> list[FileServer]:
    """The servers of an entity, by name."""
    cursor = await db.execute(_SERVER + "AND entity_id = %s ORDER BY tabellion.folded(name)", owner)
    return [_server(row) for row in await cursor.fetchall()]


async def server(db: Database, owner: Owner, number: int, *, lock: bool = False) -> FileServer | None:
    """One server; `lock` keeps its row for the transaction."""
    query = _SERVER + ("AND entity_id = %s AND id = %s FOR UPDATE" if lock else "AND entity_id = %s AND id = %s")
    row = await (await db.execute(query, (*owner, number))).fetchone()
    return None if row is None else _server(row)


async def insert_server(db: Database, owner: Owner, new: FileServer, now: datetime) -> int | None:
    """Enter a server; None when the name is used."""
    return await scalar(
        db,
        "INSERT INTO tabellion.transfer_server (licence_id, entity_id, name, definition, secrets, created_at) "
        "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (entity_id, tabellion.folded(name)) DO NOTHING RETURNING id",
        (*owner, new.name, Jsonb(new.definition), _sealed(new, owner.licence_id), now),
    )


async def update_server(db: Database, owner: Owner, changed: FileServer) -> None:
    """Write a server back. Raises UniqueViolation when the name is used."""
    await db.execute(
        "UPDATE tabellion.transfer_server SET name = %s, definition = %s, secrets = %s WHERE id = %s",
        (changed.name, Jsonb(changed.definition), _sealed(changed, owner.licence_id), changed.id),
    )


async def keep_host_key(db: Database, shown: FileServer, key: str) -> None:
    """Keep the host key that a server has shown, unless it was changed meanwhile, and may be another machine by now."""
    await db.execute(
        "UPDATE tabellion.transfer_server SET definition = jsonb_set(definition, '{hostKey}', to_jsonb(%s::text)) "
        "WHERE id = %s AND definition = %s",
        (key, shown.id, Jsonb(shown.definition)),
    )


async def delete_server(db: Database, owner: Owner, number: int) -> bool:
    """Delete a server; whether there was one. Raises ForeignKeyViolation when a location uses it."""
    query = "DELETE FROM tabellion.transfer_server WHERE licence_id = %s AND entity_id = %s AND id = %s"
    return (await db.execute(query, (*owner, number))).rowcount == 1


async def locations(db: Database, owner: Owner) -> list[Location]:
    """The locations of an entity, by name."""
    cursor = await db.execute(_LOCATION + "ORDER BY tabellion.folded(name)", owner)
    return [Location(*row) for row in await cursor.fetchall()]


async def location(db: Database, owner: Owner, number: int, *, lock: bool = False, keep: bool = False) -> Location | None:
    """One location; `lock` keeps its row for the transaction, `keep` lets others change it, but not delete it."""
    # Who deletes its server holds that and then looks at its locations, while who holds one of those waits for the server.
    query = _LOCATION + "AND id = %s" + (" FOR NO KEY UPDATE" if lock else " FOR KEY SHARE" if keep else "")
    row = await (await db.execute(query, (*owner, number))).fetchone()
    return None if row is None else Location(*row)


async def insert_location(db: Database, owner: Owner, new: Location, now: datetime) -> int | None:
    """Enter a location; None when the name is used. Raises ForeignKeyViolation when its server is gone."""
    return await scalar(
        db,
        "INSERT INTO tabellion.transfer_location "
        "(licence_id, entity_id, name, server_id, path, after_read, move_to, created_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (entity_id, tabellion.folded(name)) DO NOTHING RETURNING id",
        (*owner, new.name, new.server_id, new.path, new.after_read, new.move_to, now),
    )


async def update_location(db: Database, changed: Location) -> None:
    """Write a location back. Raises UniqueViolation when the name is used."""
    await db.execute(
        "UPDATE tabellion.transfer_location SET name = %s, server_id = %s, path = %s, after_read = %s, move_to = %s "
        "WHERE id = %s",
        (changed.name, changed.server_id, changed.path, changed.after_read, changed.move_to, changed.id),
    )


async def delete_location(db: Database, owner: Owner, number: int) -> bool:
    """Delete a location; whether there was one. Raises ForeignKeyViolation when an ETL or export uses it."""
    query = "DELETE FROM tabellion.transfer_location WHERE licence_id = %s AND entity_id = %s AND id = %s"
    return (await db.execute(query, (*owner, number))).rowcount == 1


async def licence_name(db: Database, licence_id: int) -> str:
    """The name of a licence, for its own folder; empty when it is gone."""
    return await scalar(db, "SELECT name FROM tabellion.licence WHERE id = %s", (licence_id,)) or ""


def _server(row: tuple[Any, ...]) -> FileServer:
    number, name, definition, sealed, licence_id = row
    # Those of folders were sealed as well by earlier releases, and say nothing.
    if not sealed or definition["protocol"] == "FOLDER":
        return FileServer(number, name, definition, Secrets())
    try:
        found = msgspec.json.decode(secrets.unseal(sealed, _purpose(licence_id)), type=Secrets)
    except secrets.SecretUnreadable:
        return FileServer(number, name, definition, Secrets(), unreadable=sealed)
    return FileServer(number, name, definition, found)


def _sealed(server: FileServer, licence_id: int) -> str:
    if server.unreadable:
        return server.unreadable
    found = server.secrets
    if found == Secrets():
        return ""
    return secrets.seal(msgspec.json.encode(found).decode(), _purpose(licence_id))


def _purpose(licence_id: int) -> str:
    return f"transfer-server/{licence_id}"


PLACES = (
    Place(
        "of file servers",
        lambda licence_id, _: _purpose(licence_id),
        "SELECT licence_id, id, secrets FROM tabellion.transfer_server "
        "WHERE secrets <> '' AND definition ->> 'protocol' <> 'FOLDER'",
        "UPDATE tabellion.transfer_server SET secrets = %s WHERE licence_id = %s AND id = %s AND secrets = %s",
    ),
)
