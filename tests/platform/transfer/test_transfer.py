"""Folders on real servers: what all protocols do alike, and what each of them refuses."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import asyncssh
import minio
import pytest
from msgspec.structs import replace

from tabellion.platform.egress import Policy
from tabellion.platform.transfer import ProtocolName, RemoteFile, Server, TransferError, open_folder
from tests.support.addresses import CLOSED, HERE, SILENT, silent
from tests.support.transfer_servers import ftpd, s3, sshd

NEAR = Policy(allow_http=True, allow_private=True)
KINDS = ("SFTP", "FTP", "FTPS", "S3", "FOLDER")


class Place:
    """A server, a folder on it (`in`) with a neighbour (`done`), and the files as they lie there."""

    def __init__(self, server: Server, base: str, root: Path | None) -> None:
        self.server = server
        self.path = f"{base}/in"
        self.done = f"{base}/done"
        self._root = root

    def put(self, name: str, content: bytes) -> None:
        if self._root is not None:
            (self._root / "in" / name).write_bytes(content)
        else:
            import io

            self.client().put_object("bucket", f"in/{name}", io.BytesIO(content), len(content))

    def names(self, folder: str = "in") -> list[str]:
        if self._root is not None:
            return sorted(p.name for p in (self._root / folder).iterdir())
        return sorted(o.object_name.split("/")[-1] for o in self.client().list_objects("bucket", f"{folder}/"))

    def client(self) -> minio.Minio:
        server = self.server
        return minio.Minio(f"127.0.0.1:{server.port}", access_key="key", secret_key="secret", secure=False)


@pytest.fixture(scope="module", params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp(request.param)
    root = folder / "files"
    match request.param:
        case "SFTP":
            with sshd(folder) as server:
                yield from _made(Place(server, str(root), root), root)
        case "FTP" | "FTPS":
            with ftpd(folder, tls=request.param == "FTPS") as server:
                yield from _made(Place(server, "", root), root)
        case "S3":
            with s3(folder) as server:
                place = Place(server, "/bucket", None)
                place.client().make_bucket("bucket")
                yield place
        case _:
            root.mkdir()
            yield from _made(Place(Server(protocol="FOLDER", root=root), "", root), root)


def _made(place: Place, root: Path) -> Iterator[Place]:
    (root / "in").mkdir()
    (root / "done").mkdir()
    yield place


async def _listing(server: Server) -> None:
    async with open_folder(server, "/in", NEAR) as opened:
        await opened.folder.files()


async def files(place: Place) -> dict[str, RemoteFile]:
    async with open_folder(place.server, place.path, NEAR) as opened:
        return {file.name: file for file in await opened.folder.files()}


async def test_files_are_listed_fetched_and_removed(place: Place, tmp_path: Path) -> None:
    content = bytes(range(256)) * 4000
    place.put("a b é.csv", content)
    found = (await files(place))["a b é.csv"]
    assert found.size == len(content)
    async with open_folder(place.server, place.path, NEAR) as opened:
        await opened.folder.fetch("a b é.csv", tmp_path / "x", len(content))
        assert (tmp_path / "x").read_bytes() == content
        await opened.folder.remove("a b é.csv")
        await opened.folder.remove("a b é.csv")
        assert "a b é.csv" not in {f.name for f in await opened.folder.files()}


async def test_a_stamp_changes_with_the_file(place: Place) -> None:
    place.put("stamp.csv", b"one")
    before = (await files(place))["stamp.csv"]
    assert (await files(place))["stamp.csv"] == before
    place.put("stamp.csv", b"three")
    assert (await files(place))["stamp.csv"] != before


async def test_a_file_is_stored_whole_and_replaces_its_namesake(place: Place, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"new" * 100_000)
    place.put("out.csv", b"old")
    async with open_folder(place.server, place.path, NEAR) as opened:
        await opened.folder.store(tmp_path / "x", "out.csv")
        await opened.folder.fetch("out.csv", tmp_path / "y", 1_000_000)
    assert (tmp_path / "y").read_bytes() == b"new" * 100_000
    assert not [name for name in place.names() if name.endswith(".part")]


@pytest.mark.parametrize("kind", ["FTP", "FOLDER"])
async def test_a_file_has_its_name_when_it_is_whole(kind: str, tmp_path: Path) -> None:
    """Whoever takes what is there meanwhile takes the whole one of before."""
    folder = tmp_path / "files" / "in"
    here = Server(protocol="FOLDER", root=folder.parent)
    os.mkfifo(tmp_path / "source")
    with nullcontext(here) if kind == "FOLDER" else ftpd(tmp_path, tls=False) as server:
        folder.mkdir(parents=True)
        (folder / "out.csv").write_bytes(b"old")
        async with open_folder(server, "/in", NEAR) as opened, asyncio.timeout(20):
            storing = asyncio.create_task(opened.folder.store(tmp_path / "source", "out.csv"))
            with await asyncio.to_thread((tmp_path / "source").open, "wb") as half:
                half.write(b"new")
                half.flush()
                while len(list(folder.iterdir())) < 2:  # noqa: ASYNC110 - another process makes it
                    await asyncio.sleep(0.01)
                assert (folder / "out.csv").read_bytes() == b"old"
            await storing
        assert [(file.name, file.read_bytes()) for file in folder.iterdir()] == [("out.csv", b"new")]


async def test_a_server_that_replaces_nothing_is_made_to(tmp_path: Path, odd: Server) -> None:
    (tmp_path / "new").write_bytes(b"new")
    with ftpd(tmp_path / "ftp", tls=False, refuses=True) as ftp:
        for server, base in ((ftp, ""), (odd, str(tmp_path / "ftp" / "files"))):
            for name in ("in", "done"):
                folder = tmp_path / "ftp" / "files" / name
                folder.mkdir(exist_ok=True)
                (folder / "out.csv").write_bytes(b"old")
            async with open_folder(server, f"{base}/in", NEAR) as opened:
                await opened.folder.store(tmp_path / "new", "out.csv")
                await opened.folder.move("out.csv", f"{base}/done")
            assert (tmp_path / "ftp" / "files" / "done" / "out.csv").read_bytes() == b"new"
            assert list((tmp_path / "ftp" / "files" / "in").iterdir()) == []


async def test_a_server_that_renames_nothing_keeps_what_has_the_name(tmp_path: Path, odd: Server) -> None:
    (tmp_path / "out.csv").write_bytes(b"new")
    with ftpd(tmp_path / "ftp", tls=False, rights="elradmwMT") as ftp:
        folder = tmp_path / "ftp" / "files" / "fixed"
        for server, base in ((ftp, "/fixed"), (odd, str(folder))):
            for name in ("in", "done"):
                (folder / name).mkdir(parents=True, exist_ok=True)
                (folder / name / "out.csv").write_bytes(b"old")
            async with open_folder(server, f"{base}/in", NEAR) as opened:
                with pytest.raises(TransferError, match=r"privileges|no renaming"):
                    await opened.folder.store(tmp_path / "out.csv", "out.csv")
                with pytest.raises(TransferError, match=r"privileges|no renaming"):
                    await opened.folder.move("out.csv", f"{base}/done")
            assert [(folder / name / "out.csv").read_bytes() for name in ("in", "done")] == [b"old", b"old"]


async def test_a_file_that_cannot_be_moved_keeps_its_name_and_others_theirs(tmp_path: Path, odd: Server) -> None:
    root = tmp_path / "ftp" / "files"
    with ftpd(tmp_path / "ftp", tls=False, refuses=True) as ftp:
        for server, base in ((ftp, ""), (odd, str(root))):
            for name in ("in", "done", "held"):
                (root / name).mkdir(exist_ok=True)
            for name in ("in/out.csv", "in/out.csv~", "held/out.csv", "done/out.csv"):
                (root / name).write_bytes(name.encode())
            async with open_folder(server, f"{base}/in", NEAR) as opened:
                for folder in ("missing", "held"):
                    with pytest.raises(TransferError):
                        await opened.folder.move("out.csv", f"{base}/{folder}")
                    assert sorted(file.name for file in await opened.folder.files()) == ["out.csv", "out.csv~"]
                assert [file.read_bytes() for file in (root / "held").iterdir()] == [b"held/out.csv"]
                await opened.folder.move("out.csv", f"{base}/done")
            assert [file.name for file in (root / "in").iterdir()] == ["out.csv~"]
            assert [file.read_bytes() for file in (root / "done").iterdir()] == [b"in/out.csv"]


async def test_a_file_that_cannot_be_written_whole_leaves_the_one_of_before(tmp_path: Path, odd: Server) -> None:
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "full").write_bytes(b"old")
    async with open_folder(odd, str(tmp_path), NEAR) as opened:
        with pytest.raises(TransferError, match="no room"):
            await opened.folder.store(tmp_path / "new", "full")
    assert (tmp_path / "full").read_bytes() == b"old"


async def test_a_file_moves_once_and_replaces_its_namesake(place: Place) -> None:
    place.put("move.csv", b"x")
    async with open_folder(place.server, place.path, NEAR) as opened:
        await opened.folder.move("move.csv", place.done)
        await opened.folder.move("move.csv", place.done)
    assert "move.csv" in place.names("done")
    assert "move.csv" not in place.names()
    place.put("move.csv", b"y")
    async with open_folder(place.server, place.path, NEAR) as opened:
        await opened.folder.move("move.csv", place.done)
    assert "move.csv" not in place.names()


async def test_a_file_over_the_limit_is_cut_off(place: Place, tmp_path: Path) -> None:
    place.put("big.csv", b"x" * 3_000_000)
    async with open_folder(place.server, place.path, NEAR) as opened:
        with pytest.raises(TransferError, match="over 1,000,000 bytes"):
            await opened.folder.fetch("big.csv", tmp_path / "x", 1_000_000)
    assert (tmp_path / "x").stat().st_size <= 3_000_000


async def test_what_is_not_there_is_said(place: Place, tmp_path: Path) -> None:
    async with open_folder(place.server, place.path, NEAR) as opened:
        with pytest.raises(TransferError) as error:
            await opened.folder.fetch("nothing.csv", tmp_path / "x", 10)
        assert error.value.step == "READ"
        assert "nothing.csv" in error.value.message
    if place.server.protocol != "S3":
        with pytest.raises(TransferError) as error:
            async with open_folder(place.server, place.path + "/nowhere", NEAR) as opened:
                await opened.folder.files()
        assert error.value.step == "LIST"


async def test_a_listing_that_is_too_long_is_ended(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        place.put(f"many{number}.csv", b"x")
    await files(place)
    monkeypatch.setattr("tabellion.platform.transfer.model.MAX_LISTED", 5)
    with pytest.raises(TransferError, match="over 5 entries") as error:
        await files(place)
    assert error.value.step == "LIST"


async def test_addresses_of_a_host_that_do_not_answer_keep_nobody_from_the_others(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put("there.csv", b"x")

    async def several(*_: object) -> list[str]:
        return [CLOSED, SILENT, HERE]

    monkeypatch.setattr("tabellion.platform.transfer.connecting.resolve_host", several)
    monkeypatch.setattr("tabellion.platform.sockets._NEXT_AFTER_S", 0.05)
    with silent(place.server.port):
        async with asyncio.timeout(5):
            assert "there.csv" in await files(place)


@pytest.mark.parametrize("kind", ["SFTP", "FTP", "FTPS", "S3"])
async def test_private_addresses_are_refused_unless_the_operator_allows_them(kind: str) -> None:
    connections: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(1)
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "localhost", "0x7f000001", "::1", "169.254.169.254", "2130706433", "127.1"):
            server = Server(protocol=kind, host=host, port=port, user="u", password="p", secure=False)  # type: ignore[arg-type]
            with pytest.raises(TransferError) as error:
                async with open_folder(server, "/bucket/in", Policy()) as opened:
                    await opened.folder.files()
            assert error.value.step == "CONNECT"
        with pytest.raises(TimeoutError):
            connections.append(listener.accept())
    assert not connections


@pytest.mark.parametrize("kind", ["SFTP", "FTP", "FTPS"])
async def test_a_server_that_says_nothing_is_given_up(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("connecting", "sftp", "ftp"):
        monkeypatch.setattr(f"tabellion.platform.transfer.{module}.IDLE_S", 0.3, raising=False)
        monkeypatch.setattr(f"tabellion.platform.transfer.{module}.CONNECT_S", 0.3, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(protocol=kind, host="127.0.0.1", port=listener.getsockname()[1], user="u", password="p")  # type: ignore[arg-type]
        with pytest.raises(TransferError) as error:
            await asyncio.wait_for(_listing(server), 10)
        assert error.value.step == "CONNECT"


async def test_what_a_server_says_can_be_stored_and_read() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"421-no\0\x1b[2J \xffguests\r\n421 " + b"x" * 5000 + b"\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as made:
        port = made.sockets[0].getsockname()[1]
        with pytest.raises(TransferError, match="guests") as error:
            await _listing(Server(protocol="FTP", host="127.0.0.1", port=port, user="u", password="p"))
    assert error.value.message.isprintable()
    assert len(error.value.message) <= 2000


@contextmanager
def dripping(first: bytes, cut: threading.Event) -> Iterator[int]:
    """A server that says `first`, then a word now and then for two seconds; `cut` is set when the client has hung up."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(first)
            for _ in range(100):
                try:
                    connection.sendall(b"220-x\r\n" if first else b"x")
                except OSError:
                    cut.set()
                    return
                time.sleep(0.02)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


