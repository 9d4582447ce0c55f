"""Receivers of webhooks on loopback: real HTTP servers that answer, hang, break off or refuse, as they are told."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Received(msgspec.Struct):
    """One request; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def status(code: int, **headers: str) -> bytes:
    """An answer without a body."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {code} Whatever\r\n{lines}Content-Length: 0\r\n\r\n".encode()


class Receiver:
    """`answer` says what comes back for a request: bytes, `"hang"` or `"reset"`; `hold` is waited for before."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.answer: Callable[[Received], bytes | str] = lambda _: OK
        self.hold: Callable[[], Awaitable[object]] | None = None
        self.connections = 0
        self.most_at_once = 0
        self._at_once = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def answers(self, *answers: bytes | str) -> None:
        """These in turn, then the last one for ever."""
        left: list[bytes | str] = list(answers)
        self.answer = lambda _: left.pop(0) if len(left) > 1 else left[0]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        received = Received(head[0].split(" ")[1], headers, body)
        self.requests.append(received)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            answer = self.answer(received)
            if self.hold is not None:
                await self.hold()
            if answer == "hang":
                # Until the other side has had enough.
                await reader.read()
                return False
            if answer == "reset":
                writer.transport.abort()
                return False
            assert isinstance(answer, bytes)
            writer.write(answer)
            await writer.drain()
            return True
        finally:
            self._at_once -= 1


@asynccontextmanager
async def receiving(count: int = 1) -> AsyncIterator[Sequence[Receiver]]:
    """So many receivers."""
    receivers = [Receiver() for _ in range(count)]
    servers = []
    for receiver in receivers:
        server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, limit=2**24)
        receiver.port = server.sockets[0].getsockname()[1]
        servers.append(server)
    yield receivers
    for server in servers:
        server.close()
