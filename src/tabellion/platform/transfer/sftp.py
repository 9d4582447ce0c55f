"""Folders over SFTP (asyncssh)."""

import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh

from tabellion.platform.egress import Policy
from tabellion.platform.transfer.connecting import CONNECT_S, IDLE_S, connected_socket, login_in_time
from tabellion.platform.transfer.folder import Folder, Opened
from tabellion.platform.transfer.model import (
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


@asynccontextmanager
async def open_folder(server: Server, path: str, policy: Policy) -> AsyncGenerator[Opened]:
    """A folder on an SFTP server.

    A host key that is known is insisted on; one that is not is told, for the caller to keep. Raises `TransferError`.
    """
    async with await _connected(server, policy) as connection:
        async with login_in_time(server):
            try:
                sftp = await connection.start_sftp_client()
            except (asyncssh.Error, OSError) as error:
                raise TransferError("LOGIN", f"the server offers no SFTP to this user: {error}") from None
        key = connection.get_server_host_key()
        shown = key.export_public_key().decode().strip() if key else None
        async with sftp:
            try:
                yield Opened(_SftpFolder(sftp, path, connection), shown)
            finally:
                # Else the session's end would wait for the server to agree to it.
                connection.close()


async def _connected(server: Server, policy: Policy) -> asyncssh.SSHClientConnection:
    keys, known = _client_keys(server), _known(server)
    raw = await connected_socket(server, policy)
    try:
        return await asyncssh.connect(
            sock=raw,
            username=server.user,
            password=server.password or None,
            client_keys=keys,
            known_hosts=known,
            # Nothing of the account that the server runs under: no agent, no configuration, no keys.
            agent_path=None,
            config=None,
            login_timeout=CONNECT_S,
            keepalive_interval=IDLE_S / 2,
        )
    except BaseException as error:
        raw.close()
        if isinstance(error, asyncssh.Error | OSError):
            raise _unconnected(server, error) from None
        raise


def _unconnected(server: Server, error: Exception) -> TransferError:
    match error:
        case asyncssh.HostKeyNotVerifiable():
            changed = "the server shows another host key than the one that is kept; if it was changed on purpose, set"
            return TransferError("CONNECT", f"{changed} 'hostKey'")
        case asyncssh.PermissionDenied():
            return TransferError("LOGIN", f"the server refuses the user '{server.user}' with this password or key")
        case _:
            return TransferError("CONNECT", f"no SSH session: {error}")


class _SftpFolder(Folder):
    errors = (asyncssh.Error, OSError)

    def __init__(self, sftp: asyncssh.SFTPClient, path: str, connection: asyncssh.SSHClientConnection) -> None:
        self.called = f"the folder '{path}'"
        self._sftp = sftp
        self._cut = connection.close
        self._path = path

    def _failure(self, step: str, what: str, error: Exception) -> TransferError:
        return TransferError(step, f"{what}: {getattr(error, 'reason', '') or error}")

    async def _files(self) -> list[RemoteFile]:
        found, tally = list[RemoteFile](), Tally()
        async for each in self._sftp.scandir(self._path):
            tally.take()
            name, attributes = str(each.filename), each.attrs
            if is_plain_name(name) and attributes.permissions is not None and stat.S_ISREG(attributes.permissions):
                found.append(RemoteFile(name, attributes.size or 0, str(attributes.mtime)))
        return found

    async def _fetch(self, name: str, target: Path, max_bytes: int) -> None:
        # Up to its end, and not as long as the server says that it is: some do not say it, and `get` then copies nothing.
        copied = 0
        async with self._sftp.open(inside(self._path, name), "rb") as file:
            size = (await file.stat()).size or 0
            with target.open("wb", buffering=0) as out:
                async for at, block in await file.read_parallel(max_bytes + 1, 0):
                    copied += len(block)
                    if copied > max_bytes:
                        raise too_large(name, max_bytes)
                    out.seek(at)
                    out.write(block)
        if copied < size:
            raise TransferError("READ", f"'{name}' ended after {copied:,} of {size:,} bytes")

    async def _store(self, source: Path, name: str) -> None:
        partial = inside(self._path, partial_name(name))
        await self._sftp.put(str(source), partial)
        await self._rename(partial, inside(self._path, name))

    async def _remove(self, name: str) -> None:
        await self._gone(inside(self._path, name))

    async def _move(self, name: str, to: str) -> None:
        before = inside(self._path, name)
        if await self._sftp.exists(before):
            await self._rename(before, inside(to, name))

    async def _rename(self, before: str, after: str) -> None:
        """Servers without the extension of OpenSSH refuse where something has the name; some rename nothing at all."""
        try:
            await self._sftp.posix_rename(before, after)
        except asyncssh.SFTPOpUnsupported:
            try:
                await self._sftp.rename(before, after)
            except asyncssh.SFTPError:
                if not await self._sftp.exists(after):
                    raise
                await self._replace(before, after)

    async def _replace(self, before: str, after: str) -> None:
        """Put what has the name aside, and take it away only once the other has it."""
        aside = aside_of(after)
        await self._gone(aside)
        await self._sftp.rename(after, aside)
        try:
            await self._sftp.rename(before, after)
        except asyncssh.SFTPError:
            await self._sftp.rename(aside, after)
            raise
        await self._gone(aside)

    async def _gone(self, path: str) -> None:
        try:
            await self._sftp.remove(path)
        except asyncssh.SFTPNoSuchFile:
            return


def is_public_key(text: str) -> bool:
    """Whether a text is a public key in OpenSSH's form."""
    try:
        asyncssh.import_public_key(text)
    except (asyncssh.KeyImportError, ValueError, OverflowError):
        return False
    return True


def _known(server: Server) -> Any:
    if server.host_key is None:
        return None
    try:
        return ([asyncssh.import_public_key(server.host_key)], [], [])
    except asyncssh.KeyImportError:
        raise TransferError("CONNECT", "'hostKey' is no OpenSSH public key such as 'ssh-ed25519 AAAA...'") from None


def _client_keys(server: Server) -> Any:
    if server.private_key is None:
        return None
    try:
        # Tested when it was entered (see `keys`): of a large one that would stop this process for seconds.
        return [
            asyncssh.import_private_key(server.private_key, server.password or None, unsafe_skip_rsa_key_validation=True)
        ]
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        raise TransferError("LOGIN", "'privateKey' is no private key, or 'password' does not open it") from None