@pytest.mark.parametrize(("kind", "first"), [("FTP", b"220-hello\r\n"), ("FTP", b""), ("S3", b"")])
async def test_a_server_that_does_not_come_to_an_end_keeps_no_thread(kind: ProtocolName, first: bytes) -> None:
    cut = threading.Event()
    with dripping(first, cut) as port:
        server = Server(protocol=kind, host="127.0.0.1", port=port, user="u", password="p", secure=False)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), open_folder(server, "/bucket", NEAR) as opened:
                await opened.folder.files()
        assert await asyncio.to_thread(cut.wait, 1)


async def test_a_listing_that_does_not_come_to_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabellion.platform.transfer.folder.STEP_S", 0.1)
    cut = threading.Event()
    with dripping(b"", cut) as port:
        server = Server(protocol="S3", host="127.0.0.1", port=port, user="u", password="p", secure=False)
        with pytest.raises(TransferError, match="too slow") as error:
            async with open_folder(server, "/bucket", NEAR) as opened:
                await opened.folder.files()
        assert error.value.step == "LIST"
        assert await asyncio.to_thread(cut.wait, 1)


class Odd(asyncssh.SFTPServer):
    """Says of no file how long it is, or too much (`long`), and of a file `drip` a byte at a time; `still` it answers never.

    It has no room for what is called `full`, replaces nothing by renaming, renames nothing in folders called `fixed`, and moves
    nothing into those called `held`.
    """

    def write(self, file_obj: Any, offset: int, data: bytes) -> int:
        if b"full" in file_obj.name:
            raise asyncssh.SFTPFailure("no room")
        return super().write(file_obj, offset, data)  # type: ignore[return-value]

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPOpUnsupported("as of before OpenSSH 4.8")

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        if b"/fixed/" in oldpath or (b"/held/" in newpath and b"/held/" not in oldpath):
            raise asyncssh.SFTPPermissionDenied("no renaming")
        if os.path.exists(newpath):  # noqa: PTH110 - its names are bytes
            raise asyncssh.SFTPFailure("the name is taken")
        super().rename(oldpath, newpath)

    def lstat(self, path: bytes) -> asyncssh.SFTPAttrs:
        return asyncssh.SFTPAttrs(permissions=0o100600, size=9 if path.endswith(b"long") else None)

    stat = lstat

    def fstat(self, file_obj: Any) -> asyncssh.SFTPAttrs:
        return self.lstat(file_obj.name)

    async def read(self, file_obj: Any, offset: int, size: int) -> bytes:
        if file_obj.name.endswith(b"still"):
            await asyncio.Event().wait()
        if file_obj.name.endswith(b"drip"):
            await asyncio.sleep(0.02)
            return b"x"
        return super().read(file_obj, offset, size)  # type: ignore[return-value]


