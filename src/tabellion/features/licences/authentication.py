"""From the words of a request to a credential that the gate can look up; wrong passwords and guesses are throttled."""

import base64
import binascii
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from datetime import datetime, timedelta
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Literal, NamedTuple, Protocol

from tabellion.features.licences import store
from tabellion.features.licences.errors import AuthThrottled, Unauthorized
from tabellion.features.licences.passwords import PasswordChecks
from tabellion.kit import keys
from tabellion.platform.database.connection import Database

# Per minute. A person mistypes a few times; an address may be a whole company behind one proxy.
MAX_USER_FAILURES = 10
MAX_ADDRESS_FAILURES = 50
WINDOW = timedelta(minutes=1)
# A customer of an IPv6 network has 64 bits of addresses, and may take another one for each call.
_HOST_BITS = 64
_CLOSED_S, _MOST_CLOSED = 5.0, 10_000
_NAMES = {"k": "key", "t": "token", "u": "password"}


class Credential(NamedTuple):
    """What the gate looks up: `k` and `t` by digest, `u` by user id and credential version."""

    kind: Literal["k", "t", "u"]
    digest: bytes = b""
    user_id: int = 0
    version: int = 0
    basic: str = ""

    @property
    def name(self) -> str:
        """`key`, `token` or `password`, for the audit trail."""
        return _NAMES[self.kind]


class Connections(Protocol):
    """Where a connection for the rare look-ups comes from."""

    def connection(self) -> AbstractAsyncContextManager[Database]:
        """A connection in autocommit mode."""
        ...


class Authentication:
    """Reads credentials for one process."""

    def __init__(self, connections: Connections, clock: Callable[[], datetime]) -> None:
        self._connections = connections
        self._clock = clock
        self._checks = PasswordChecks()
        # Origins that have failed too often, and until when that is known without asking the database.
        self._closed_until_s: dict[str, float] = {}

    async def read(self, authorization: str | None, address: str) -> Credential:
        """The credential of an Authorization header: a bare API key, Bearer (token or key), or Basic.

        Raises `Unauthorized` (auth.missing, auth.invalid), `AuthThrottled`, and `Unavailable` where passwords have to wait
        too long for being checked.
        """
        if authorization is None or not authorization.strip():
            raise Unauthorized(
                "credentials are missing: send Authorization: Bearer <access token or API key>", "auth.missing"
            )
        scheme, _, rest = authorization.strip().partition(" ")
        match scheme.lower():
            case "bearer":
                return await self._secret(rest.strip(), address)
            case "basic":
                return await self._basic(rest.strip(), address)
            case _ if not rest:
                return await self._secret(scheme, address)
            case _:
                raise Unauthorized("the scheme of Authorization is Bearer or Basic")

    async def key(self, authorization: str | None, address: str) -> Credential:
        """The credential of `GET /auth/token`, which takes API keys only. Raises as `read`."""
        credential = await self.read(authorization, address)
        if credential.kind != "k":
            raise Unauthorized("an access token is given for an API key: send Authorization: <api key>")
        return credential

    async def password(self, licence: str, login: str, password: str, address: str) -> Credential:
        """The credential of a licence's API user by password. Raises as `read`."""
        if "\x00" in licence or "\x00" in login or "\x00" in password:
            raise Unauthorized("licence, login or password is wrong")
        whole = f"{licence}/{login}:{password}"
        known = self._checks.remembered(whole)
        if known is None:
            self._check_open(_origin(address))
            # In turn, the look at the failures too: of a thousand guesses at once none is tried beyond the limit.
            async with self._checks.turn():
                known = self._checks.remembered(whole) or await self._checked(licence, login, password, address)
            self._checks.remember(whole, *known)
        return Credential("u", user_id=known[0], version=known[1], basic=whole)

    async def _checked(self, licence: str, login: str, password: str, address: str) -> tuple[int, int]:
        """User id and credential version of a right password."""
        subjects = [_origin(address), f"user:{licence.lower()}/{login.lower()}"[:200]]
        async with self._connections.connection() as db:
            _throttle(await store.failures(db, subjects, self._clock(), WINDOW))
            user = await store.password_user(db, licence, login)
        if not await self._checks.matches(user.password_hash if user else None, password) or user is None:
            await self._fail(subjects)
            raise Unauthorized("licence, login or password is wrong")
        return user.user_id, user.credential_version

    async def refused(self, credential: Credential, address: str) -> Unauthorized:
        """The refusal of a credential that the gate does not know; a wrong key is counted. Raises `AuthThrottled`.

        Tokens are not: whoever has one got it here, and must hear 401 to get another, however often the old one comes.
        """
        if credential.kind == "u":
            # Rotated or revoked since the password was checked.
            self._checks.forget(credential.basic)
            return Unauthorized("licence, login or password is wrong")
        if credential.kind == "k":
            await self._fail([_origin(address)])
        return Unauthorized("the credentials are not known, or were revoked")

    async def _secret(self, secret: str, address: str) -> Credential:
        if keys.looks_right(secret, keys.KEY_PREFIX):
            return Credential("k", keys.digest(secret))
        if keys.looks_right(secret, keys.TOKEN_PREFIX):
            return Credential("t", keys.digest(secret))
        await self._fail([_origin(address)])
        raise Unauthorized("the credentials are not known, or were revoked")

    async def _basic(self, encoded: str, address: str) -> Credential:
        # Perl and Ruby break what they encode into lines, which arrive as blanks; others leave the padding off.
        packed = "".join(encoded.split()).rstrip("=")
        try:
            raw = base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise Unauthorized("Basic credentials are base64 of licence/login:password") from None
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            # What older clients mean, before the charset of Basic was agreed on (RFC 7617, appendix B).
            text = raw.decode("latin-1")
        user, colon, password = text.partition(":")
        licence, slash, login = user.partition("/")
        if not colon or not slash:
            raise Unauthorized("Basic credentials are base64 of licence/login:password")
        return await self.password(licence, login, password, address)

    async def _fail(self, subjects: list[str]) -> None:
        """Count a failure of an origin, and of a user. Raises `AuthThrottled`."""
        origin = subjects[0]
        self._check_open(origin)
        async with self._connections.connection() as db:
            failures = await store.record_failure(db, subjects, self._clock(), WINDOW)
        if failures[origin] > MAX_ADDRESS_FAILURES:
            if len(self._closed_until_s) >= _MOST_CLOSED:
                self._closed_until_s.clear()
            self._closed_until_s[origin] = time.monotonic() + _CLOSED_S
        _throttle(failures)

    def _check_open(self, origin: str) -> None:
        """A flood of failures would queue for one row, on all the connections that there are. Raises `AuthThrottled`."""
        if self._closed_until_s.get(origin, 0.0) > time.monotonic():
            raise AuthThrottled(int(WINDOW.total_seconds()))


def _origin(address: str) -> str:
    """Whose failures are counted together: those of an IPv4 address, or of the network that one customer has in IPv6."""
    with suppress(ValueError):
        found = ip_address(address)
        if isinstance(found, IPv6Address):
            mapped = found.ipv4_mapped
            return f"address:{mapped or IPv6Network((int(found) >> _HOST_BITS << _HOST_BITS, 128 - _HOST_BITS))}"
    return f"address:{address}"


def _throttle(failures: dict[str, int]) -> None:
    """Raises `AuthThrottled` when a subject has failed too often within the window."""
    for subject, count in failures.items():
        limit = MAX_ADDRESS_FAILURES if subject.startswith("address:") else MAX_USER_FAILURES
        if count > limit:
            raise AuthThrottled(int(WINDOW.total_seconds()))
