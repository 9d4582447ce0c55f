"""Secrets that another key than the server's has sealed, as after a restore without it."""

from tabellion.features import delivery, transfers, webhooks
from tabellion.platform.database.connection import Database

ADVICE = "restore the key that sealed them (TABELLION_SECRET_KEY, or the file secret.key), or set them anew"


async def unreadable(db: Database) -> list[str]:
    """How many there are of each kind, in words. Raises `KeyUnusable`."""
    relays, keys = await delivery.unreadable_secrets(db)
    counts = {
        "of file servers": await transfers.unreadable_servers(db), "of relays": relays, "DKIM keys": keys,
        "of webhooks": await webhooks.unreadable(db),
    }  # fmt: skip
    return [f"{count} {what}" for what, count in counts.items() if count]
