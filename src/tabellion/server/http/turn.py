"""One request and its answer, as an ASGI application sees them (specification 2.3)."""

import asyncio
import logging
from http import HTTPStatus
from typing import Any, Protocol

from tabellion.kit.problem import Problem
from tabellion.platform.http.front import App, Left
from tabellion.platform.http.problems import RequestTooSlow

MORE_WITHIN_S = 60.0
_HOLD_BACK_FROM_BYTES = 65_536
_JOINED_UP_TO_BYTES = 65_536
_CONTROLS = bytes({*range(32), 127} - {9})
_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus if status >= HTTPStatus.OK
}
_BODILESS = frozenset({204, 304})
_log = logging.getLogger(__name__)


class Connection(Protocol):
    """What of a connection its requests make use of."""

    @property
    def date(self) -> bytes:
        """The header with the time."""
        ...

    def write(self, data: bytes) -> None:
        """Send."""
        ...

    async def drained(self) -> None:
        """Wait until what was sent has mostly left."""
        ...

    def read_on(self) -> None:
        """Take more of what the caller sends."""
        ...

    def hold_back(self) -> None:
        """Take no more of it for now."""
        ...

    def answered(self, *, keep_alive: bool) -> None:
        """Go on with the next request, or end."""
        ...


class Turn:
    """A request under way.

    `keep_alive`: whether the connection goes on after the answer. `over`: the answer is whole, or nobody waits for it.
    """

    def __init__(self, connection: Connection, scope: dict[str, Any], *, keep_alive: bool, asked_for: bool = False) -> None:
        self.keep_alive = keep_alive
        self.over = False
        self._connection = connection
        self._scope = scope
        # Whether the caller waits to be asked for the body (RFC 9110, section 10.1.1).
        self._asked_for = asked_for
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended = False
        self._end_told = False
        self._broken: Problem | None = None
        self._news: asyncio.Future[None] | None = None
        self._head: bytes | None = None
        self._left = 0

    async def run(self, app: App) -> None:
        """Have it answered. The application answers its own failures; what leaves it all the same is logged."""
        try:
            await app(self._scope, self.receive, self.send)
        except Exception:  # noqa: BLE001 - nobody is left to tell
            _log.exception("a request was not answered")
        finally:
            if not self.over:
                self.over = True
                self._connection.answered(keep_alive=False)

    def put(self, piece: bytes) -> None:
        """A piece of the body has come."""
        if self.over:
            return
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > _HOLD_BACK_FROM_BYTES:
            self._connection.hold_back()
        self._wake()

    def end_body(self) -> None:
        """The body is whole."""
        self._ended = True
        self._wake()

    def break_off(self, problem: Problem) -> None:
        """The body cannot be read on; who reads it is told, and may still answer."""
        self._broken = problem
        self.keep_alive = False
        self._wake()

    def leave(self) -> None:
        """The caller has gone."""
        self.over = True
        self._wake()

    async def receive(self) -> dict[str, Any]:
        """The next piece of the body; when there is none, the end of the call. Raises `Problem` if it cannot be read on."""
        if self._asked_for:
            self._asked_for = False
            if self._head is None:
                self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not self.over:
            if self._pieces or (self._ended and not self._end_told):
                body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
                self._pieces.clear()
                self._size = 0
                self._end_told = self._ended
                return {"type": "http.request", "body": body, "more_body": not self._ended}
            if self._broken is not None:
                raise self._broken
            self._connection.read_on()
            self._news = asyncio.get_running_loop().create_future()
            try:
                await asyncio.wait_for(self._news, None if self._ended else MORE_WITHIN_S)
            except TimeoutError:
                self.break_off(RequestTooSlow(f"nothing more of the body had come for {MORE_WITHIN_S:g} s"))
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        """The head of the answer, then its body in pieces. The head leaves with the first piece.

        Raises `Left` where there are more pieces to come and nobody to take them.
        """
        if self.over:
            if message.get("more_body", False):
                raise Left
            return
        if message["type"] == "http.response.start":
            self._asked_for = False
            self._head = self._head_of(message["status"], message["headers"])
            return
        body = message.get("body", b"")
        more = message.get("more_body", False)
        if self._scope["method"] == "HEAD":
            body = b""
        elif self._left >= 0:
            self._left -= len(body)
            if self._left < 0 or not (more or self._left == 0):
                raise RuntimeError("the answer is not as long as its head says")
        head, self._head = self._head, b""
        if head is None:
            raise RuntimeError("an answer begins with its head")
        if head and len(body) <= _JOINED_UP_TO_BYTES:
            self._connection.write(head + body)
        else:
            if head:
                self._connection.write(head)
            if body:
                self._connection.write(body)
        # Also behind the last piece: another request is read when there is room for its answer.
        await self._connection.drained()
        if more:
            return
        self.over = True
        self._wake()
        self._connection.answered(keep_alive=self.keep_alive)

    def _head_of(self, status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
        pieces: list[bytes] = []
        lines = 0
        self._left = 0 if status in _BODILESS else -1
        for name, value in headers:
            if name == b"content-length":
                self._left = int(value)
            elif name == b"connection":
                # "close": nothing else is said here.
                self.keep_alive = False
                continue
            pieces += (name, b": ", value, b"\r\n")
            lines += 1
        told = b"".join(pieces)
        if len(told) - len(told.translate(None, _CONTROLS)) != 2 * lines:
            raise RuntimeError("a header of the answer has a line end or another control character in it")
        if self._left < 0 and self._scope["method"] != "HEAD":
            # Its end is the connection's.
            self.keep_alive = False
        connection = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        return b"".join((_STATUS_LINES[status], self._connection.date, told, connection))

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
