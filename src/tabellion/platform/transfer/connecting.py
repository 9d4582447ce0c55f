"""Connections to servers that callers chose: to the address that was looked at, and within a time."""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Self

from tabellion.kit.tls import as_openssl_checks
from tabellion.platform.egress import Policy, TargetRefused, resolve_host
from tabellion.platform.sockets import connected
from tabellion.platform.transfer.model import Server, TransferError

CONNECT_S = 10.0
IDLE_S = 60.0
LOGIN_S = 60.0
# TypeError: of letters beyond ASCII.
_NO_CERTIFICATE = (ssl.SSLError, ValueError, TypeError)


class Wires:
    """The sockets of a folder whose client blocks: a thread that waits on one cannot be cancelled, but finds it shut.

    A server that sends a byte now and then would else keep the thread for as long as it likes, of the few that there are.
    """

    def __init__(self) -> None:
        self._wires: list[socket.socket] = []
        self._is_cut = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def add(self, wire: socket.socket) -> socket.socket:
        """One more. Raises `ConnectionAbortedError` once they are cut."""
        self._wires = [*(each for each in self._wires if each.fileno() >= 0), wire]
        if self._is_cut:
            self.cut()
            raise ConnectionAbortedError("the folder was left")
        return wire

    def cut(self) -> None:
        """Shut all of them, and those that are still to come."""
        self._is_cut = True
        for wire in self._wires:
            with suppress(OSError):
                # Not TLS's own way, which takes its state from under whoever reads.
                socket.socket.shutdown(wire, socket.SHUT_RDWR)


@asynccontextmanager
async def login_in_time(server: Server) -> AsyncGenerator[None]:
    """Within it the server has to let us in; one that says something now and then is no reason to wait on."""
    try:
        async with asyncio.timeout(LOGIN_S):
            yield
    except TimeoutError:
        why = f"it did not come to the end of the login within {LOGIN_S:g} s"
        raise TransferError("LOGIN", f"{server.host}:{server.port}: {why}") from None


async def connected_socket(server: Server, policy: Policy) -> socket.socket:
    """A connected TCP socket. Raises `TransferError` (CONNECT)."""
    return await connect(await addresses(server, policy), server)


async def connect(found: Sequence[str], server: Server) -> socket.socket:
    """The same to the first of the server's addresses that answers."""
    try:
        async with asyncio.timeout(CONNECT_S):
            return await connected((address, server.port) for address in found)
    except OSError as error:
        why = "no answer" if isinstance(error, TimeoutError) else error.strerror or "refused"
        raise TransferError("CONNECT", f"{server.host}:{server.port} cannot be reached: {why}") from None


async def addresses(server: Server, policy: Policy) -> list[str]:
    """The addresses of the server's host; one that may not be connected to refuses it. Raises `TransferError` (CONNECT)."""
    try:
        async with asyncio.timeout(CONNECT_S):
            return [str(address) for address in await resolve_host(server.host, server.port, policy)]
    except TargetRefused as error:
        raise TransferError("CONNECT", f"the host '{server.host}' {error}") from None
    except (OSError, TimeoutError):
        raise TransferError("CONNECT", f"the host '{server.host}' is not known to the name servers") from None


def tls(server: Server) -> ssl.SSLContext:
    """What certificates are checked against. Raises `TransferError` (CONNECT)."""
    try:
        return as_openssl_checks(ssl.create_default_context(cadata=server.certificate))
    except _NO_CERTIFICATE:
        raise TransferError("CONNECT", "'certificate' is no certificate in PEM") from None


def is_certificate(text: str) -> bool:
    """Whether a text is certificates in PEM."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except _NO_CERTIFICATE:
        return False
    return True


def tls_failure(error: ssl.SSLError) -> TransferError:
    """An error of TLS, in words."""
    reason = getattr(error, "verify_message", "") or error.reason or "the handshake failed"
    return TransferError("CONNECT", f"TLS: {reason}")
