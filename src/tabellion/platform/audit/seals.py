"""Seals on the audit trail: each says what the entries of a stretch of ids were, and which seal came before.

A seal's digest covers the one before it, so that the last one vouches for all. Its MAC needs the server's secret, which the
database does not hold (docs/adr/0066-audit-seals.md).
"""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import LiteralString, NamedTuple

import msgspec
from psycopg.rows import args_row

from tabellion.platform import secrets
from tabellion.platform.database.advisory import AdvisoryLock
from tabellion.platform.database.connection import Database

_PURPOSE = "audit-seal"
# For who seals or deletes at the moment.
_WAIT = "60s"
# What the first seal follows.
NOTHING = bytes(32)
_LEAST, _MOST = -(2**63), 2**63 - 1
# Text of COPY is the same in all versions of the server; times as numbers, since their text is a matter of settings.
_ENTRIES: LiteralString = (
    "COPY (SELECT id, extract(epoch FROM at), licence_id, user_id, actor, route, object, request_id, note, credential "
    "FROM tabellion.audit WHERE id BETWEEN %s AND %s ORDER BY id) TO STDOUT (FORMAT text, ENCODING 'UTF8')"
)
_SELECT: LiteralString = (
    "SELECT number, last_id, entries, newest, sealed_at, gone_from, gone_to, gone_before, content, digest, key, mac "
    "FROM tabellion.audit_seal "
)
_INSERT = (
    "INSERT INTO tabellion.audit_seal (number, last_id, entries, newest, sealed_at, gone_from, gone_to, gone_before, "
    "content, digest, key, mac) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)


class Gone(NamedTuple):
    """Seals whose entries were deleted, all from before a moment; both ends are among them."""

    first: int
    last: int
    before: datetime


class Stretch(NamedTuple):
    """Entries up to an id: how many, the moment of the latest, and SHA-256 of all."""

    last_id: int
    entries: int
    newest: datetime
    content: bytes


class Seal(NamedTuple):
    """A seal as it is stored; its entries are those with ids up to `last_id` that no seal before it has."""

    number: int
    last_id: int
    entries: int
    newest: datetime
    sealed_at: datetime
    gone_from: int | None
    gone_to: int | None
    gone_before: datetime | None
    content: bytes
    digest: bytes
    key: str
    mac: bytes

    @property
    def gone(self) -> Gone | None:
        """What was deleted in the transaction of this seal."""
        if self.gone_from is None or self.gone_to is None or self.gone_before is None:
            return None
        return Gone(self.gone_from, self.gone_to, self.gone_before)

    def digest_after(self, previous: bytes) -> bytes:
        """What `digest` is, if nothing was changed and the seal before has the digest `previous`."""
        moments = [
            each and each.astimezone(UTC).isoformat(timespec="microseconds")
            for each in (self.newest, self.sealed_at, self.gone_before)
        ]
        numbers = [self.number, self.last_id, self.entries, self.gone_from, self.gone_to]
        return hashlib.sha256(msgspec.json.encode([numbers, moments, self.key, self.content, previous])).digest()

    def is_vouched_for(self) -> bool:
        """Whether the MAC is one by its key, which this process has."""
        return secrets.fits(self.digest, _PURPOSE, self.mac, key=self.key)

    @property
    def head(self) -> str:
        """What an operator keeps elsewhere: whoever has it can tell whether the trail up to here is still the same."""
        return f"{self.number}:{self.digest.hex()}"


@asynccontextmanager
async def locked(db: Database) -> AsyncGenerator[None]:
    """Be the only one who adds seals; `db` is in autocommit mode.

    Raises `LockNotAvailable`: whoever came before has not ended for a minute. It may be stopped, and each who waited for it
    without end would keep a place among the jobs.
    """
    await db.execute("SELECT set_config('lock_timeout', %s, false)", (_WAIT,))
    try:
        await db.execute("SELECT pg_advisory_lock(%s)", (AdvisoryLock.AUDIT_SEALS,))
    finally:
        await db.execute("RESET lock_timeout")
    try:
        yield
    finally:
        if not db.broken:
            await db.execute("SELECT pg_advisory_unlock(%s)", (AdvisoryLock.AUDIT_SEALS,))


async def newest(db: Database) -> Seal | None:
    """The last seal, if there is one."""
    async with db.cursor(row_factory=args_row(Seal)) as cursor:
        await cursor.execute(_SELECT + "ORDER BY number DESC LIMIT 1")
        return await cursor.fetchone()


async def add(db: Database, now: datetime, stretch: Stretch | None = None, gone: Gone | None = None) -> Seal:
    """Add a seal, while `locked`. Raises `KeyUnusable`."""
    last = await newest(db)
    key, mac_of = secrets.signer(_PURPOSE)
    if stretch is None:
        stretch = Stretch(last.last_id if last else 0, 0, now, hashlib.sha256().digest())
    seal = Seal(
        last.number + 1 if last else 1, stretch.last_id, stretch.entries, min(stretch.newest, now), now,
        *(gone or (None, None, None)), stretch.content, b"", key, b"",
    )  # fmt: skip
    digest = seal.digest_after(last.digest if last else NOTHING)
    seal = seal._replace(digest=digest, mac=mac_of(digest))
    await db.execute(_INSERT, seal)
    return seal


async def after(db: Database, last: Seal | None, most: int) -> list[Seal]:
    """The next seals after one (None: from the first), in order."""
    async with db.cursor(row_factory=args_row(Seal)) as cursor:
        first = min(last.number + 1, _MOST) if last else _LEAST
        await cursor.execute(_SELECT + "WHERE number >= %s ORDER BY number LIMIT %s", (first, most))
        return await cursor.fetchall()


def first_id(last: Seal | None) -> int:
    """The least id that a seal which follows `last` is about."""
    return min(last.last_id + 1, _MOST) if last else _LEAST


async def entries(db: Database, first: int, last: int) -> AsyncGenerator[bytes]:
    """The entries with these ids, both ends among them, in their order, as seals have them.

    Each is a line that begins with its id and a tab.
    """
    async with db.cursor() as cursor, cursor.copy(_ENTRIES, (first, last)) as copy:
        async for line in copy:
            yield bytes(line)
