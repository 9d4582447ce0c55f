"""What an operator sets up for mails: relays, senders with their signing keys, addresses that get nothing."""

from datetime import datetime
from typing import NamedTuple

from tabellion.features import licences
from tabellion.features.delivery import relay_store, suppression_store
from tabellion.features.delivery.store import Database
from tabellion.features.delivery.suppression import Suppression
from tabellion.features.licences import AdminError
from tabellion.kit.domain import domain_name, is_domain
from tabellion.platform import audit, secrets
from tabellion.platform.mail import Relay, address_of, new_key, one_line, public_record

_MAX_PORT, _MAX_CONNECTIONS, _MAX_WEIGHT = 65535, 100, 1000
_SECURITIES = ("NONE", "STARTTLS", "TLS")
_MAX_SHOWN = 10_000


class RelayRow(NamedTuple):
    """A relay as it is shown."""

    id: int
    host: str
    port: int
    security: str
    login: str
    weight: int
    connections: int


class SenderRow(NamedTuple):
    """Who sends for an entity, and the DNS record of the signing key (empty: mails are not signed).

    `bounce_domain`: of the return paths; empty: the server's.
    """

    entity: str
    name: str
    address: str
    record_name: str
    record: str
    bounce_domain: str


async def add_relay(db: Database, licence_name: str, relay: Relay, weight: int, now: datetime) -> list[RelayRow]:
    """Give a licence a relay, or change the one of the same host and port. Raises `AdminError`."""
    if relay.security not in _SECURITIES:
        raise AdminError(f"the security is one of {', '.join(_SECURITIES)}")
    if not 1 <= relay.port <= _MAX_PORT:
        raise AdminError("the port is a number from 1 to 65535")
    if not 1 <= relay.connections <= _MAX_CONNECTIONS or not 1 <= weight <= _MAX_WEIGHT:
        raise AdminError(f"connections are 1 to {_MAX_CONNECTIONS}, the weight 1 to {_MAX_WEIGHT}")
    if not relay.host or not one_line(relay.host) or " " in relay.host:
        raise AdminError("the host is a name or an address")
    if relay.shows_password:
        raise AdminError("a password does not leave without TLS; set --security STARTTLS or TLS, or leave out --login")
    found = await licences.get_licence(db, licence_name)
    async with db.transaction():
        number = await relay_store.insert_relay(db, found.id, relay, weight)
        if relay.password:
            await relay_store.set_relay_password(db, number, secrets.seal(relay.password, f"relay {number:d}"))
        await audit.record_admin(db, found.id, "relay add", f"relay/{number}", now)
    return await list_relays(db, licence_name)


async def list_relays(db: Database, licence_name: str) -> list[RelayRow]:
    """The relays of a licence."""
    found = await licences.get_licence(db, licence_name)
    return [RelayRow(*row[:5], *row[6:]) for row in await relay_store.relays(db, found.id)]


async def remove_relay(db: Database, licence_name: str, number: int, now: datetime) -> None:
    """Take a relay away; with the last one, mails go to the outbox. Raises `AdminError`."""
    found = await licences.get_licence(db, licence_name)
    async with db.transaction():
        if not await relay_store.delete_relay(db, found.id, number):
            raise AdminError(f"the licence '{found.name}' has no relay {number}")
        await audit.record_admin(db, found.id, "relay remove", f"relay/{number}", now)


async def set_sender(  # noqa: PLR0913, PLR0917 - what a sender is
    db: Database, licence_name: str, entity_name: str, name: str, address: str, selector: str, kind: str,
    bounce_domain: str, now: datetime,
) -> SenderRow:  # fmt: skip
    """Say who sends for an entity; with a selector its mails are signed, by the key that is there or a new one.

    Raises `AdminError`.
    """
    if address_of(address) is None:
        raise AdminError(f"'{address}' is no address that mails can come from")
    if not one_line(name):
        raise AdminError("the name is one line")
    if selector and not selector.replace("-", "").isalnum():
        raise AdminError("a selector has letters, digits and hyphens, such as s1")
    if kind not in {"rsa", "ed25519"}:
        raise AdminError("a key is rsa or ed25519")
    returns_to = domain_name(bounce_domain)
    if returns_to and not is_domain(returns_to):
        raise AdminError(f"'{bounce_domain[:100]}' is no domain that mails can come back to, such as bounces.example.com")
    found, entity = await _entity(db, licence_name, entity_name)
    domain = domain_name(address.rpartition("@")[2])
    dkim = ("", "", "")
    if selector:
        known = await relay_store.sender_of(db, entity.id)
        same = known is not None and known[2:4] == (domain, selector) and known[4]
        sealed = known[4] if same and known else secrets.seal(new_key(kind)[0], f"dkim {entity.id:d}")
        dkim = (domain, selector, sealed)
    async with db.transaction():
        await relay_store.set_sender(db, entity.id, name, address, dkim, returns_to)
        await audit.record_admin(db, found.id, "sender set", f"entity/{entity.id}", now)
    return await show_sender(db, licence_name, entity_name)


async def show_sender(db: Database, licence_name: str, entity_name: str) -> SenderRow:
    """Who sends for an entity. Raises `AdminError`."""
    _, entity = await _entity(db, licence_name, entity_name)
    row = await relay_store.sender_of(db, entity.id)
    if row is None:
        raise AdminError(f"nobody was named for the entity '{entity.name}'; name somebody with sender set")
    name, address, domain, selector, sealed = row
    record = public_record(secrets.unseal(sealed, f"dkim {entity.id:d}")) if sealed else ""
    back = await relay_store.bounce_domain_of(db, entity.id)
    return SenderRow(entity.name, name, address, f"{selector}._domainkey.{domain}" if sealed else "", record, back)


async def list_suppressed(db: Database, licence_name: str) -> list[Suppression]:
    """Addresses that get nothing more, the latest first, up to 10,000."""
    found = await licences.get_licence(db, licence_name)
    return await suppression_store.latest(db, found.id, _MAX_SHOWN)


async def suppress(db: Database, licence_name: str, addresses: list[str], now: datetime) -> int:
    """Have addresses get nothing more; how many there are. Raises `AdminError`."""
    wrong = [address for address in addresses if address_of(address) is None]
    if wrong:
        raise AdminError(f"'{wrong[0][:100]}' is no e-mail address; nothing was changed")
    found = await licences.get_licence(db, licence_name)
    async with db.transaction():
        await suppression_store.suppress(db, found.id, addresses, "MANUAL", now)
        await audit.record_admin(db, found.id, "suppression add", f"suppression ({len(addresses)})", now)
    return len(addresses)


async def unsuppress(db: Database, licence_name: str, address: str, now: datetime) -> bool:
    """Let an address get mails again; whether its owner still wants none. Raises `AdminError`."""
    found = await licences.get_licence(db, licence_name)
    async with db.transaction():
        lifted = await suppression_store.unsuppress(db, found.id, address)
        if not lifted.found:
            raise AdminError(f"nothing keeps '{address[:100]}' from its mails")
        await audit.record_admin(db, found.id, "suppression remove", "suppression (1)", now)
    return lifted.unsubscribed


async def _entity(db: Database, licence_name: str, entity_name: str) -> tuple[licences.Licence, licences.Entity]:
    found = await licences.get_licence(db, licence_name)
    for entity in await licences.list_entities(db, licence_name):
        if entity.name.lower() == entity_name.lower():
            return found, entity
    raise AdminError(f"the licence '{found.name}' has no entity '{entity_name}'")
