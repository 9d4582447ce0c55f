"""Secrets that another key than the server's has sealed, as after a restore without it."""

from collections import Counter

from tabellion.platform import secrets
from tabellion.platform.database.connection import Database
from tabellion.platform.secrets import places
from tabellion.server.sealed import PLACES

ADVICE = "restore the key that sealed them (TABELLION_SECRET_KEY, or the file secret.key), or set them anew"


async def unreadable(db: Database) -> list[str]:
    """How many there are of each kind, in words. Raises `KeyUnusable`."""
    return (await looked_through(db))[0]


async def looked_through(db: Database) -> tuple[list[str], list[str]]:
    """The same, and of those that a former key has sealed. Raises `KeyUnusable`."""
    wrong, former = Counter[str](), Counter[str]()
    present = secrets.fingerprints()[:1]
    for found, count in (await places.count(db, PLACES)).items():
        if found.key is None:
            wrong[found.what] += count
        elif [found.key] != present:
            former[found.what] += count
    return _in_words(wrong), _in_words(former)


def _in_words(counts: Counter[str]) -> list[str]:
    return [f"{count} {what}" for what, count in counts.items()]
