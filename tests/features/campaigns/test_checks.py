"""What is outside of a mail: real servers that answer links, and a name server that is asked about senders."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from tabellion.features.campaigns import senders
from tabellion.features.campaigns.checks import Network, check_links, check_sender
from tabellion.features.campaigns.checks.domains import Sender
from tabellion.platform.dns import Names
from tabellion.platform.egress import Client, Policy
from tests.support.names import NameServer, name_server
from tests.support.receiver import Received, Receiver, receiving, status

RECORD = "v=DKIM1; k=rsa; p=" + "MIIB" * 90
SIGNED = Sender("news@hotels.example", "bounces.hotels.example", "s1._domainkey.hotels.example", RECORD)
GOOD = {
    ("hotels.example", "A"): ["192.0.2.1"],
    ("bounces.hotels.example", "TXT"): ["google-site-verification=x", "v=spf1 ip4:192.0.2.0/24 -all"],
    ("s1._domainkey.hotels.example", "TXT"): [RECORD.replace("; ", ";")],
    ("_dmarc.hotels.example", "TXT"): ["v=DMARC1; p=reject; rua=mailto:x@hotels.example"],
}


@pytest.fixture(scope="module")
def server() -> Iterator[NameServer]:
    with name_server() as server:
        yield server


def about(server: NameServer, sender: Sender, records: dict[tuple[str, str], list[str]]) -> list[tuple[str, str]]:
    """Severity and code of the findings."""
    server.records, server.silent = records, set()
    found = asyncio.run(check_sender(sender, Names([f"127.0.0.1:{server.port}"], within_s=1)))
    assert all(finding.message and finding.advice for finding in found)
    return [(finding.severity.value, finding.code) for finding in found]


@pytest.mark.parametrize(
    ("sender", "change", "found"),
    [
        (SIGNED, {}, []),
        (SIGNED._replace(address="news@shop.hotels.example"), {("shop.hotels.example", "MX"): ["1 mx.hotels.example."]}, []),
        (Sender("a@nowhere.example", "nowhere.example"), {}, [("error", "sender.domain")]),
        (SIGNED, {("bounces.hotels.example", "TXT"): ["v=spf10 x"]}, [("warning", "spf.missing")]),
        (SIGNED, {("bounces.hotels.example", "TXT"): ["v=spf1 -all", "v=spf1 mx -all"]}, [("error", "spf.several")]),
        (SIGNED, {("bounces.hotels.example", "TXT"): ["v=spf1 +all"]}, [("warning", "spf.open")]),
        (SIGNED, {("bounces.hotels.example", "TXT"): ["v=spf1 mx ~all"]}, []),
        (SIGNED, {("s1._domainkey.hotels.example", "TXT"): []}, [("error", "dkim.unpublished")]),
        (SIGNED, {("s1._domainkey.hotels.example", "TXT"): ["v=DKIM1; p=AAAA"]}, [("error", "dkim.mismatch")]),
        (SIGNED, {("s1._domainkey.hotels.example", "TXT"): ["v=DKIM1; p="]}, [("error", "dkim.mismatch")]),
        (SIGNED, {("_dmarc.hotels.example", "TXT"): ["v=DMARC10"]}, [("warning", "dmarc.missing")]),
        (SIGNED, {("_dmarc.hotels.example", "TXT"): ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}, [("error", "dmarc.several")]),
        (Sender(SIGNED.address, "hotels.example"), {("hotels.example", "TXT"): ["v=spf1 -all"]}, []),
        (
            Sender(SIGNED.address, "mailer.example"),
            {("mailer.example", "TXT"): ["v=spf1 -all"]},
            [("error", "dmarc.unaligned")],
        ),
    ],
)  # fmt: skip
def test_senders(
    server: NameServer, sender: Sender, change: dict[tuple[str, str], list[str]], found: list[tuple[str, str]]
) -> None:
    assert about(server, sender, GOOD | change) == found


def test_a_name_server_that_is_silent_is_told_of_and_not_waited_for(server: NameServer) -> None:
    server.records, server.silent = dict(GOOD), {"_dmarc.hotels.example"}

    async def timed() -> tuple[list[str], float]:
        loop = asyncio.get_running_loop()
        before = loop.time()
        found = await check_sender(SIGNED, Names([f"127.0.0.1:{server.port}"], within_s=0.3))
        return [finding.code for finding in found], loop.time() - before

    codes, took_s = asyncio.run(timed())
    assert codes == ["sender.unchecked"]
    assert took_s < 5


def test_a_launch_waits_for_name_servers_no_longer_than_it_is_told(server: NameServer) -> None:
    server.records, server.silent = dict(GOOD), {"hotels.example"}

    async def work() -> list[str]:
        async with Client(Policy()) as client:
            around = Network(client, Names([f"127.0.0.1:{server.port}"], within_s=60))
            return [finding.code for finding in await senders.asked(senders.Known(True, [], SIGNED), around, 0.2)]

    assert asyncio.run(asyncio.wait_for(work(), 30)) == ["sender.unchecked"]


def test_a_name_server_of_a_closed_network_says_nothing_about_a_domain(server: NameServer) -> None:
    sender = Sender("a@nowhere.example", "nowhere.example")
    assert about(server, sender, {}) == [("error", "sender.domain")]
    server.closed = True
    try:
        assert about(server, sender, {}) == [("warning", "sender.unchecked")]
    finally:
        server.closed = False


def test_addresses_come_from_the_name_server(server: NameServer) -> None:
    server.records = {("www.example.com", "A"): ["192.0.2.7"], ("www.example.com", "AAAA"): ["2001:db8::7"]}
    names = Names([f"127.0.0.1:{server.port}"])
    assert asyncio.run(names.addresses("www.example.com", 443)) == ["192.0.2.7", "2001:db8::7"]
    with pytest.raises(OSError, match="no address"):
        asyncio.run(names.addresses("other.example.com", 443))


OPEN = Policy(allow_http=True, allow_private=True)


async def looked(paths: list[str], answers: dict[str, bytes | str], policy: Policy = OPEN, **limits: float) -> list[str]:
    """Codes of what is found of addresses on a server that answers so; without an answer of their own, 200."""
    async with receiving() as (receiver,), Client(policy, answer_within_s=limits.pop("answer", 2.0)) as client:
        _told(receiver, answers)
        urls = [path if "://" in path else f"http://127.0.0.1:{receiver.port}{path}" for path in paths]
        found = await check_links(urls, client, **limits)  # pyright: ignore[reportArgumentType] - numbers
        assert all(finding.message and finding.advice for finding in found.findings)
        return [finding.code for finding in found.findings]


def _told(receiver: Receiver, answers: dict[str, bytes | str]) -> None:
    def answer(request: Received) -> bytes | str:
        return answers.get(request.path, status(200))

    receiver.answer = answer


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ({}, []),
        ({"/a": status(404)}, ["link.gone"]),
        ({"/a": status(410)}, ["link.gone"]),
        ({"/a": status(500)}, ["link.broken"]),
        ({"/a": status(403)}, []),
        ({"/a": status(429)}, []),
        ({"/a": status(302, Location="/b")}, []),
        ({"/a": status(302, Location="/b"), "/b": status(404)}, ["link.gone"]),
        ({"/a": status(301, Location="/a")}, ["link.redirects"]),
        ({"/a": status(301, Location="http://169.254.169.254/latest/meta-data")}, ["link.private"]),
        ({"/a": status(301, Location="file:///etc/passwd")}, ["link.private"]),
        ({"/a": status(301, Location="http://[nowhere/")}, ["link.unreachable"]),
        ({"/a": "reset"}, ["link.unreachable"]),
        ({"/a": "hang"}, ["link.unreachable"]),
    ],
)
def test_links(answers: dict[str, bytes | str], found: list[str]) -> None:
    assert asyncio.run(looked(["/a"], answers, answer=0.5)) == found


def test_the_servers_own_network_is_not_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        port = listener.getsockname()[1]
        urls = [f"http://127.0.0.1:{port}/", f"http://[::1]:{port}/", "http://169.254.169.254/x", "http://10.0.0.1/"]
        assert asyncio.run(looked(urls, {}, Policy(allow_http=True))) == ["link.private"] * 4
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize("url", ["http://a.example/spring offer", "http://a.example\\b", "http://ann:x@a.example/"])
def test_addresses_that_are_written_wrongly_are_told_so(url: str) -> None:
    assert asyncio.run(looked([url], {})) == ["link.malformed"]


@pytest.mark.parametrize("url", ["http://", "https:///offer", "http://[a.example/b#c", "http://ex℀mple.com/#x"])
def test_addresses_that_name_no_server_are_told_so(url: str) -> None:
    assert asyncio.run(looked([url], {})) == ["link.malformed"]


def test_each_address_is_asked_once_and_the_number_and_time_are_bounded() -> None:
    assert asyncio.run(looked(["/a#x", "/a#y", "/a"], {"/a": status(404)})) == ["link.gone"]
    assert asyncio.run(looked([f"/{i}" for i in range(9)], {}, most=4)) == ["link.unchecked"]
    slow = dict.fromkeys((f"/{i}" for i in range(20)), "hang")
    assert asyncio.run(looked([*slow, "/b"], slow, within_s=0.3, answer=5)) == ["link.unchecked"]
