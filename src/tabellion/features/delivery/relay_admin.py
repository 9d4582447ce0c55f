"""What an operator says of relays: which a licence has, and what becomes of its mails when it has none."""

import ipaddress
import re
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec

from tabellion.features import licences
from tabellion.features.delivery import relay_store
from tabellion.features.delivery.sealed import relay_purpose
from tabellion.features.licences import AdminError
from tabellion.kit.domain import in_ascii
from tabellion.platform import audit, secrets
from tabellion.platform.database.connection import Database
from tabellion.platform.mail import Relay

_MAX_PORT, _MAX_CONNECTIONS, _MAX_WEIGHT = 65535, 100, 1000
_PORT = 587
_SECURITIES = ("NONE", "STARTTLS", "TLS")
_MAX_HOST = 253
# Names of machines; those of containers have underscores. The last part is no number: that is an address, or a wrong one.
_HOST = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*(?![0-9]+$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


class Mails(StrEnum):
    """What becomes of a licence's mails. WAIT: it has had a relay, and has none."""

    LEAVE = "LEAVE"
    WAIT = "WAIT"
    OUTBOX = "OUTBOX"


class RelayRow(NamedTuple):
    """A relay as it is shown."""

    id: int
    host: str
    port: int
    security: str
    login: str
    weight: int
    connections: int


class Relays(NamedTuple):
    """The relays of a licence, and what becomes of its mails."""

    mails: Mails
    relays: list[RelayRow]


class RelayChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said anew of a relay; None: it stays as it is, or is as with a relay that says nothing of it.

    `port` None: that of the host's only relay. `login` empty: none, nor a password.
    """

    port: int | None = None
    security: str | None = None
    login: str | None = None
    password: str | None = None
    weight: int | None = None
    connections: int | None = None


async def add_relay(db: Database, licence_name: str, host: str, change: RelayChange, now: datetime) -> tuple[RelayRow, bool]:
    """Give a licence a relay, or change the one of the same host and port; and whether it is a new one.

    Raises `AdminError`.
    """
    host = host_of(host)
    if change.security is not None and change.security not in _SECURITIES:
        raise AdminError(f"the security is one of {', '.join(_SECURITIES)}")
    if change.port is not None and not 1 <= change.port <= _MAX_PORT:
        raise AdminError("the port is a number from 1 to 65535")
    found = await licences.get_licence(db, licence_name)
    async with db.transaction():
        await licences.lock_licence(db, found.id)
        known = await _known(db, found.id, host, change.port)
        before = known or RelayRow(0, host, change.port or _PORT, "STARTTLS", "", 1, 10)
        relay = Relay(
            host=before.host, port=before.port,
            security=before.security if change.security is None else change.security,
            user=before.login if change.login is None else change.login,
            connections=before.connections if change.connections is None else change.connections,
        )  # fmt: skip
        weight = before.weight if change.weight is None else change.weight
        if not 1 <= relay.connections <= _MAX_CONNECTIONS or not 1 <= weight <= _MAX_WEIGHT:
            raise AdminError(f"connections are 1 to {_MAX_CONNECTIONS}, the weight 1 to {_MAX_WEIGHT}")
        if relay.shows_password:
            advice = (
                "set --security STARTTLS or TLS, or leave out --login"
                if known is None
                else ("set --security STARTTLS or TLS, or take the login away with --login ''")
            )
            raise AdminError(f"a password does not leave without TLS; {advice}")
        if change.password and not relay.user:
            raise AdminError("a password goes with a login: name it, with --login")
        if known is None:
            number = await relay_store.insert_relay(db, found.id, relay, weight)
        else:
            number = known.id
            await relay_store.change_relay(db, number, relay, weight)
        password = "" if not relay.user else change.password
        if password is not None:
            sealed = secrets.seal(password, relay_purpose(number)) if password else ""
            await relay_store.set_relay_password(db, number, sealed)
        await audit.record_admin(db, found.id, "relay add", f"relay/{number}", now)
    row = RelayRow(number, relay.host, relay.port, relay.security, relay.user, weight, relay.connections)
    return row, known is None


async def list_relays(db: Database, licence_name: str) -> Relays:
    """The relays of a licence. Raises `AdminError`."""
    found = await licences.get_licence(db, licence_name)
    return await _relays(db, found.id)


async def remove_relay(db: Database, licence_name: str, which: str, now: datetime) -> tuple[int, Mails]:
    """Take a relay away, by its id, or by its host where that has one alone; with the last one, mails wait. Its id.

    Raises `AdminError`.
    """
    host = which if which.isdecimal() else host_of(which)
    found = await licences.get_licence(db, licence_name)
    async with db.transaction():
        await licences.lock_licence(db, found.id)
        here = [each.id for each in (await _relays(db, found.id)).relays if host in {str(each.id), each.host.lower()}]
        if not here:
            raise AdminError(f"the licence '{found.name}' has no relay {which}; tabellion relay list shows them")
        if len(here) > 1:
            raise AdminError(f"there are several relays at {host}; name one by its id, {' or '.join(map(str, here))}")
        (number,) = here
        await relay_store.delete_relay(db, found.id, number)
        await audit.record_admin(db, found.id, "relay remove", f"relay/{number}", now)
    return number, (await _relays(db, found.id)).mails


async def use_outbox(db: Database, licence_name: str, now: datetime) -> None:
    """Have the mails of a licence without a relay go to the outbox, also those that wait. Raises `AdminError`."""
    found = await licences.get_licence(db, licence_name)
    async with db.transaction():
        await licences.lock_licence(db, found.id)
        if (await _relays(db, found.id)).relays:
            raise AdminError(f"the mails of '{found.name}' leave by its relays; take those away first, with relay remove")
        await relay_store.forget_relayed(db, found.id)
        await audit.record_admin(db, found.id, "relay outbox", f"licence/{found.id}", now)


def host_of(text: str) -> str:
    """The name or address of a mail server, in ASCII and lower case. Raises `AdminError`."""
    text = text.strip()
    shown = text[:100]
    if "://" in text:
        raise AdminError(f"'{shown}' is an address of the web; name the mail server alone, such as smtp.example.com")
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return str(ipaddress.ip_address(inner))
    except ValueError:
        pass
    name, _, port = text.rpartition(":")
    if name and port.isdigit():
        raise AdminError(f"'{shown}' has a port behind it; name the mail server alone, and the port with --port {port[:5]}")
    if "@" in text:
        raise AdminError(f"'{shown}' is a mailbox; name the mail server alone, such as smtp.example.com")
    ascii_name = (in_ascii(text) or "").lower()
    if len(ascii_name) > _MAX_HOST or not _HOST.fullmatch(ascii_name):
        raise AdminError(f"'{shown}' is no name of a machine, such as smtp.example.com, and no address, such as 192.0.2.25")
    return ascii_name


async def _known(db: Database, licence_id: int, host: str, port: int | None) -> RelayRow | None:
    """The relay of a host and port. Raises `AdminError` when no port is named and the host has several."""
    here = [each for each in (await _relays(db, licence_id)).relays if each.host.lower() == host]
    if port is None and len(here) > 1:
        ports = " or ".join(str(each.port) for each in here)
        raise AdminError(f"there are several relays at {host}; name one, with --port {ports}")
    return next((each for each in here if port is None or each.port == port), None)


async def _relays(db: Database, licence_id: int) -> Relays:
    rows = [RelayRow(*row[:5], *row[6:]) for row in await relay_store.relays(db, licence_id)]
    if rows:
        return Relays(Mails.LEAVE, rows)
    return Relays(Mails.OUTBOX if await relay_store.relayed(db, licence_id) is None else Mails.WAIT, rows)
