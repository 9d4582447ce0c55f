"""What an operator does with suppression lists: look, add, take away, whole lists in and out."""

import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

from tabellion.features import licences
from tabellion.features.bounces import suppression, table
from tabellion.features.bounces.model import Wanted
from tabellion.features.delivery import Suppression, suppression_store
from tabellion.features.licences import AdminError
from tabellion.platform import audit
from tabellion.platform.database.connection import Database
from tabellion.platform.mail import address_of

_AT_ONCE = 10_000
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
        await audit.record_admin(db, found.id, "suppression add", suppression.AUDITED, now, suppression.told(len(addresses)))
    return len(addresses)


async def unsuppress(db: Database, licence_name: str, address: str, now: datetime) -> bool:
    """Let an address get mails again; whether its owner still wants none. Raises `AdminError`."""
    found = await licences.get_licence(db, licence_name)
    async with db.transaction():
        lifted = await suppression_store.unsuppress(db, found.id, address)
        if not lifted.found:
            raise AdminError(f"nothing keeps '{address[:100]}' from its mails")
        await audit.record_admin(db, found.id, "suppression remove", suppression.AUDITED, now, suppression.told(1))
    return lifted.unsubscribed


async def import_list(db: Database, licence_name: str, raw: bytes, now: datetime) -> tuple[int, int]:
    """Enter the addresses of a file (CSV, or a JSON list), all or none; how many are new, and how many were known.

    Raises `AdminError`, `Malformed`, `Invalid`.
    """
    found = await licences.get_licence(db, licence_name)
    rows = table.read_all(_rows(raw), UTC, now)
    new = 0
    async with db.transaction():
        for begin in range(0, len(rows), _AT_ONCE):
            new += await suppression_store.put(db, found.id, rows[begin : begin + _AT_ONCE])
        await audit.record_admin(db, found.id, "suppression import", suppression.AUDITED, now, suppression.told(len(rows)))
    return new, len(rows) - new


async def export_list(db: Database, licence_name: str) -> AsyncGenerator[bytes]:
    """The list of a licence as CSV, piece by piece. Raises `AdminError`."""
    found = await licences.get_licence(db, licence_name)
    async for piece in suppression.as_csv(db, found.id, Wanted()):
        yield piece


def _rows(raw: bytes) -> list[dict[str, Any]]:
    if not raw.lstrip().startswith((b"[", b"{")):
        return table.read_csv(raw)
    try:
        document = json.loads(raw)
    except ValueError as error:
        raise AdminError(f"the file begins like JSON and is none: {error}") from None
    rows = document.get("suppressions") if isinstance(document, dict) else document
    if not isinstance(rows, list):
        raise AdminError("a list of addresses is expected, or of objects with 'address'")
    return [row if isinstance(row, dict) else {"address": row} for row in rows]
