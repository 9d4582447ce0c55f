"""What an operator says of addresses that get nothing. Relays are in `relay_admin`, senders in `sender_admin`."""

from datetime import datetime

from tabellion.features import licences
from tabellion.features.delivery import suppression_store
from tabellion.features.delivery.suppression import Suppression
from tabellion.features.licences import AdminError
from tabellion.platform import audit
from tabellion.platform.database.connection import Database
from tabellion.platform.mail import address_of

_MAX_SHOWN = 10_000


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
