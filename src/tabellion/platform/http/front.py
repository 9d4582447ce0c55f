"""The ASGI front: takes a request apart before it is routed, and sees to what every answer needs.

What is behind it sees the normalised, still percent-encoded path, so that one handler stands behind all the aliases of a
call. The front adds the request id, answers HEAD as GET without body, compresses, frees the concurrency slot once the
answer has left, and reports to log and metrics.
"""

import asyncio
import gzip
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from tabellion.kit.problem import Problem
from tabellion.platform.http import negotiation, render
from tabellion.platform.http.exchange import Exchange, Rendered
from tabellion.platform.http.paths import normalise

Scope = Any
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_SCOPE_KEY = "tabellion.exchange"
# In the scope of what could not be read as a request: the `Problem` that it is answered with.
REFUSAL = "tabellion.refusal"
# Below this a compressed answer is hardly smaller than the packet it travels in.
COMPRESS_FROM_BYTES = 1400
_COMPRESS_APART_FROM_BYTES = 256 * 1024
# A refusal may come before the body was read. Closed with bytes unread, a connection is reset and the answer may be lost on
# its way (RFC 9112, section 9.6); so the rest is read first, within bounds.
_REST_BYTES = 16 * 1024 * 1024
_REST_SECONDS = 5.0
_PIECE_BYTES = 256 * 1024
_CHALLENGE = re.compile(rb", (?=[A-Za-z]+ realm=)")
COMPRESSIBLE = ("application/json", "application/xml", "text/", "application/problem+json")


class Left(Exception):
    """The caller has gone before all pieces of the answer were sent."""


class Report(Protocol):
    """Called once per request, after the answer has left: writes the log line and the metrics."""

    def __call__(self, exchange: Exchange, seconds: float) -> None:
        """Tell of a request that took this long."""
        ...


def exchange_of(scope: Any) -> Exchange:
    """The request behind a scope that the front has handed on."""
    return scope[_SCOPE_KEY]


class Front:
    """The outermost ASGI application.

    `translate` turns an exception of a lower layer (a lost database) into a `Problem`, or gives None for a bug.
    `address` reads the client's address (which proxies are trusted is the operator's setting).
    """

    def __init__(
        self,
        inner: App,
        *,
        new_id: Callable[[], str],
        address: Callable[[Scope, dict[str, str]], str],
        translate: Callable[[BaseException], Problem],
        report: Report,
    ) -> None:
        self._inner = inner
        self._new_id = new_id
        self._address = address
        self._translate = translate
        self._report = report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection; lifespan messages go straight through."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        started = time.perf_counter()
        exchange = self._take_apart(scope)
        if exchange.has_body:
            receive = _noting(receive, exchange)
        outgoing = _Outgoing(receive, send, exchange)
        try:
            if REFUSAL in scope:
                await self._answer_failure(scope[REFUSAL], exchange, outgoing)
                return
            # The server's own scope keeps the method of the request: an answer to HEAD has a length, and no body.
            inner = scope if exchange.method != "HEAD" else {**scope, "method": "GET"}
            await self._inner(inner, receive, outgoing)
        except Left:
            return
        except Exception as error:  # noqa: BLE001 - the edge: whatever happened, the caller gets an answer
            await self._answer_failure(error, exchange, outgoing)
        finally:
            if exchange.admission is not None:
                exchange.admission.release(exchange.error_code)
            self._report(exchange, time.perf_counter() - started)

    def _take_apart(self, scope: Scope) -> Exchange:
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            key = name.decode("latin-1")
            text = value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        family, path = normalise(scope.get("raw_path") or scope["path"].encode())
        exchange = Exchange(
            request_id=self._new_id(),
            method=scope["method"],
            family=family,
            path=path,
            address=self._address(scope, headers),
            headers=headers,
            query=scope["query_string"],
        )
        scope[_SCOPE_KEY] = exchange
        scope["path"] = path
        return exchange

    async def _answer_failure(self, error: BaseException, exchange: Exchange, outgoing: "_Outgoing") -> None:
        problem = self._translate(error)
        exchange.error = error if problem.status == 500 else None  # noqa: PLR2004 - our own fault
        exchange.error_code = problem.code
        if outgoing.started:
            return
        version = "v4" if exchange.path.startswith("/v4/") else "v5"
        fmt = negotiation.error_format(exchange.headers.get("accept"), version)
        await send_rendered(outgoing, render.problem(problem, exchange, fmt, v1="/v1/" in exchange.path))


