"""Use cases of the suppression list: look, add, take away, many at once."""

import base64
import binascii
import hashlib
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec

from tabellion.features.bounces import store, table
from tabellion.features.bounces.errors import SuppressionUnknown
from tabellion.features.bounces.model import Wanted, one_line
from tabellion.features.delivery import Suppression, suppression_store, unsuppress
from tabellion.features.tables.filters import CursorInvalid
from tabellion.kit.counted import counted
from tabellion.platform import audit
from tabellion.platform.database.connection import Database
from tabellion.platform.http.call import Incoming

# What the audit trail calls the list; it tells how many addresses, and not which.
AUDITED = "suppression"
_PAGE = 10_000
_DIGEST_BYTES = 9


def told(addresses: int) -> str:
    """How many there were, for the audit trail."""
    return counted(addresses, "address", "addresses")


async def page(call: Incoming, wanted: Wanted, cursor: str | None, limit: int) -> tuple[list[Suppression], str | None]:
    """One page of the list, and the cursor of the next one (None: the end). Raises `CursorInvalid`."""
    digest = _digest(call.caller.licence_id, wanted)
    after = _read_cursor(cursor, digest) if cursor else ""
    found = await store.listed(call.db, call.caller.licence_id, wanted._replace(after=after), limit + 1)
    more = len(found) > limit
    return found[:limit], _cursor(digest, found[limit - 1].address) if more else None


async def get(call: Incoming) -> Suppression:
    """What keeps the address of the path from its mails. Raises `SuppressionUnknown`."""
    found = await suppression_store.find(call.db, call.caller.licence_id, _address(call))
    if found is None:
        raise _unknown(call)
    return found


async def add(call: Incoming, rows: Sequence[Suppression]) -> int:
    """Enter addresses, or change what is said of them, all or none; how many are new."""
    async with call.db.transaction():
        new = await suppression_store.put(call.db, call.caller.licence_id, rows) if rows else 0
        await audit.record(call.db, call, AUDITED, told(len(rows)))
    return new


async def remove(call: Incoming) -> None:
    """Take away what keeps the address of the path from its mails. Raises `SuppressionUnknown`."""
    address = _address(call)
    async with call.db.transaction():
        if not (await unsuppress(call.db, call.caller.licence_id, address)).found:
            raise _unknown(call)
        await audit.record(call.db, call, AUDITED, told(1))


async def as_csv(db: Database, licence_id: int, wanted: Wanted) -> AsyncGenerator[bytes]:
    """The list as CSV, piece by piece."""
    header = True
    while True:
        rows = await store.listed(db, licence_id, wanted, _PAGE)
        yield table.write_csv(rows, header=header)
        if len(rows) < _PAGE:
            return
        header, wanted = False, wanted._replace(after=rows[-1].address)


def _address(call: Incoming) -> str:
    address = call.path["a"]
    # What can be no address is not on the list.
    if not address.isprintable():
        raise _unknown(call)
    return address


def _unknown(call: Incoming) -> SuppressionUnknown:
    return SuppressionUnknown(f"nothing keeps '{one_line(call.path['a'], 100)}' from its mails")


def _digest(licence_id: int, wanted: Wanted) -> bytes:
    scope: list[Any] = [licence_id, *wanted[:-1]]
    return hashlib.sha256(msgspec.json.encode(scope)).digest()[:_DIGEST_BYTES]


def _cursor(digest: bytes, address: str) -> str:
    return base64.urlsafe_b64encode(digest + address.encode()).rstrip(b"=").decode()


def _read_cursor(cursor: str, digest: bytes) -> str:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        if raw[:_DIGEST_BYTES] == digest:
            address = raw[_DIGEST_BYTES:].decode()
            if "\0" not in address:
                return address
    except (binascii.Error, ValueError):
        pass
    raise CursorInvalid("the cursor does not belong to this list and filter; start again without it")
