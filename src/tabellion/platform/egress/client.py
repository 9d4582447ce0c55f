"""The HTTP client for guarded calls: a name is resolved once, and the connection goes to an address that was checked.

TLS is asked for and verified by the name, not by the address. No redirects, no cookies, no proxies from the environment.
"""

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from socket import gaierror
from typing import Any, Self, cast

import httpcore
import msgspec

from tabellion.platform.egress.addresses import Policy
from tabellion.platform.egress.connections import Connections
from tabellion.platform.egress.target import Resolver, Target, TargetRefused, parse_target, resolve
from tabellion.platform.sockets import first_of

CONNECT_WITHIN_S = 5.0
ANSWER_WITHIN_S = 20.0
# What is read of an answer so that its connection can be used again; a longer one ends it.
_ANSWER_READ_BYTES = 64 * 1024
_BODY_WITHIN_S = 1.0


class Reply(msgspec.Struct, frozen=True):
    """An answer, without its body. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]


class Undelivered(Exception):
    """No answer: the message says why, and names no address. `refused`: the target may not be called at all."""

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class _Guarded(httpcore.AsyncNetworkBackend):
    """Every connection of the client is made here."""

    def __init__(self, policy: Policy, resolver: Resolver | None) -> None:
        self._policy = policy
        self._resolver = resolver
        self._backend = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - theirs
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        rest = (port, None, local_address, socket_options)
        try:
            async with asyncio.timeout(timeout):
                addresses = await resolve(Target("https", host, port, "/"), self._policy, self._resolver)
                ways = [partial(self._backend.connect_tcp, str(address), *rest) for address in addresses]
                return await first_of(ways, lambda late: late.aclose())
        except TimeoutError:
            raise httpcore.ConnectTimeout from None

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        raise TargetRefused("is no address")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Client:
    """Makes calls; connections are kept open for a while. One per event loop; `async with` closes them."""

    def __init__(
        self,
        policy: Policy,
        *,
        resolver: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
        connect_within_s: float = CONNECT_WITHIN_S,
        answer_within_s: float = ANSWER_WITHIN_S,
    ) -> None:
        self._policy = policy
        self._connect_within_s = connect_within_s
        self._answer_within_s = answer_within_s
        self._connections = Connections(_Guarded(policy, resolver), tls)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connections.close()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send a body and wait for the answer, 20 s at most (5 s to connect). Raises `Undelivered`."""
        return await self._call("POST", url, {"Content-Length": str(len(body)), **headers}, body)

    async def look(self, url: str, headers: Mapping[str, str], *, method: str = "HEAD") -> Reply:
        """Ask for a page (HEAD or GET), as `post` does. Raises `Undelivered`."""
        return await self._call(method, url, headers, b"")

    async def _call(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        try:
            target = parse_target(url, self._policy)
            async with asyncio.timeout(self._answer_within_s):
                return await self._sent(method, target, headers, body)
        except TargetRefused as error:
            raise Undelivered(f"the target {error}", refused=True) from None
        except (TimeoutError, httpcore.TimeoutException) as error:
            kind = "connection" if isinstance(error, httpcore.ConnectTimeout) else "answer"
            raise Undelivered(f"no {kind} in time") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ssl.SSLError) as error:
            raise Undelivered(_reason(error)) from None

    async def _sent(self, method: str, target: Target, headers: Mapping[str, str], body: bytes) -> Reply:
        url = httpcore.URL(
            scheme=target.scheme.encode(),
            host=target.host.encode(),
            port=target.port,
            target=target.resource.encode(),
        )
        sent = [(b"Host", target.authority.encode())]
        sent += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        extensions = {"timeout": {"connect": self._connect_within_s}}
        async with (
            self._connections.to(url) as connection,
            connection.stream(method, url, headers=sent, content=body, extensions=extensions) as response,
        ):
            await _read(response)
            received = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            return Reply(response.status, received)


async def _read(response: httpcore.Response) -> None:
    """Read the body to its end, for the sake of the connection; the status has been said, whatever becomes of the body."""
    read = 0
    with suppress(TimeoutError, httpcore.NetworkError, httpcore.ProtocolError):
        async with asyncio.timeout(_BODY_WITHIN_S):
            async for chunk in response.aiter_stream():
                read += len(chunk)
                if read > _ANSWER_READ_BYTES:
                    return


def _reason(error: BaseException) -> str:
    """Why a connection failed, in a line."""
    if "certificate" in str(error).lower():
        return "the certificate of the target is not valid for its name"
    match error:
        case httpcore.ConnectError():
            return "the connection was refused or broke"
        case httpcore.ProtocolError():
            return "the answer was no HTTP, or the connection was closed before it"
        case httpcore.NetworkError() | ConnectionError() | ssl.SSLError():
            return "the connection broke"
        case OSError(strerror=str(said)) if not isinstance(error, gaierror):
            # Such as too many open files to read the authorities of certificates.
            return f"this server cannot make calls: {said}"
        case _:
            return "the host name has no address"
