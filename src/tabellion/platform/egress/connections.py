"""Connections that are kept open for the next call to the same place.

The library's own pool looks at all its connections for each call, which with a thousand of them takes longer than the call.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from ssl import SSLContext
from time import monotonic

import httpcore

from tabellion.kit.tls import as_openssl_checks

_KEPT_OPEN_S = 15.0
_MOST_IDLE = 500

Connection = httpcore.AsyncHTTPConnection
Place = tuple[str, str, int]


class Connections:
    """Hands out a connection to one call at a time. One per event loop."""

    def __init__(self, backend: httpcore.AsyncNetworkBackend, tls: SSLContext | None) -> None:
        """`tls` None: the authorities of the system, and those that the library knows."""
        self._backend = backend
        self._tls = tls
        self._idle: dict[Place, list[Connection]] = {}
        self._count = 0
        self._swept_s = monotonic()

    @asynccontextmanager
    async def to(self, url: httpcore.URL) -> AsyncGenerator[Connection]:
        """A connection to the place of a URL: an idle one, or one that is made with the first request."""
        place = (url.scheme.decode(), url.host.decode(), url.origin.port)
        connection = await self._take(place) or self._made(url)
        try:
            yield connection
        finally:
            if connection.is_idle() and self._count < _MOST_IDLE:
                self._idle.setdefault(place, []).append(connection)
                self._count += 1
            else:
                await connection.aclose()
            await self._sweep()

    async def close(self) -> None:
        """Close the idle ones."""
        idle, self._idle, self._count = self._idle, {}, 0
        for connections in idle.values():
            for connection in connections:
                await connection.aclose()

    def _made(self, url: httpcore.URL) -> Connection:
        if self._tls is None and url.scheme == b"https":
            # Made when it is needed: most processes never call anybody, and the authorities take 3 MB of memory.
            self._tls = as_openssl_checks(httpcore.default_ssl_context())
        return Connection(url.origin, ssl_context=self._tls, keepalive_expiry=_KEPT_OPEN_S, network_backend=self._backend)

    async def _take(self, place: Place) -> Connection | None:
        kept = self._idle.get(place)
        while kept:
            connection = kept.pop()
            self._count -= 1
            # Expired is also one that the other side has closed.
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return None

    async def _sweep(self) -> None:
        if monotonic() - self._swept_s < _KEPT_OPEN_S:
            return
        self._swept_s = monotonic()
        everything, self._idle, self._count = self._idle, {}, 0
        expired: list[Connection] = []
        for place, connections in everything.items():
            fresh = [connection for connection in connections if not connection.has_expired()]
            expired += [connection for connection in connections if connection not in fresh]
            if fresh:
                self._idle[place] = fresh
                self._count += len(fresh)
        for connection in expired:
            await connection.aclose()
