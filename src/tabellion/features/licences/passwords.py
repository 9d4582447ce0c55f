"""Passwords of API users: Argon2id at the least cost that OWASP advises, off the event loop; good ones are remembered.

Hashing takes about 20 ms of a core. A few at a time run in threads; the rest wait their turn, so that a flood of wrong
passwords cannot take all cores. What was found good is remembered for five minutes by a keyed digest, never in clear.
"""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from tabellion.platform.database.errors import Unavailable

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_AT_A_TIME = 2
# For a turn: each lasts as long as the database lets it wait.
_PATIENCE_S = 5.0
_REMEMBERED_S = 300.0
_MAX_REMEMBERED = 10_000
# Of a password that nobody knows, at the same cost: checked for unknown users, so that they take as long as known ones.
_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$3UcR9ePUnQOpc2WlRDJwaA$V1EbO+OfRfSvS6G3Q3PB4ZThjuMcfA9FedzmcrV1jnM"


def hash_password(password: str) -> str:
    """The hash to be stored; takes about 20 ms."""
    return _HASHER.hash(password)


class PasswordChecks:
    """Checks passwords for one process."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._good: OrderedDict[bytes, tuple[int, int, float]] = OrderedDict()
        self._turns = asyncio.Semaphore(_AT_A_TIME)

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """One's turn to check a password. Raises `Unavailable` when it does not come in time."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable("too many passwords wait to be checked; repeat the call in a moment") from None
        try:
            yield
        finally:
            self._turns.release()

    def remembered(self, credential: str) -> tuple[int, int] | None:
        """User id and credential version of a credential found good in the last five minutes."""
        digest = self._digest(credential)
        found = self._good.get(digest)
        if found is None:
            return None
        if found[2] < time.monotonic():
            del self._good[digest]
            return None
        return found[0], found[1]

    def remember(self, credential: str, user_id: int, version: int) -> None:
        """Remember a good credential."""
        self._good[self._digest(credential)] = (user_id, version, time.monotonic() + _REMEMBERED_S)
        while len(self._good) > _MAX_REMEMBERED:
            self._good.popitem(last=False)

    def forget(self, credential: str) -> None:
        """Forget a credential that the gate did not accept any more."""
        self._good.pop(self._digest(credential), None)

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Whether a password fits its hash; None is an unknown user, who takes as long and never fits. Within `turn`."""
        right = await asyncio.to_thread(_verify, password_hash or _NOBODY, password)
        return right and password_hash is not None

    def _digest(self, credential: str) -> bytes:
        return hmac.digest(self._key, credential.encode("utf-8", "surrogatepass"), hashlib.sha256)


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (Argon2Error, InvalidHashError, UnicodeEncodeError):
        return False
