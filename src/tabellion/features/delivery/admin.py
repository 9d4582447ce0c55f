"""What an operator sets up for mails: relays, and addresses that get nothing. Senders are in `sender_admin`."""

from datetime import datetime
from typing import NamedTuple

from tabellion.features import licences
from tabellion.features.delivery import relay_store, suppression_store
from tabellion.features.delivery.store import Database
from tabellion.features.delivery.suppression import Suppression
from tabellion.features.licences import AdminError
from tabellion.platform import audit, secrets
from tabellion.platform.mail import Relay, address_of, one_line

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
