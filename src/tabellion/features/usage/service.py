"""Letting calls in: authenticate, ask the gate, wait where the licence is slowed down."""

import asyncio
from collections.abc import Collection
from datetime import datetime, timedelta

from tabellion.features.licences import (
    Authentication,
    Connections,
    Credential,
    Unauthorized,
    cached_caller,
    find_caller,
)
from tabellion.features.usage import store
from tabellion.features.usage.batcher import Batcher
from tabellion.features.usage.errors import TooManyBulkCalls, TooManyCalls, TooManyConcurrent
from tabellion.features.usage.model import Counters, Limits, Settings, Verdict
from tabellion.platform.database.connection import Database
from tabellion.platform.http.call import Incoming
from tabellion.platform.http.caller import Caller

COUNTED, SLOT, FINAL = 1, 2, 4
# Slots freed by another process arrive here some milliseconds later: a refusal is asked again before it is given.
_CONCURRENT_PAUSES_S = (0.012, 0.03)
# A credential may be revoked while its call waits, and what is left of the limits is something else then.
_RECHECK_AFTER_MS = 500


class Admission:
    """A call that was let in; holds a concurrency slot until it is released."""

    __slots__ = ("_batcher", "_licence_id", "caller", "credential", "limits", "wait_ms")

    def __init__(self, caller: Caller, credential: str, limits: Limits, batcher: Batcher, wait_ms: int) -> None:
        self.caller = caller
        self.credential = credential
        self.limits = limits
        self.wait_ms = wait_ms
        self._batcher = batcher
        self._licence_id: int | None = caller.licence_id

    def release(self, error_code: str = "") -> None:
        """Free the slot, and count a refusal that the gate knows nothing of; the second time does nothing.

        Here, as the transaction of a bulk call that is refused is rolled back.
        """
        if self._licence_id is not None:
            if error_code == TooManyBulkCalls.code:
                self._batcher.count_refusal(self._licence_id)
            self._batcher.release(self._licence_id)
            self._licence_id = None


class Gate:
    """Lets calls in, for one process."""

    def __init__(self, batcher: Batcher, authentication: Authentication, connections: Connections, database: str) -> None:
        self._batcher = batcher
        self._authentication = authentication
        self._connections = connections
        self._database = database

    async def admit(self, credential: Credential, address: str, *, counted: bool = True) -> Admission:
        """Count the call and take a slot; sleeps, without a connection, where the licence is slowed down.

        Raises `Unauthorized`, `AuthThrottled`, `TooManyCalls`, `TooManyConcurrent`, `Unavailable`.
        """
        verdict = await self._decide(credential, address, (COUNTED if counted else 0) | SLOT)
        limits = verdict.limits()
        match verdict.verdict:
            case "expired":
                raise Unauthorized("the access token has expired; get a new one at /auth/token", "auth.expired")
            case "concurrent":
                message = f"the licence has {verdict.max_concurrent} calls running, as many as it may have"
                raise TooManyConcurrent(message, limits.headers, limits.reset_s)
            case "rate":
                message = f"over {verdict.calls_per_minute} calls per {verdict.window_seconds} s"
                raise TooManyCalls(message, limits.headers, limits.reset_s)
            case _:
                pass
        try:
            if verdict.wait_ms:
                await asyncio.sleep(verdict.wait_ms / 1000)
                if verdict.wait_ms > _RECHECK_AFTER_MS:
                    limits = (await self._decide(credential, address, 0)).limits()
            caller = await self._caller(verdict)
        except BaseException:
            self._batcher.release(verdict.licence_id)
            raise
        return Admission(caller, credential.name, limits, self._batcher, verdict.wait_ms)

    async def _decide(self, credential: Credential, address: str, flags: int) -> Verdict:
        request = (credential.kind, credential.digest, credential.user_id, credential.version)
        for pause_s in _CONCURRENT_PAUSES_S:
            verdict = await self._batcher.ask((*request, flags))
            if verdict is None:
                raise await self._authentication.refused(credential, address)
            if verdict.verdict != "concurrent":
                if verdict.verdict == "rate":
                    break
                return verdict
            await asyncio.sleep(pause_s)
        verdict = await self._batcher.ask((*request, flags | FINAL))
        if verdict is None:
            raise await self._authentication.refused(credential, address)
        return verdict

    async def _caller(self, verdict: Verdict) -> Caller:
        known = cached_caller(self._database, verdict.user_id, verdict.catalogue_version)
        if known is not None:
            return known
        async with self._connections.connection() as db:
            found = await find_caller(db, verdict.user_id, verdict.licence_id, verdict.catalogue_version)
        if found is None:
            raise Unauthorized("the credentials were revoked")
        return found


def limits_of(call: Incoming) -> Limits:
    """The limits as the gate saw them when it let this call in, after a long wait as they were at its end."""
    limits: Limits = call.limits
    return limits


async def usage(call: Incoming) -> tuple[Counters, Settings]:
    """What the caller's licence has used today, and what was said about its limits."""
    day = call.now.astimezone(call.caller.time_zone).date()
    licence_id = call.caller.licence_id
    return await store.counters(call.db, licence_id, day), await store.settings_of(call.db, licence_id)


async def count_bulk_call(db: Database, caller: Caller, table_ids: Collection[str], now: datetime) -> None:
    """Count a bulk call in the transaction that accepts it, so that the number is exact after any crash.

    It is one call of the licence, and one for each of its tables. Raises `TooManyBulkCalls`; the transaction must then be
    rolled back.
    """
    local = now.astimezone(caller.time_zone)
    settings = await store.settings_of(db, caller.licence_id)
    total = await store.count_bulk(db, caller.licence_id, local.date(), "")
    of_tables = [
        await store.count_bulk(db, caller.licence_id, local.date(), table_id) for table_id in sorted(set(table_ids))
    ]
    used, most = max(of_tables) if settings.bulk_scope == "TABLE" else total, settings.bulk_per_day
    if most is not None and used > most:
        wait = next_midnight(now, caller) - now
        raise TooManyBulkCalls(f"the {most} bulk calls of the day are used up", -(-wait // timedelta(seconds=1)))


def next_midnight(now: datetime, caller: Caller) -> datetime:
    """The start of the licence's next day."""
    tomorrow = now.astimezone(caller.time_zone).date() + timedelta(days=1)
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=caller.time_zone)


async def purge(db: Database, now: datetime) -> int:
    """Delete expired tokens, old keys of idempotency, dead processes and old failures; returns the number of rows."""
    return await store.purge(db, now)