@pytest.fixture
async def odd(tmp_path: Path) -> AsyncIterator[Server]:
    class Anybody(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            return False

    key = asyncssh.generate_private_key("ssh-ed25519")
    async with await asyncssh.listen(
        "127.0.0.1", 0, server_factory=Anybody, server_host_keys=[key], sftp_factory=Odd
    ) as listening:  # fmt: skip
        yield Server(protocol="SFTP", host="127.0.0.1", port=listening.get_port(), user="u", password="p")


async def test_a_file_of_which_the_server_tells_no_size_comes_whole(odd: Server, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789" * 100_000)
    (tmp_path / "long").write_bytes(b"12345")
    async with open_folder(odd, str(tmp_path), NEAR) as opened:
        await opened.folder.fetch("a", tmp_path / "got", 1_000_000)
        assert (tmp_path / "got").read_bytes() == (tmp_path / "a").read_bytes()
        with pytest.raises(TransferError, match="over 999,999 bytes"):
            await opened.folder.fetch("a", tmp_path / "got", 999_999)
        with pytest.raises(TransferError, match="'long' ended after 5 of 9 bytes"):
            await opened.folder.fetch("long", tmp_path / "got", 1_000_000)


@pytest.mark.parametrize("name", ["drip", "still"])
async def test_a_file_that_does_not_come_to_an_end_is_given_up(
    odd: Server, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tabellion.platform.transfer.folder.PACE_S", 0.2)
    (tmp_path / name).write_bytes(b"")
    async with asyncio.timeout(5):
        with pytest.raises(TransferError, match="too slow") as error:
            async with open_folder(odd, str(tmp_path), NEAR) as opened:
                await opened.folder.fetch(name, tmp_path / "got", 1_000_000)
    assert error.value.step == "READ"


async def test_who_lets_nobody_in_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabellion.platform.transfer.connecting.LOGIN_S", 0.1)
    cut = threading.Event()
    with dripping(b"220-hello\r\n", cut) as port:
        with pytest.raises(TransferError, match="end of the login") as error:
            await _listing(Server(protocol="FTP", host="127.0.0.1", port=port, user="u", password="p"))
        assert error.value.step == "LOGIN"
        assert await asyncio.to_thread(cut.wait, 1)


async def test_an_answer_that_does_not_come_to_an_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabellion.platform.transfer.ftp._LONGEST_ANSWER", 50)
    with dripping(b"220-hello\r\n", threading.Event()) as port:
        server = Server(protocol="FTP", host="127.0.0.1", port=port, user="u", password="p")
        with pytest.raises(TransferError, match="does not end") as error:
            await _listing(server)
        assert error.value.step == "CONNECT"


async def test_a_host_key_that_is_kept_is_insisted_on(tmp_path: Path) -> None:
    with sshd(tmp_path) as server:
        path = str(tmp_path / "files")
        async with open_folder(server, path, NEAR) as opened:
            shown = opened.host_key
        assert shown
        async with open_folder(replace(server, host_key=shown), path, NEAR) as opened:
            assert await opened.folder.files() == []
        other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
        with pytest.raises(TransferError, match="another host key") as error:
            async with open_folder(replace(server, host_key=other), path, NEAR):
                pass
        assert error.value.step == "CONNECT"
        stranger = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
        with pytest.raises(TransferError) as error:
            async with open_folder(replace(server, private_key=stranger), path, NEAR):
                pass
        assert error.value.step == "LOGIN"
        with pytest.raises(TransferError, match="'privateKey' is no private key") as error:
            async with open_folder(replace(server, private_key="nonsense"), path, NEAR):
                pass
        assert error.value.step == "LOGIN"


async def test_a_certificate_that_cannot_be_read_makes_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        server = Server(protocol="FTPS", host="127.0.0.1", port=port, user="u", password="p", certificate="nonsense")
        with pytest.raises(TransferError, match="no certificate in PEM"):
            await _listing(server)
        with pytest.raises(BlockingIOError):
            listener.accept()


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    with ftpd(tmp_path, tls=True) as server:
        with pytest.raises(TransferError, match=r"TLS: self.signed certificate") as error:
            async with open_folder(replace(server, certificate=None), "/", NEAR):
                pass
        assert error.value.step == "CONNECT"
        with pytest.raises(TransferError) as error:
            async with open_folder(replace(server, password="wrong"), "/", NEAR):
                pass
        assert error.value.step == "LOGIN"


async def test_a_local_folder_is_not_left(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "in").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (root / "in" / "link.csv").symlink_to(tmp_path / "secret")
    (root / "away").symlink_to(tmp_path)
    server = Server(protocol="FOLDER", root=root)
    async with open_folder(server, "/in", NEAR) as opened:
        assert await opened.folder.files() == []
        with pytest.raises(TransferError):
            await opened.folder.fetch("link.csv", tmp_path / "x", 100)
    for path in ("..", "/../", "/away", "/in/../.."):
        async with open_folder(server, path, NEAR) as opened:
            with pytest.raises(TransferError, match="no such folder"):
                await opened.folder.files()
    with pytest.raises(TransferError, match="TABELLION_TRANSFERS_FOLDER"):
        async with open_folder(Server(protocol="FOLDER"), "/in", NEAR):
            pass


@contextmanager
def inventor(*facts_and_names: bytes) -> Iterator[Server]:
    """An FTP server that makes listings up, and talks in Latin-1."""
    listing = b"".join(b"type=file;modify=20270101000000;%b\r\n" % each for each in facts_and_names)

    def serve() -> None:
        connection, _ = control.accept()
        data = socket.create_server(("127.0.0.1", 0))
        with connection, data, connection.makefile("rb") as lines:
            connection.sendall(b"220 bienvenue \xe0 tous\r\n")
            for line in lines:
                word = line.split()[0].upper()
                if word in {b"EPSV", b"PASV"}:
                    high, low = divmod(data.getsockname()[1], 256)
                    # The address is another one's: the client is to come back to this server all the same.
                    connection.sendall(b"227 (10,0,0,1,%d,%d)\r\n" % (high, low))
                elif word == b"MLSD":
                    connection.sendall(b"150 voil\xe0\r\n")
                    sender, _ = data.accept()
                    with sender:
                        sender.sendall(listing)
                    connection.sendall(b"226 done\r\n")
                else:
                    connection.sendall({b"USER": b"331 go on\r\n", b"QUIT": b"221 bye\r\n"}.get(word, b"230 fine\r\n"))

    with socket.create_server(("127.0.0.1", 0)) as control:
        threading.Thread(target=serve, daemon=True).start()
        yield Server(protocol="FTP", host="127.0.0.1", port=control.getsockname()[1], user="u", password="p")


async def test_hostile_names_of_a_listing_are_not_seen() -> None:
    names = (b"good.csv", b"../up.csv", b"..", b"a\\b.csv", b"tab\there.csv", b"x" * 300, b"")
    with inventor(*(b"size=1; " + name for name in names)) as server:
        async with open_folder(server, "/", NEAR) as opened:
            found = {file.name for file in await opened.folder.files()}
    # Of a path only the last part is a name, and a folder's file is looked for in the folder.
    assert found == {"good.csv", "up.csv"}


@pytest.mark.parametrize(("listed", "why"), [(b"size=1; caf\xe9.csv", "other than UTF-8"), (b"size=large; a.csv", "large")])
async def test_a_listing_that_cannot_be_read_is_told(listed: bytes, why: str) -> None:
    with inventor(listed) as server, pytest.raises(TransferError, match=why) as error:
        await _listing(server)
    assert error.value.step == "LIST"
