"""Secrets that another key than the server's has sealed, as after a restore without it."""

from tabellion.platform.database.connection import Database
from tabellion.platform.secrets import places
from tabellion.server.sealed import PLACES

ADVICE = "restore the key that sealed them (TABELLION_SECRET_KEY, or the file secret.key), or set them anew"


async def unreadable(db: Database) -> list[str]:
    """How many there are of each kind, in words. Raises `KeyUnusable`."""
    return [f"{count} {what}" for what, count in (await places.unreadable(db, PLACES)).items()]
