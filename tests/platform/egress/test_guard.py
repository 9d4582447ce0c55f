"""Spellings of addresses that lead back into the server's own network; a canary that listens there sees no connection."""

import asyncio
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpcore
import pytest

from tabellion.platform.egress import Client, Policy, TargetRefused, Undelivered, parse_target
from tests.support.addresses import CLOSED, HERE, SILENT, silent

STRICT = Policy()
HTTP = Policy(allow_http=True)
# The hosts that stand for the machine itself, its network, or the metadata of a cloud. {port} is the canary's.
HOSTS = [
    # loopback and any address, in every notation of IPv4
    "127.0.0.1", "127.0.0.1.", "127.1", "127.0.1", "127.255.255.254", "0.0.0.0", "0", "0.0.0.1",
    "2130706433", "0x7f000001", "0x7F.0.0.1", "0x7f.1", "017700000001", "0177.0.0.1", "0177.0.0.0x1", "127.0.0.01",
    "00000177.0.0.1", "4294967295", "127.0.0.1.0x", "0x", "0x7f.0x0.0x0.0x1", "127.000.000.001",
    # private, carrier, link-local, metadata, benchmark, documentation, multicast, reserved
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "100.100.100.200",
    "169.254.169.254", "169.254.170.2", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "168.63.129.16", "192.0.0.192",
    "198.18.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.88.99.1",
    # IPv6: loopback, unspecified, mapped, compatible, NAT64, 6to4, Teredo, ISATAP, local, metadata, multicast
    "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:a9fe:a9fe]", "[::127.0.0.1]",
    "[::7f00:1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]", "[2001:0:7f00:1::1]", "[2001:4860::5efe:7f00:1]", "[2001:4860::200:5efe:a00:1]", "[fe80::1]",
    "[fe80::1%25lo]", "[fe80::1%lo]", "[fec0::1]", "[fc00::1]", "[fd00:ec2::254]", "[fd12:3456::1]", "[ff02::1]",
    "[2001:db8::1]", "[3fff::1]", "[::1", "[::ffff:0:127.0.0.1]",
    # other scripts, and names
    "①②⑦.⓪.⓪.①", "127。0。0。1", "１２７.0.0.1", "127．0．0．1", "⑯⑨.254.169.254", "localhost", "LOCALHOST", "localhost.",
    "metadata", "intranet", "ip6-localhost",
    # what one parser might take for the host and another for the user, the port or the path
    "hooks.example.com@127.0.0.1", "127.0.0.1:80@hooks.example.com", "hooks.example.com:{port}@127.0.0.1", "user:pw@127.0.0.1",
    "127.0.0.1%2f@hooks.example.com", "127.0.0.1\\@hooks.example.com", "hooks.example.com\\@127.0.0.1", "127.0.0.1%00.example.com",
    "127.0.0.1\t", " 127.0.0.1", "127.0.0.1\r\nX: y", "%31%32%37.0.0.1", "hooks..example.com", "-x.example.com", "a" * 64 + ".example.com",
]  # fmt: skip
# Names that a hostile resolver points at our own network.
RESOLVED = [
    "127.0.0.1", "10.0.0.1", "172.20.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "::1", "::",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "fe80::1%lo", "fd00:ec2::254", "::127.0.0.1",
    "2001:0:7f00:1::1", "not an address",
]  # fmt: skip


