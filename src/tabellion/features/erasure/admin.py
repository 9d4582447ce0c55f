"""Erasing a person on the command line."""

from datetime import datetime

from tabellion.features import licences
from tabellion.features.erasure import service, store
from tabellion.features.erasure.forgetting import Asked
from tabellion.features.erasure.model import Erasure
from tabellion.features.licences import AdminError
from tabellion.platform import audit
from tabellion.platform.database.connection import Database


async def erase(db: Database, licence_name: str, address: str, now: datetime, *, suppress: bool) -> Erasure:
    """Erase who has an address in a licence. Raises `AdminError`, `RowInUse`, `TooManyProfiles`."""
    wanted = _read(address)
    found = await licences.get_licence(db, licence_name)
    who = audit.values_of_nobody("cli") | {"audit_route": "erase"}
    async with db.transaction():
        done = await service.erase(db, Asked(found.id, wanted, suppress, who, now))
        await audit.record_admin(db, found.id, "erase", service.object_of(done), now, str(done.counts))
    return done


async def profiles_of(db: Database, licence_name: str, address: str) -> int:
    """How many profiles `erase` would delete. Raises `AdminError`."""
    wanted = _read(address)
    return await service.count_profiles(db, (await licences.get_licence(db, licence_name)).id, wanted)


def _read(address: str) -> str:
    wanted = address.strip()
    if not service.is_address(wanted):
        raise AdminError(f"'{address[:100]}' is no e-mail address; nothing was changed")
    return wanted


async def failed(db: Database, since: datetime) -> list[tuple[int, str, str]]:
    """Erasures of all licences that have failed since a moment: id, name of the licence, and why."""
    return await store.failed(db, since)


async def waiting(db: Database, since: datetime) -> list[tuple[int, str]]:
    """Erasures of all licences that were asked for before a moment and have not ended: id, and name of the licence."""
    return await store.waiting(db, since)
