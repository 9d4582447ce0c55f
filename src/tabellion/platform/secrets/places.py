"""Columns of the database that hold sealed secrets; each feature names its own."""

import base64
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, LiteralString, NamedTuple

from tabellion.platform import secrets
from tabellion.platform.database.connection import Database


class Place(NamedTuple):
    """A column. `rows` selects what tells a row from others, and last its secret, as text in base64 or as octets.

    `what` is how such secrets are counted in words; `purpose` is what one was sealed for, by what tells its row. `update`
    has the parameters secret, what tells the row, and the secret before, and changes nothing where that is another by now.
    """

    what: str
    purpose: Callable[..., str]
    rows: LiteralString
    update: LiteralString


class Found(NamedTuple):
    """How many secrets there are of a kind, under a key. `key`: its fingerprint, None: one that this server has not."""

    what: str
    key: str | None


async def count(db: Database, places: Iterable[Place]) -> Counter[Found]:
    """All secrets, by kind and key. Raises `KeyUnusable`."""
    found = Counter[Found]()
    for place in places:
        async for _, _, key in _secrets(db, place):
            found[Found(place.what, key)] += 1
    return found


async def seal_anew(db: Database, places: Iterable[Place]) -> Counter[str]:
    """Seal with the present key what another one of this server's has sealed; how many, by `what` they are.

    One row at a time, `db` being in autocommit mode: nobody waits, and whoever is killed over it has lost nothing. A secret
    that somebody changes meanwhile stays as it is. Raises `KeyUnusable`.
    """
    done = Counter[str]()
    for place in places:
        async for row, sealed, key in _secrets(db, place):
            if key in {None, secrets.fingerprints()[0]}:
                continue
            purpose = place.purpose(*row)
            new = secrets.seal_raw(secrets.unseal_raw(_octets(sealed), purpose), purpose)
            stored = base64.b64encode(new).decode() if isinstance(sealed, str) else new
            done[place.what] += (await db.execute(place.update, (stored, *row, sealed))).rowcount
    return +done


async def _secrets(db: Database, place: Place) -> AsyncIterator[tuple[list[Any], str | bytes, str | None]]:
    """What tells each row, its secret as it is stored, and the fingerprint of the key that opens it."""
    for *row, sealed in await (await db.execute(place.rows)).fetchall():
        try:
            key = secrets.key_of(_octets(sealed), place.purpose(*row))
        except secrets.SecretUnreadable:
            key = None
        yield row, sealed, key


def _octets(sealed: str | bytes) -> bytes:
    return base64.b64decode(sealed) if isinstance(sealed, str) else sealed