class Canary:
    """Counts the connections that reach loopback."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.stays = False
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self.answer)
        await writer.drain()
        if self.stays:
            await reader.read()
        writer.close()


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    canary = Canary()
    server = await asyncio.start_server(canary.serve, "127.0.0.1", 0)
    canary.port = server.sockets[0].getsockname()[1]
    try:
        six = await asyncio.start_server(canary.serve, "::1", canary.port)
    except OSError:
        six = server  # a machine without IPv6
    async with server, six:
        yield canary


def resolving_to(*addresses: str):
    async def resolver(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolver


def test_there_are_enough_spellings() -> None:
    assert len(set(HOSTS)) + len(RESOLVED) >= 80


@pytest.mark.parametrize("host", HOSTS)
async def test_no_spelling_reaches_the_own_network(host: str, canary: Canary) -> None:
    where = host.format(port=canary.port) if "{port}" in host else host
    async with Client(HTTP, connect_within_s=2, answer_within_s=2) as client:
        for scheme in ("http", "https", "HTTP"):
            for url in (f"{scheme}://{where}:{canary.port}/", f"{scheme}://{where}/", f"{scheme}:{where}"):
                with pytest.raises(Undelivered) as refusal:
                    await client.post(url, {}, b"{}")
                assert refusal.value.refused, url
    assert canary.connections == 0


@pytest.mark.parametrize("address", RESOLVED)
async def test_no_name_reaches_the_own_network(address: str, canary: Canary) -> None:
    for addresses in ([address], ["93.184.215.14", address], [address, "93.184.215.14"]):
        async with Client(HTTP, resolver=resolving_to(*addresses), connect_within_s=2, answer_within_s=2) as client:
            with pytest.raises(Undelivered) as refusal:
                await client.post(f"http://hooks.example.com:{canary.port}/", {}, b"{}")
            assert refusal.value.refused
    assert canary.connections == 0


async def test_a_name_that_changes_its_address_is_looked_up_once_for_each_connection(canary: Canary) -> None:
    """DNS rebinding: what was checked is what is connected to."""
    asked: list[str] = []

    async def flipping(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["203.0.113.7"] if len(asked) == 1 else ["127.0.0.1"]

    async with Client(Policy(allow_http=True), resolver=flipping, connect_within_s=1, answer_within_s=1) as client:
        for _ in range(4):
            with pytest.raises(Undelivered) as refusal:
                await client.post(f"http://hooks.example.com:{canary.port}/", {}, b"{}")
            assert refusal.value.refused
    assert len(asked) == 4
    assert canary.connections == 0


async def test_addresses_that_do_not_answer_keep_no_call_from_the_others(
    canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tabellion.platform.sockets._NEXT_AFTER_S", 0.05)
    resolver = resolving_to(CLOSED, SILENT, HERE)
    url = f"http://hooks.example.com:{canary.port}/"
    async with Client(Policy(allow_http=True, allow_private=True), resolver=resolver, connect_within_s=5) as client:
        with silent(canary.port):
            assert (await client.post(url, {}, b"{}")).status == 200
    assert canary.connections == 1


async def test_of_two_connections_one_is_taken_and_the_other_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabellion.platform.sockets._NEXT_AFTER_S", 0)
    connect, both = httpcore.AnyIOBackend.connect_tcp, asyncio.Barrier(2)

    async def connect_together(*args: Any) -> Any:
        made = await connect(*args)
        await both.wait()
        return made

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect_together)
    heads = asyncio.Queue[bytes]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.put_nowait(head := await reader.read(4096))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" if head else b"")
        writer.close()

    async with await asyncio.start_server(serve, HERE, 0) as server:
        url = f"http://hooks.example.com:{server.sockets[0].getsockname()[1]}/"
        policy = Policy(allow_http=True, allow_private=True)
        async with Client(policy, resolver=resolving_to(HERE, HERE), connect_within_s=5) as client:
            assert (await client.post(url, {}, b"{}")).status == 200
            assert sorted([await heads.get() != b"", await heads.get() != b""]) == [False, True]


async def test_a_target_that_takes_no_connection_is_told_of_as_that(canary: Canary) -> None:
    policy = Policy(allow_http=True, allow_private=True)
    async with Client(policy, resolver=resolving_to(SILENT), connect_within_s=0.2) as client:
        with silent(canary.port), pytest.raises(Undelivered, match="no connection in time"):
            await client.post(f"http://hooks.example.com:{canary.port}/", {}, b"{}")


def test_a_server_without_files_left_blames_no_name() -> None:
    """With the first call by https it reads the authorities of certificates. A process of its own: the limit is the process's."""
    program = (
        "import asyncio, os, resource\n"
        "from tabellion.platform.egress import Client, Policy\n"
        "async def call():\n"
        "    async with Client(Policy(allow_private=True)) as client:\n"
        "        os.close(free := os.dup(0))\n"
        "        resource.setrlimit(resource.RLIMIT_NOFILE, (free, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "        await client.post('https://127.0.0.1:8443/', {}, b'')\n"
        "try:\n"
        "    asyncio.run(call())\n"
        "except Exception as error:\n"
        "    print(error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    assert run.stdout == "this server cannot make calls: Too many open files\n"


async def test_a_redirect_is_an_answer_and_is_not_followed(canary: Canary) -> None:
    canary.answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/second\r\nContent-Length: 0\r\n\r\n" % canary.port
    async with Client(Policy(allow_http=True, allow_private=True)) as client:
        reply = await client.post(f"http://127.0.0.1:{canary.port}/first", {}, b"{}")
    assert reply.status == 302
    assert canary.connections == 1


async def test_silent_name_servers_of_one_target_delay_no_other(canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = threading.Event()

    def look_up(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        if host == "silent.example.com":
            silent.wait(10)
        return [(0, 0, 0, "", ("127.0.0.1", port))]

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    url = f"http://{{}}.example.com:{canary.port}/"
    policy = Policy(allow_http=True, allow_private=True)
    async with Client(policy, connect_within_s=5, answer_within_s=5) as client:
        slow = [asyncio.create_task(client.post(url.format("silent"), {}, b"{}")) for _ in range(30)]
        await asyncio.sleep(0)
        assert (await asyncio.wait_for(client.post(url.format("hooks"), {}, b"{}"), 2)).status == 200
        silent.set()
        await asyncio.gather(*slow)


@pytest.mark.parametrize("stays", [True, False])
@pytest.mark.parametrize("rest", [b"Content-Length: 10\r\n\r\nok", b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"])
async def test_the_status_counts_whatever_becomes_of_the_body(rest: bytes, stays: bool, canary: Canary) -> None:
    canary.stays = stays
    canary.answer = b"HTTP/1.1 200 OK\r\n" + rest
    async with Client(Policy(allow_http=True, allow_private=True)) as client:
        assert (await client.post(f"http://127.0.0.1:{canary.port}/", {}, b"{}")).status == 200


async def test_an_endless_answer_is_cut_off(canary: Canary) -> None:
    canary.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 200_000
    async with Client(Policy(allow_http=True, allow_private=True)) as client:
        assert (await asyncio.wait_for(client.post(f"http://127.0.0.1:{canary.port}/", {}, b"{}"), 2)).status == 200


async def test_what_the_operator_allows_is_reached(canary: Canary) -> None:
    resolver = resolving_to("127.0.0.1")
    async with Client(Policy(allow_http=True, allow_private=True), resolver=resolver) as client:
        assert (await client.post(f"http://hooks.example.com:{canary.port}/x?y=1", {}, b"{}")).status == 200
    assert canary.connections == 1


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "0.0.0.0", "224.0.0.1", "[fe80::1]", "[fd00:ec2::254]", "168.63.129.16"]
)
def test_metadata_and_groups_are_no_targets_even_where_private_ones_are(host: str) -> None:
    with pytest.raises(TargetRefused):
        parse_target(f"https://{host}/", Policy(allow_private=True))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://hooks.example.com/", "https"),
        ("ftp://hooks.example.com/", "no URL"),
        ("file:///etc/passwd", "no URL"),
        ("gopher://hooks.example.com:70/", "no URL"),
        ("//hooks.example.com/", "no URL"),
        ("https://", "no URL"),
        ("https://hooks.example.com/#part", "no URL"),
        ("https://hooks.example.com/a b", "no URL"),
        ("https://hooks.example.com:22/", "ports"),
        ("https://hooks.example.com:0/", "ports"),
        ("https://hooks.example.com:65536/", "ports"),
        ("https://hooks.example.com/" + "x" * 2000, "2000"),
    ],
)
def test_refusals_say_why(url: str, message: str) -> None:
    with pytest.raises(TargetRefused, match=message):
        parse_target(url, STRICT)


@pytest.mark.parametrize(
    ("url", "host", "port", "resource"),
    [
        ("https://hooks.example.com/actito", "hooks.example.com", 443, "/actito"),
        ("HTTPS://Hooks.Example.COM", "hooks.example.com", 443, "/"),
        ("https://hooks.example.com:8443?x=1&y=@", "hooks.example.com", 8443, "/?x=1&y=@"),
        ("https://8.8.8.8/x", "8.8.8.8", 443, "/x"),
        ("https://[2606:4700::1111]/x", "2606:4700::1111", 443, "/x"),
        ("https://bücher.example/é", "xn--bcher-kva.example", 443, "/%C3%A9"),
        ("https://hooks.example.com./x", "hooks.example.com", 443, "/x"),
        ("https://[64:ff9b::8.8.8.8]/", "64:ff9b::808:808", 443, "/"),
    ],
)
def test_public_targets_are_taken(url: str, host: str, port: int, resource: str) -> None:
    target = parse_target(url, STRICT)
    assert (target.host, target.port, target.resource) == (host, port, resource)


async def test_tls_is_verified_by_the_name_though_the_address_is_connected_to() -> None:
    folder = Path(__file__).parent / "tls"
    names: list[str | None] = []
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(folder / "hooks.example.com.pem")
    server_side.sni_callback = lambda _socket, name, _context: names.append(name)
    trusting = ssl.create_default_context(cafile=folder / "hooks.example.com.pem")
    canary = Canary()
    server = await asyncio.start_server(canary.serve, "127.0.0.1", 0, ssl=server_side)
    port = server.sockets[0].getsockname()[1]
    policy = Policy(allow_private=True)
    async with server, Client(policy, resolver=resolving_to("127.0.0.1"), tls=trusting) as client:
        assert (await client.post(f"https://hooks.example.com:{port}/", {}, b"{}")).status == 200
        assert names == ["hooks.example.com"]
        with pytest.raises(Undelivered, match="certificate"):
            await client.post(f"https://other.example.com:{port}/", {}, b"{}")
    assert canary.connections == 1
