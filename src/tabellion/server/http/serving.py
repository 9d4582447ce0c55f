"""One process that serves an application on a socket that listens already."""

import asyncio
import resource
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager

import uvicorn

from tabellion.platform.http.front import App
from tabellion.server.http.protocol import Protocol

BACKLOG = 1024


def serve_on(listening: socket.socket, create_app: Callable[[], App]) -> None:
    """Serve until SIGTERM or SIGINT; calls in flight are finished, however long they take. Ends the process on failure."""
    config = uvicorn.Config(
        create_app,
        factory=True,
        interface="asgi3",
        lifespan="on",
        loop="uvloop",
        http=Protocol,
        ws="none",
        backlog=BACKLOG,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )
    open_all_descriptors()
    _Server(config).run([listening])


def open_all_descriptors() -> None:
    """Take as many connections as the system allows, and not the 1,024 that it begins with.

    That many idle ones from a single machine would keep everybody else out.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class _Server(uvicorn.Server):
    """Ends at once when it is told to before it serves."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals have their effect from the kernel, until there are calls to be finished."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and to mind signals."""
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, sockets or [])

    def _stop(self, sockets: list[socket.socket]) -> None:
        """Take no more connections; the rest follows within a tenth of a second."""
        self.should_exit = True
        for server in self.servers:
            server.close()
        for each in sockets:
            each.close()
