"""Ways to a database: one that can be cut, for one user of it while the others go on, and one with TLS."""

import asyncio
import queue
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

_SSL_REQUEST = bytes.fromhex("0000000804d2162f")


class DatabaseProxy:
    """Passes connections on to a database that listens in a folder. While it is `away`, there are none, and no new ones.

    While it `hangs`, new ones are taken and get no answer. While it is `frozen`, nobody gets any, and no connection ends.
    """

    def __init__(self, url: str, folder: Path) -> None:
        parts = conninfo_to_dict(url)
        self._name = f".s.PGSQL.{parts.get('port') or 5432}"
        self._behind = f"{parts['host']}/{self._name}"
        self._folder = folder
        self.url = url.replace(quote(str(parts["host"]), safe=""), quote(str(folder), safe=""))
        assert self.url != url
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self.away = self.hangs = False

    async def serve(self) -> asyncio.Server:
        return await asyncio.start_unix_server(self._pass_on, self._folder / self._name)

    def cut(self) -> None:
        """From now on it is away."""
        self.away = True
        self._loop.call_soon_threadsafe(lambda: [each.transport.abort() for each in self._writers])

    def hang(self) -> None:
        """From now on it hangs; connections that there are break off."""
        self.hangs = True
        self._loop.call_soon_threadsafe(lambda: [each.transport.abort() for each in self._writers])

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """As a database whose processes are all stopped."""
        thaw = threading.Event()
        self._loop.call_soon_threadsafe(thaw.wait)
        try:
            yield
        finally:
            thaw.set()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.hangs:
            await reader.read()
        if self.hangs or self.away:
            writer.close()
            return
        behind, towards = await asyncio.open_unix_connection(self._behind)
        self._writers |= {writer, towards}
        with suppress(ConnectionError):
            await asyncio.gather(_copy(reader, towards), _copy(behind, writer))
        self._writers -= {writer, towards}


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()


@contextmanager
def proxied(url: str, folder: Path) -> Iterator[DatabaseProxy]:
    """Such a way, at work in a thread."""
    proxy = DatabaseProxy(url, folder)
    server = proxy._loop.run_until_complete(proxy.serve())
    thread = threading.Thread(target=proxy._loop.run_forever)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.cut()
        proxy._loop.call_soon_threadsafe(server.close)
        proxy._loop.call_soon_threadsafe(proxy._loop.stop)
        thread.join(30)


@contextmanager
def with_tls(url: str, context: ssl.SSLContext) -> Iterator[str]:
    """A URL without a host for the same database, on a port of this machine that speaks TLS, and nothing else, with callers."""
    parts = conninfo_to_dict(url)
    behind = f"{parts['host']}/.s.PGSQL.{parts.get('port') or 5432}"

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            if await reader.readexactly(8) != _SSL_REQUEST:
                writer.close()
                return
            writer.write(b"S")
            await writer.start_tls(context)
            from_server, to_server = await asyncio.open_unix_connection(behind)
            await asyncio.gather(_copy(reader, to_server), _copy(from_server, writer))

    stopped, ports = threading.Event(), queue.SimpleQueue[int]()

    async def serve() -> None:
        async with await asyncio.start_server(pass_on, "127.0.0.1", 0) as server:
            ports.put(server.sockets[0].getsockname()[1])
            await asyncio.to_thread(stopped.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield f"postgresql://{parts['user']}@HOST:{ports.get(timeout=10)}/{parts['dbname']}"
    finally:
        stopped.set()
        thread.join(30)
