"""Whether the relays of all licences can be reached from here, tried as a worker opens its connections: without a mail."""

import asyncio
from typing import NamedTuple

from tabellion.features.delivery import relay_store
from tabellion.features.delivery.sealed import relay_purpose
from tabellion.platform import secrets
from tabellion.platform.database.connection import Database
from tabellion.platform.mail import Post, Relay, Waits

_STEP_S = 5.0
_AT_ONCE = 16


class Reached(NamedTuple):
    """What came of trying a relay; `wrong` is empty when it can be used. `licences`: those whose mails it takes."""

    host: str
    port: int
    licences: tuple[str, ...]
    wrong: str


async def licences_that_wait(db: Database) -> list[str]:
    """The names of licences that have no relay any more, and whose mails wait for one."""
    return await relay_store.licences_that_wait(db)


async def reach_relays(db: Database) -> list[Reached]:
    """Try each relay once, however many licences have it."""
    users: dict[Relay, list[str]] = {}
    unreadable: list[Reached] = []
    for licence_id, licence in await relay_store.licences_with_relays(db):
        for id_, host, port, security, login, sealed, _, _ in await relay_store.relays(db, licence_id):
            try:
                password = secrets.unseal(sealed, relay_purpose(id_)) if sealed else ""
            except secrets.SecretUnreadable as error:
                unreadable.append(Reached(host, port, (licence,), f"{host}:{port}: {error.message}"))
                continue
            relay = Relay(host=host, port=port, security=security, user=login, password=password, connections=1)
            users.setdefault(relay, []).append(licence)
    places = asyncio.Semaphore(_AT_ONCE)

    async def tried(relay: Relay, licences: list[str]) -> Reached:
        async with places, Post(relay, waits=Waits(opening_s=_STEP_S)) as post:
            return Reached(relay.host, relay.port, tuple(licences), await post.reach() or "")

    return unreadable + await asyncio.gather(*(tried(relay, licences) for relay, licences in users.items()))
