"""Folders over FTP and FTPS (RFC 959, RFC 4217; the standard library's client in a thread)."""
# ruff: noqa: S321 - callers whose partners speak nothing else choose FTP; the guide recommends SFTP

import asyncio
import ftplib
import socket
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TextIO

from tabellion.platform.egress import Policy
from tabellion.platform.transfer.connecting import IDLE_S, Wires, connected_socket, login_in_time, tls, tls_failure
from tabellion.platform.transfer.folder import Folder, Opened, in_thread
from tabellion.platform.transfer.model import (
    IMPLICIT_TLS_PORT,
    RemoteFile,
    Server,
    Tally,
    TransferError,
    aside_of,
    inside,
    is_plain_name,
    partial_name,
    too_large,
)

_BLOCK = 1 << 18
_GONE = "550"
_GOODBYE_S = 5.0
_LONGEST_ANSWER = 100_000


@asynccontextmanager
async def open_folder(server: Server, path: str, policy: Policy) -> AsyncGenerator[Opened]:
    """A folder on an FTP server; FTPS means TLS for commands and files, implicit on port 990. Raises `TransferError`."""
    context = tls(server) if server.protocol == "FTPS" else None
    with Wires() as wires:
        raw = wires.add(await connected_socket(server, policy))
        async with login_in_time(server):
            client = await asyncio.to_thread(_login, server, raw, context, wires)
        try:
            yield Opened(_FtpFolder(client, path, wires))
        finally:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.to_thread(_quit, client), _GOODBYE_S)


class _Plain(ftplib.FTP):
    """Ends listings and answers that are too long; the library reads all of them before it looks at a line."""

    wires: Wires
    _said = 0

    def getmultiline(self) -> str:
        self._said = 0
        return super().getmultiline()

    def getline(self) -> str:
        line = super().getline()
        self._said += len(line)
        if self._said > _LONGEST_ANSWER:
            raise ftplib.Error("an answer of the server does not end")
        return line

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        return self.wires.add(connection), size

    def retrlines(self, cmd: str, callback: Callable[[str], object] | None = None) -> str:
        tally = Tally()

        def take(line: str) -> None:
            tally.take(line)
            if callback is not None:
                callback(line)

        return super().retrlines(cmd, take)


class _Tls(_Plain, ftplib.FTP_TLS):
    """Data connections go on with the TLS session of the commands, which many servers insist on."""

    def auth(self) -> str:
        answer = super().auth()
        if self.sock is not None:
            self.file = _replies(self.wires.add(self.sock))
        return answer

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int]:
        connection, size = super().ntransfercmd(cmd, rest)
        session = self.sock.session if isinstance(self.sock, ssl.SSLSocket) else None
        wrapped = self.context.wrap_socket(connection, server_hostname=self.host, session=session)
        return self.wires.add(wrapped), size or 0


def _login(server: Server, raw: socket.socket, context: ssl.SSLContext | None, wires: Wires) -> ftplib.FTP:
    raw.settimeout(IDLE_S)
    client = _Plain(encoding="utf-8") if context is None else _Tls(context=context, encoding="utf-8")
    client.host, client.port, client.timeout = server.host, server.port, IDLE_S
    client.af = raw.family
    client.wires = wires
    try:
        if context is not None and server.port == IMPLICIT_TLS_PORT:
            raw = wires.add(context.wrap_socket(raw, server_hostname=server.host))
        client.sock = raw
        client.file = _replies(raw)
        client.welcome = client.getresp()
        if isinstance(client, _Tls) and server.port != IMPLICIT_TLS_PORT:
            client.auth()
    except ssl.SSLError as error:
        raw.close()
        raise tls_failure(error) from None
    except ftplib.all_errors as error:
        raw.close()
        raise TransferError("CONNECT", f"{server.host}:{server.port} does not speak {server.protocol}: {error}") from None
    try:
        if isinstance(client, _Tls):
            ftplib.FTP.login(client, server.user, server.password)
            client.prot_p()
        else:
            client.login(server.user, server.password)
    except ftplib.all_errors as error:
        client.close()
        raise TransferError("LOGIN", f"the server refuses the user '{server.user}': {error}") from None
    return client


def _replies(connection: socket.socket) -> TextIO:
    """What the server says. Only its codes count: words in another encoding are no reason to hang up."""
    return connection.makefile("r", encoding="utf-8", errors="replace")


def _quit(client: ftplib.FTP) -> None:
    with suppress(*ftplib.all_errors):
        client.quit()
    client.close()


class _FtpFolder(Folder):
    errors = (*ftplib.all_errors, ValueError)

    def __init__(self, client: ftplib.FTP, path: str, wires: Wires) -> None:
        self.called = f"the folder '{path}'"
        self._client = client
        self._cut = wires.cut
        self._path = path

    def _failure(self, step: str, what: str, error: Exception) -> TransferError:
        why = "the server writes names in an encoding other than UTF-8" if isinstance(error, UnicodeError) else error
        return TransferError(step, f"{what}: {why}")

    @in_thread
    def _files(self) -> list[RemoteFile]:
        return self._listed()

    def _listed(self) -> list[RemoteFile]:
        # Machine-readable (RFC 3659): the listings of LIST differ from server to server.
        found: list[RemoteFile] = []
        for entry, facts in self._client.mlsd(self._path, ["type", "size", "modify"]):
            name = entry.rsplit("/", 1)[-1]
            if facts.get("type") == "file" and is_plain_name(name):
                found.append(RemoteFile(name, int(facts.get("size", "0")), facts.get("modify", "")))
        return found

    @in_thread
    def _fetch(self, name: str, target: Path, max_bytes: int) -> None:
        copied = 0
        with target.open("wb") as file:

            def take(block: bytes) -> None:
                nonlocal copied
                copied += len(block)
                if copied > max_bytes:
                    raise too_large(name, max_bytes)
                file.write(block)

            self._client.retrbinary(f"RETR {inside(self._path, name)}", take, _BLOCK)

    @in_thread
    def _store(self, source: Path, name: str) -> None:
        partial, final = inside(self._path, partial_name(name)), inside(self._path, name)
        with source.open("rb") as file:
            self._client.storbinary(f"STOR {partial}", file, _BLOCK)
        self._rename(partial, final)

    @in_thread
    def _move(self, name: str, to: str) -> None:
        # 550 says many things; a listing says whether the file is gone.
        if name not in {file.name for file in self._listed()}:
            return
        self._rename(inside(self._path, name), inside(to, name))

    @in_thread
    def _remove(self, name: str) -> None:
        self._gone(inside(self._path, name))

    def _rename(self, before: str, after: str) -> None:
        """Some servers replace what has the name, others refuse; some rename nothing at all."""
        try:
            self._client.rename(before, after)
        except ftplib.error_perm as refused:
            self._replace(before, after, refused)

    def _replace(self, before: str, after: str, refused: ftplib.error_perm) -> None:
        """Put what has the name aside, and take it away once the other has it. Raises `refused` where nothing has it."""
        aside = aside_of(after)
        self._gone(aside)
        try:
            self._client.rename(after, aside)
        except ftplib.error_perm:
            raise refused from None
        try:
            self._client.rename(before, after)
        except ftplib.error_perm:
            self._client.rename(aside, after)
            raise
        self._gone(aside)

    def _gone(self, path: str) -> None:
        try:
            self._client.delete(path)
        except ftplib.error_perm as error:
            if not str(error).startswith(_GONE):
                raise
