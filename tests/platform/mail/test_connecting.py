"""Relays whose name has several addresses."""

import asyncio
import socket

import pytest

from tabellion.platform.mail import Fate, Post, Relay, Waits
from tests.support.addresses import CLOSED, HERE, SILENT, silent
from tests.support.relays import RAW, answering, server


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the relay's name has for addresses."""
    found: list[str] = []

    def addresses(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        assert host == "relay.example"
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port)) for address in found]

    monkeypatch.setattr("socket.getaddrinfo", addresses)
    monkeypatch.setattr("tabellion.platform.sockets._NEXT_AFTER_S", 0.05)
    return found


@pytest.mark.parametrize("before", [[SILENT], [CLOSED], [SILENT, CLOSED, SILENT]], ids=" ".join)
async def test_an_address_that_does_not_answer_does_not_keep_mails_from_the_others(
    name: list[str], before: list[str]
) -> None:
    name.extend([*before, HERE])
    async with server(answering()) as (port, heard):
        with silent(port):
            async with Post(Relay(host="relay.example", port=port), waits=Waits.all_of(5)) as post:
                reply = await post.deliver("a@example.com", "b@example.com", RAW)
    assert reply.fate is Fate.ACCEPTED, reply
    assert sum(line.startswith("EHLO") for line in heard) == 1


async def test_when_no_address_answers_it_is_waited_for_and_no_longer(name: list[str]) -> None:
    name.extend([SILENT, CLOSED])
    async with server(answering()) as (port, _):
        with silent(port):
            async with asyncio.timeout(5), Post(Relay(host="relay.example", port=port), waits=Waits.all_of(0.3)) as post:
                reply = await post.deliver("a@example.com", "b@example.com", RAW)
            assert (reply.fate, reply.reached) == (Fate.DEFERRED, False)
            assert "no connection within 0.3 s" in reply.text
    name[:] = [CLOSED, CLOSED]
    async with Post(Relay(host="relay.example", port=port), waits=Waits.all_of(5)) as post:
        assert CLOSED in (await post.reach() or "")