def _noting(receive: Receive, exchange: Exchange) -> Receive:
    """The same, but it is noted when the whole body was read: to ask for more would be to wait for the caller to leave."""

    async def noted() -> Any:
        message = await receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            exchange.body_read = True
        return message

    return noted


class _Outgoing:
    """The `send` of one answer: adds common headers, drops the body of a HEAD, remembers the status."""

    __slots__ = ("_exchange", "_receive", "_send", "_without_body", "started")

    def __init__(self, receive: Receive, send: Send, exchange: Exchange) -> None:
        self._receive = receive
        self._send = send
        self._exchange = exchange
        self._without_body = exchange.method == "HEAD"
        self.started = False

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            exchange = self._exchange
            exchange.status = message["status"]
            headers: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
            message["headers"] = headers
            headers.append((b"x-request-id", exchange.request_id.encode()))
            if exchange.answer_headers:
                headers.extend(_raw(exchange.answer_headers))
            if exchange.admission is not None:
                headers.extend(exchange.admission.limits.raw_headers(bulk=exchange.is_bulk))
            if not exchange.body_read and exchange.has_body and not await self._rest_of_body():
                headers.append((b"connection", b"close"))
        elif self._without_body:
            message = {"type": "http.response.body", "body": b"", "more_body": message.get("more_body", False)}
        await self._send(message)

    async def _rest_of_body(self) -> bool:
        """Read what the caller is still sending; whether that was all. Who waits to be asked for it is not asked."""
        if "expect" in self._exchange.headers:
            return False
        size = 0
        try:
            async with asyncio.timeout(_REST_SECONDS):
                while size <= _REST_BYTES:
                    message = await self._receive()
                    if message["type"] != "http.request":
                        return False
                    if not message.get("more_body", False):
                        return True
                    size += len(message["body"])
        except (TimeoutError, Problem):
            return False
        return False


async def send_rendered(send: Send, rendered: Rendered, accept_encoding: str = "") -> None:
    """Send an answer, compressed when the caller accepts gzip and it is worth it."""
    body = rendered.body
    headers = _raw(rendered.headers)
    if rendered.file is not None:
        await _send_file(send, rendered.status, headers, rendered.file)
        return
    if len(body) >= COMPRESS_FROM_BYTES and accepts_gzip(accept_encoding):
        if rendered.headers.get("Content-Type", "").startswith(COMPRESSIBLE):
            # A megabyte takes 17 ms: nobody else is to wait for that.
            compress = partial(gzip.compress, body, 5)
            body = compress() if len(body) < _COMPRESS_APART_FROM_BYTES else await asyncio.to_thread(compress)
            headers.append((b"content-encoding", b"gzip"))
        if "Vary" not in rendered.headers:
            headers.append((b"vary", render.VARY.encode()))
    if rendered.status not in {204, 304}:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": rendered.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _send_file(send: Send, status: int, headers: list[tuple[bytes, bytes]], path: Path) -> None:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        headers.append((b"content-length", str(os.fstat(file.fileno()).st_size).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        file.close()


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI wants them."""
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return raw if "WWW-Authenticate" not in headers else list(_challenges_apart(raw))


def _challenges_apart(raw: list[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """One line a challenge: Perl's LWP and others take a line for a single one, and would never come to Basic."""
    for name, value in raw:
        if name == b"www-authenticate":
            yield from ((name, challenge) for challenge in _CHALLENGE.split(value))
        else:
            yield name, value


def accepts_gzip(header: str) -> bool:
    """What is said of gzip itself counts, wherever it stands, else what is said of all (RFC 9110, section 12.5.3)."""
    accepted: dict[str, bool] = {}
    for part in header.split(","):
        coding, _, quality = part.partition(";")
        accepted[coding.strip().lower()] = quality.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return accepted.get("gzip", accepted.get("*", False))
