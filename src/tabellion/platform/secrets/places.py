"""Columns of the database that hold sealed secrets; each feature names its own."""

import base64
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, LiteralString, NamedTuple

from tabellion.platform import secrets
from tabellion.platform.database.connection import Database


class Place(NamedTuple):
    """A column. `rows` selects what tells a row from others, and last its secret, as text in base64 or as octets.

    `what` is how such secrets are counted in words; `purpose` is what one was sealed for, by what tells its row.
    """

    what: str
    purpose: Callable[..., str]
    rows: LiteralString


async def unreadable(db: Database, places: Iterable[Place]) -> Counter[str]:
    """How many secrets were sealed with a key that this server has not, by `what` they are. Raises `KeyUnusable`."""
    found = Counter[str]()
    for place in places:
        for *row, sealed in await _rows(db, place):
            try:
                secrets.unseal_raw(octets(sealed), place.purpose(*row))
            except secrets.SecretUnreadable:
                found[place.what] += 1
    return found


def octets(sealed: str | bytes) -> bytes:
    """A secret as octets, however its column holds it."""
    return base64.b64decode(sealed) if isinstance(sealed, str) else sealed


async def _rows(db: Database, place: Place) -> list[tuple[Any, ...]]:
    return await (await db.execute(place.rows)).fetchall()
