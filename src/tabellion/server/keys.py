"""Exchanging the key of secrets while servers work (docs/adr/0074-rotating-keys.md)."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime

import msgspec

from tabellion.features.licences import AdminError, list_licences
from tabellion.kit.clock import utc_now
from tabellion.platform import audit, secrets
from tabellion.platform.database.advisory import AdvisoryLock
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar
from tabellion.platform.secrets import places, ring
from tabellion.platform.secrets.ring import Ring, Source
from tabellion.server.backup.snapshot import only_backup
from tabellion.server.sealed import PLACES
from tabellion.settings import Settings

# By then every process has looked into the file, and what it was sealing with the key before is committed or was never said.
_ALL_HAVE_LOOKED_S = 2 * secrets.LOOK_EVERY_S
_NO_KEY = "there is no key yet: the server makes one when it has something to seal"


class ListedKey(msgspec.Struct):
    """A key. `use`: seals, opens, or hashes, that is nothing but recognise erased people. `since`: its first audit seal."""

    key: str
    use: str
    sealed: int
    since: datetime | None


class Rotated(msgspec.Struct, rename="camel"):
    """What came of a rotation. `made`: there is a new key; else one that had been begun was brought to its end.

    `sealed_anew` and `unreadable` count secrets by kind; `former` keys are those that go on opening links in mails.
    """

    key: str
    made: bool
    sealed_anew: dict[str, int]
    unreadable: dict[str, int]
    former: list[str]


async def listed(db: Database, settings: Settings) -> list[ListedKey]:
    """The keys, the one that seals first. Raises `KeyUnusable`."""
    source = _source(settings)
    if not source.exists:
        return []
    found = source.ring()
    sealed = Counter[str | None]()
    for each, count in (await places.count(db, PLACES)).items():
        sealed[each.key] += count
    rows: list[ListedKey] = []
    hashing = [("hashes", found.hashing)] if found.hashing.fingerprint not in _fingerprints(found) else []
    for use, key in [*zip(["seals", *["opens"] * len(found.opening)], found.opening, strict=False), *hashing]:
        since = await scalar(db, "SELECT min(sealed_at) FROM tabellion.audit_seal WHERE key = %s", (key.fingerprint,))
        rows.append(ListedKey(key.fingerprint, use, sealed[key.fingerprint], since))
    return rows


async def rotate(db: Database, settings: Settings) -> Rotated:
    """Have everything that is stored sealed with a new key, or with the one of a rotation that has not come to its end.

    Raises `AdminError`, `KeyUnusable`, `NotWritten`, `OSError`.
    """
    async with _alone(db):
        source = _source(settings)
        if not source.exists:
            raise AdminError(_NO_KEY)
        found = source.ring()
        unfinished = any(each.key not in {None, found.sealing.fingerprint} for each in await places.count(db, PLACES))
        made = not unfinished and source.file is not None
        if source.file is not None:
            if made:
                ring.write(source.file, found.rotated())
            # Also where another run has written it, and was killed just now.
            await asyncio.sleep(_ALL_HAVE_LOOKED_S)
        elif not unfinished and len(found.opening) == 1:
            raise AdminError(
                "the key is TABELLION_SECRET_KEY, which you exchange: set another one, put the present one into "
                "TABELLION_FORMER_SECRET_KEYS before those that are there, start the servers anew, and run this again"
            )
        secrets.use_key(*source)
        anew = Counter[str]()
        # Again until there is nothing: whoever changes a sender writes back what was sealed when it was read.
        while done := await places.seal_anew(db, PLACES):
            anew += done
        left = {each.what: count for each, count in (await places.count(db, PLACES)).items() if each.key is None}
        key, *former = secrets.fingerprints()
        await _record(db, "key rotate", key, f"{sum(anew.values())} secrets of the server were sealed anew")
        return Rotated(key, made, anew, left, former)


async def check_drop(db: Database, settings: Settings, fingerprint: str) -> None:
    """Raise `AdminError`, `KeyUnusable` where `drop` would."""
    _without(_file_of(settings).ring(), fingerprint, await places.count(db, PLACES))


async def drop(db: Database, settings: Settings, fingerprint: str) -> list[ListedKey]:
    """Take a former key away: what is left. Raises `AdminError`, `BackupError`, `KeyUnusable`, `NotWritten`, `OSError`."""
    async with _alone(db):
        source = _file_of(settings)
        # A backup that is being made has what is sealed with it, and reads the file at its end.
        with only_backup(settings.data_dir):
            assert source.file is not None  # noqa: S101 - `_file_of` has looked
            ring.write(source.file, _without(source.ring(), fingerprint, await places.count(db, PLACES)))
        await _record(db, "key drop", fingerprint, None)
    secrets.use_key(*source)
    return await listed(db, settings)


def _file_of(settings: Settings) -> Source:
    """The keys, which stand in a file. Raises `AdminError` where there is none."""
    source = _source(settings)
    if source.file is None:
        raise AdminError(
            "the keys are settings: take it out of TABELLION_FORMER_SECRET_KEYS; where it is the last one there, write "
            f"'{ring.HASHES_ONLY}' before it instead, as erased people are recognised by it"
        )
    if not source.exists:
        raise AdminError(_NO_KEY)
    return source


def _without(found: Ring, fingerprint: str, sealed: Counter[places.Found]) -> Ring:
    """The keys without a former one. Raises `AdminError` where that is needed, or none."""
    _, *former = _fingerprints(found)
    if fingerprint not in former:
        known = ", ".join(former) or "there is none"
        raise AdminError(f"'{fingerprint[:40]}' is no former key (they are: {known}); tabellion key list tells all keys")
    if needing := sum(count for each, count in sealed.items() if each.key == fingerprint):
        raise AdminError(f"{needing} secrets are still sealed with it: run tabellion key rotate, which seals them anew")
    return found.without(fingerprint)


@asynccontextmanager
async def _alone(db: Database) -> AsyncGenerator[None]:
    """No other exchange of keys of servers on this database."""
    if not await scalar(db, "SELECT pg_try_advisory_lock(%s)", (AdvisoryLock.KEYS,)):
        raise AdminError("the key is being exchanged already: wait for the other tabellion key, or end it")
    try:
        yield
    finally:
        await db.execute("SELECT pg_advisory_unlock(%s)", (AdvisoryLock.KEYS,))


async def _record(db: Database, action: str, fingerprint: str, note: str | None) -> None:
    """Tell every licence's trail: the key is the server's, and its secrets and links are of it."""
    async with db.transaction():
        for licence in await list_licences(db):
            await audit.record_admin(db, licence.id, action, f"key/{fingerprint}", utc_now(), note)


def _source(settings: Settings) -> Source:
    return Source(settings.secret_key, settings.data_dir, settings.former_secret_keys)


def _fingerprints(found: Ring) -> list[str]:
    return [key.fingerprint for key in found.opening]
