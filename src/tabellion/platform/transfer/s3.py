"""Folders in a bucket of an S3-compatible store (minio's client in a thread). A folder is `/bucket/prefix`."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import urllib3
from minio import Minio
from minio.commonconfig import CopySource
from minio.error import MinioException, S3Error
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from tabellion.platform.egress import Policy
from tabellion.platform.transfer.connecting import CONNECT_S, IDLE_S, Wires, addresses, connect, tls
from tabellion.platform.transfer.folder import Folder, Opened, in_thread
from tabellion.platform.transfer.model import RemoteFile, Server, Tally, TransferError, is_plain_name, too_large

_BLOCK = 1 << 18
_LOGIN_CODES = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"})


@asynccontextmanager
async def open_folder(server: Server, path: str, policy: Policy) -> AsyncGenerator[Opened]:
    """A folder of a bucket. Raises `TransferError`."""
    bucket, _, prefix = path.strip("/").partition("/")
    if not bucket:
        raise TransferError("LIST", "the path of a location in S3 is /bucket or /bucket/folder")
    found = await addresses(server, policy)
    wires = Wires()
    pools = _Pools(found, server, asyncio.get_running_loop(), wires)
    try:
        client = Minio(
            f"{server.host}:{server.port}",
            access_key=server.user,
            secret_key=server.password,
            region=server.region,
            secure=server.secure,
            http_client=pools,
        )
    except ValueError as error:
        raise TransferError("CONNECT", str(error)) from None
    try:
        yield Opened(_S3Folder(client, bucket, f"{prefix}/" if prefix else "", wires))
    finally:
        wires.cut()
        pools.clear()


class _Pools(urllib3.PoolManager):
    """Connects to the addresses that were looked at, whatever the name servers say meanwhile; `loop` does so."""

    def __init__(self, found: Sequence[str], server: Server, loop: asyncio.AbstractEventLoop, wires: Wires) -> None:
        timeout = urllib3.Timeout(connect=CONNECT_S, read=IDLE_S)
        options: dict[str, Any] = {"ssl_context": tls(server)} if server.secure else {}
        super().__init__(timeout=timeout, retries=False, **options)

        def connected() -> socket.socket:
            raw = asyncio.run_coroutine_threadsafe(connect(found, server), loop).result()
            raw.settimeout(CONNECT_S)
            return wires.add(raw)

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return connected()

        class Secured(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return connected()

            def connect(self) -> None:
                super().connect()
                wires.add(self.sock)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls: Any = Plain

        class SecuredPool(HTTPSConnectionPool):
            ConnectionCls: Any = Secured

        self.pool_classes_by_scheme = {"http": PlainPool, "https": SecuredPool}


class _S3Folder(Folder):
    errors = (MinioException, urllib3.exceptions.HTTPError, ValueError, OSError)
    called = "the bucket"

    def __init__(self, client: Minio, bucket: str, prefix: str, wires: Wires) -> None:
        self._client = client
        self._cut = wires.cut
        self._bucket = bucket
        self._prefix = prefix

    def _failure(self, step: str, what: str, error: Exception) -> TransferError:
        if isinstance(error, S3Error):
            return TransferError("LOGIN" if error.code in _LOGIN_CODES else step, f"{what}: {error.code}: {error.message}")
        # minio connects at its first call, which is the listing where files are fetched.
        unreached = isinstance(error, urllib3.exceptions.HTTPError) and step == "LIST"
        return TransferError("CONNECT" if unreached else step, f"{what}: {error}")

    @in_thread
    def _files(self) -> list[RemoteFile]:
        found, tally = list[RemoteFile](), Tally()
        for each in self._client.list_objects(self._bucket, prefix=self._prefix):
            tally.take()
            name = str(each.object_name or "").removeprefix(self._prefix)
            if not each.is_dir and is_plain_name(name):
                found.append(RemoteFile(name, each.size or 0, each.etag or str(each.last_modified)))
        return found

    @in_thread
    def _fetch(self, name: str, target: Path, max_bytes: int) -> None:
        answer = self._client.get_object(self._bucket, self._prefix + name)
        copied = 0
        try:
            with target.open("wb") as out:
                for block in answer.stream(_BLOCK):
                    copied += len(block)
                    if copied > max_bytes:
                        raise too_large(name, max_bytes)
                    out.write(block)
        finally:
            answer.close()

    @in_thread
    def _store(self, source: Path, name: str) -> None:
        # An object is there when all of it is: no partial name is needed.
        self._client.fput_object(self._bucket, self._prefix + name, str(source))

    @in_thread
    def _remove(self, name: str) -> None:
        self._client.remove_object(self._bucket, self._prefix + name)

    @in_thread
    def _move(self, name: str, to: str) -> None:
        bucket, _, prefix = to.strip("/").partition("/")
        target = f"{prefix}/{name}" if prefix else name
        try:
            self._client.copy_object(bucket, target, CopySource(self._bucket, self._prefix + name))
        except S3Error as error:
            if error.code == "NoSuchKey":
                return
            raise
        self._client.remove_object(self._bucket, self._prefix + name)
