"""One connection: what comes goes to its reader, requests to the application; what does not come in time is given up."""

import asyncio
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from tabellion.kit.problem import Problem
from tabellion.platform.http.front import REFUSAL
from tabellion.platform.http.problems import RequestTooSlow
from tabellion.server.http.reader import Reader
from tabellion.server.http.turn import Turn

HEAD_WITHIN_S = 30.0
# Longer than proxies keep a connection that nobody uses: one that is closed here while a request comes over it costs a 502.
# Google's load balancers keep them for 600 s, Caddy for 120, nginx and those of Amazon for 60.
KEPT_ALIVE_S = 620.0
TAKEN_WITHIN_S = 60.0
_LINGER_S = 2.0
_NOTHING_READ = {
    "method": "",
    "path": "/",
    "raw_path": b"/",
    "query_string": b"",
    "headers": [],
    "http_version": "1.1",
}


class Protocol(asyncio.Protocol):
    """A connection of a client. uvicorn makes them, and has them end."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self._app = config.loaded_app
        self._server = server_state
        # Of which the type names protocols of uvicorn alone.
        self._connections: set[Any] = server_state.connections
        self._loop = _loop or asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._client: Any = None
        self._reader = Reader(self._start)
        self._turn: Turn | None = None
        # What has come and was not read: a head that goes on, or what follows a request under way.
        self._ahead = bytearray()
        # Nothing is read any more.
        self._over = False
        # Nothing more is sent.
        self._last = False
        self._held_back = False
        self._room: asyncio.Future[None] | None = None
        # Until when what comes next is waited for. The clock rings at that time or before: it is not set with each request.
        self._deadline_s = 0.0
        self._rings_s = 0.0
        self._clock: asyncio.TimerHandle | None = None

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request."""
        self._transport = cast("asyncio.Transport", transport)
        self._client = transport.get_extra_info("peername")
        self._connections.add(self)
        self._wait_for_it(HEAD_WITHIN_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """The application hears of it from what it waits for."""
        self._over = True
        self._connections.discard(self)
        if self._clock is not None:
            self._clock.cancel()
        self.resume_writing()
        if self._turn is not None:
            self._turn.leave()

    def data_received(self, data: bytes) -> None:
        """Read what has come, as far as it can be read now."""
        if self._over:
            return
        if self._ahead:
            self._ahead += data
            self._read_ahead()
            return
        used = self._read(data)
        if used < len(data):
            self._ahead += memoryview(data)[used:]
            self._mind_the_head()

    def eof_received(self) -> bool:
        """Nothing more comes: what has come whole is answered all the same, and whoever breaks off in a body has left."""
        self._last = True
        return self._owes_an_answer

    def pause_writing(self) -> None:
        """The other side is slow to read."""
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """It has read on."""
        if self._room is not None:
            if not self._room.done():
                self._room.set_result(None)
            self._room = None

    # What uvicorn asks for.

    def shutdown(self) -> None:
        """End after the answer under way."""
        if self._turn is None or self._turn.over:
            self._close()
        else:
            self._turn.keep_alive = False

    # What a request under way asks for.

    @property
    def date(self) -> bytes:
        """The header with the time, as uvicorn sets it each second."""
        return b"".join([b"%b: %b\r\n" % header for header in self._server.default_headers])

    def write(self, data: bytes) -> None:
        """Send."""
        self._transport.write(data)

    async def drained(self) -> None:
        """Wait until what was sent has mostly left; who reads nothing of it for a minute is given up."""
        while (room := self._room) is not None:
            left = self._transport.get_write_buffer_size()
            await asyncio.wait({room}, timeout=TAKEN_WITHIN_S)
            if not room.done() and self._transport.get_write_buffer_size() >= left:
                self._transport.abort()
                return

    def hold_back(self) -> None:
        """Read no more for now."""
        if not self._held_back:
            self._held_back = True
            self._transport.pause_reading()

    def read_on(self) -> None:
        """Read again."""
        if self._held_back:
            self._held_back = False
            self._transport.resume_reading()

    def answered(self, *, keep_alive: bool) -> None:
        """Go on with what has come meanwhile, wait for the next request, or end."""
        if self._transport.is_closing():
            return
        self.read_on()
        if not keep_alive:
            self._end()
        elif not self._over:
            self._wait_for_it(KEPT_ALIVE_S)
            if self._ahead:
                self._read_ahead()
                self._mind_the_head()
            if self._last and not self._owes_an_answer:
                self._close()

    # Requests.

    @property
    def _owes_an_answer(self) -> bool:
        """Whether a request is under way that has come whole, or cannot."""
        return self._turn is not None and not self._turn.over and (self._over or not self._reader.in_body)

    def _read(self, data: bytes | bytearray) -> int:
        try:
            used = self._reader.take(data)
        except Problem as problem:
            self._refuse(problem)
            return len(data)
        if used < len(data) and self._reader.is_busy:
            self.hold_back()
        return used

    def _read_ahead(self) -> None:
        used = self._read(self._ahead)
        del self._ahead[:used]
        if used:
            self._mind_the_head()

    def _start(self, request: dict[str, Any], *, keep_alive: bool, asked_for: bool = False) -> Turn:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "scheme": "http",
            "root_path": "",
            "client": self._client,
            **request,
        }
        turn = self._turn = Turn(self, scope, keep_alive=keep_alive, asked_for=asked_for)
        task = self._loop.create_task(turn.run(self._app))
        tasks = self._server.tasks
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return turn

    def _refuse(self, problem: Problem) -> None:
        """Answer what cannot be read, and end the connection."""
        self._over = True
        if self._turn is not None and not self._turn.over:
            # The body broke off; the application answers that by itself.
            self._turn.break_off(problem)
        elif self._reader.in_body:
            # It was answered before its body had come.
            self._close()
            return
        else:
            self._start({**_NOTHING_READ, REFUSAL: problem}, keep_alive=False).end_body()
        self.read_on()

    def _end(self) -> None:
        """Close; what could not be read to its end is listened to a little longer.

        Closed while bytes are under way here, a connection is reset, and the answer may be lost (RFC 9112, section 9.6).
        """
        if self._over:
            self._transport.write_eof()
            self._loop.call_later(_LINGER_S, self._close)
        else:
            self._over = True
            self._close()

    def _close(self) -> None:
        """Close, once what was sent has left; who does not read the rest of it within a minute is given up."""
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._loop.call_later(TAKEN_WITHIN_S, self._transport.abort)

    # Times.

    def _mind_the_head(self) -> None:
        """A head has begun: wait for its end."""
        if self._ahead and not self._over and not self._reader.is_busy:
            self._wait_for_it(HEAD_WITHIN_S)

    def _wait_for_it(self, seconds: float) -> None:
        now_s = self._loop.time()
        self._deadline_s = now_s + seconds
        if self._clock is None or self._rings_s > self._deadline_s:
            self._set_clock(now_s)

    def _set_clock(self, now_s: float) -> None:
        if self._clock is not None:
            self._clock.cancel()
        self._rings_s = self._deadline_s
        self._clock = self._loop.call_later(self._deadline_s - now_s, self._ring)

    def _ring(self) -> None:
        self._clock = None
        # A request under way has its time; the answer sets the clock again.
        if self._over or self._transport.is_closing() or self._reader.is_busy:
            return
        now_s = self._loop.time()
        if now_s < self._deadline_s:
            self._set_clock(now_s)
        elif self._ahead:
            self._refuse(RequestTooSlow(f"the head of the request had not come within {HEAD_WITHIN_S:g} s"))
        else:
            self._close()
