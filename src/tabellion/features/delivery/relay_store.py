"""The SQL of relays, and of the senders that mails are from."""

from typing import Any, NamedTuple

from tabellion.kit.domain import domain_name
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar, scalars
from tabellion.platform.mail import Relay, relayed_form


class StoredSender(NamedTuple):
    """Who sends for an entity; the domains are as the DNS has them.

    `dkim_key` is sealed, and empty where nothing signs. `reply_to` empty: answers go to the address. `bounce_domain` empty:
    the entity has none of its own.
    """

    name: str = ""
    address: str = ""
    dkim_domain: str = ""
    dkim_selector: str = ""
    dkim_key: str = ""
    reply_to: str = ""
    bounce_domain: str = ""


async def relays(db: Database, licence_id: int) -> list[tuple[Any, ...]]:
    """Id, host, port, security, login, sealed password, weight, connections."""
    query = (
        "SELECT id, host, port, security, login, password, weight, connections FROM tabellion.relay "
        "WHERE licence_id = %s ORDER BY id"
    )
    return await (await db.execute(query, (licence_id,))).fetchall()


async def licences_with_relays(db: Database) -> list[tuple[int, str]]:
    """Id and name of each licence that has a relay."""
    query = "SELECT id, name FROM tabellion.licence WHERE id IN (SELECT licence_id FROM tabellion.relay) ORDER BY name"
    return await (await db.execute(query)).fetchall()  # pyright: ignore[reportReturnType] - as the columns are


async def sender_of(db: Database, entity_id: int) -> StoredSender | None:
    """Who sends for an entity; None: nobody was named."""
    query = """
SELECT name, address, dkim_domain, dkim_selector, dkim_key, reply_to, bounce_domain
FROM tabellion.sender WHERE entity_id = %s
"""
    row = await (await db.execute(query, (entity_id,))).fetchone()
    if row is None:
        return None
    found = StoredSender(*row)
    return found._replace(
        address=relayed_form(found.address),
        dkim_domain=domain_name(found.dkim_domain),
        reply_to=relayed_form(found.reply_to),
    )


async def insert_relay(db: Database, licence_id: int, relay: Relay, weight: int) -> int:
    """Enter a relay without its password; its id."""
    query = """
INSERT INTO tabellion.relay (licence_id, host, port, security, login, weight, connections)
VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id
"""
    values = (licence_id, relay.host, relay.port, relay.security, relay.user, weight, relay.connections)
    relay_id = await scalar(db, query, values)
    await db.execute(_RELAYED, (licence_id,))
    return relay_id


async def change_relay(db: Database, relay_id: int, relay: Relay, weight: int) -> None:
    """Change a relay, but not its password."""
    query = "UPDATE tabellion.relay SET security = %s, login = %s, weight = %s, connections = %s WHERE id = %s"
    await db.execute(query, (relay.security, relay.user, weight, relay.connections, relay_id))


async def set_relay_password(db: Database, relay_id: int, sealed: str) -> None:
    """Keep a relay's password; empty: it has none."""
    await db.execute("UPDATE tabellion.relay SET password = %s WHERE id = %s", (sealed, relay_id))


async def delete_relay(db: Database, licence_id: int, relay_id: int) -> bool:
    """Delete a relay; False: there is none."""
    query = "DELETE FROM tabellion.relay WHERE licence_id = %s AND id = %s"
    found = (await db.execute(query, (licence_id, relay_id))).rowcount == 1
    if found:
        await db.execute(_RELAYED, (licence_id,))
    return found


_RELAYED = "INSERT INTO tabellion.relayed (licence_id) VALUES (%s) ON CONFLICT (licence_id) DO NOTHING"


async def relayed(db: Database, licence_id: int) -> str | None:
    """The name of a licence that has or had a relay, so that its mails are meant to leave; None: they go to the outbox."""
    query = "SELECT l.name FROM tabellion.relayed r JOIN tabellion.licence l ON l.id = r.licence_id WHERE l.id = %s"
    return await scalar(db, query, (licence_id,))


async def forget_relayed(db: Database, licence_id: int) -> None:
    """Have the mails of a licence without a relay go to the outbox, as if it had never had one."""
    await db.execute("DELETE FROM tabellion.relayed WHERE licence_id = %s", (licence_id,))


async def licences_that_wait(db: Database) -> list[str]:
    """The names of licences whose mails wait for a relay."""
    query = (
        "SELECT l.name FROM tabellion.relayed d JOIN tabellion.licence l ON l.id = d.licence_id "
        "WHERE NOT EXISTS (SELECT 1 FROM tabellion.relay r WHERE r.licence_id = l.id) ORDER BY l.name"
    )
    return await scalars(db, query)


async def lock_sender(db: Database, entity_id: int) -> None:
    """Keep others from changing the sender of an entity, for the transaction."""
    await db.execute("SELECT 1 FROM tabellion.entity WHERE id = %s FOR NO KEY UPDATE", (entity_id,))


async def set_sender(
    db: Database, entity_id: int, name: str, address: str, dkim: tuple[str, str, str], *, reply_to: str, bounce_domain: str
) -> None:
    """Say who sends for an entity; `dkim` is domain, selector and sealed key. A key that it signed with before is kept."""
    kept = """
INSERT INTO tabellion.sender_key (entity_id, domain, selector, key)
SELECT entity_id, dkim_domain, dkim_selector, dkim_key FROM tabellion.sender WHERE entity_id = %s AND dkim_key <> ''
ON CONFLICT (entity_id, domain, selector) DO NOTHING
"""
    await db.execute(kept, (entity_id,))
    query = """
INSERT INTO tabellion.sender (entity_id, name, address, dkim_domain, dkim_selector, dkim_key, reply_to, bounce_domain)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (entity_id) DO UPDATE SET name = EXCLUDED.name, address = EXCLUDED.address, dkim_domain = EXCLUDED.dkim_domain,
    dkim_selector = EXCLUDED.dkim_selector, dkim_key = EXCLUDED.dkim_key, reply_to = EXCLUDED.reply_to,
    bounce_domain = EXCLUDED.bounce_domain
"""
    await db.execute(query, (entity_id, name, address, *dkim, reply_to, bounce_domain))


async def kept_key(db: Database, entity_id: int, domain: str, selector: str) -> str:
    """The sealed key of a selector that the sender has or had; empty: there was none."""
    query = """
SELECT dkim_domain, dkim_key FROM tabellion.sender WHERE entity_id = %(entity)s AND dkim_selector = %(selector)s
UNION ALL
SELECT domain, key FROM tabellion.sender_key WHERE entity_id = %(entity)s AND selector = %(selector)s
"""
    rows = await (await db.execute(query, {"entity": entity_id, "selector": selector})).fetchall()
    return next((key for of, key in rows if key and domain_name(of) == domain), "")
