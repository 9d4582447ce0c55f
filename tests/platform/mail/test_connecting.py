"""Relays whose name has several addresses."""

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tabellion.platform.mail import Fate, Post, Relay, Waits, connecting
from tests.platform.mail.test_relay import RAW, answering, server

SILENT, CLOSED, HERE = "127.0.0.9", "127.0.0.8", "127.0.0.1"


@contextmanager
def silent(port: int) -> Iterator[None]:
    """An address that answers nothing: more wait there than the kernel keeps, and so it drops what comes."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((SILENT, port))
        listener.listen(0)
        for _ in range(4):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            assert filling.connect_ex((SILENT, port)) == errno.EINPROGRESS
        yield


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the relay's name has for addresses."""
    found: list[str] = []

    async def addresses(host: str, port: int) -> list[tuple[int, tuple[str, int]]]:
        assert host == "relay.example"
        return [(socket.AF_INET, (address, port)) for address in found]

    monkeypatch.setattr(connecting, "_addresses", addresses)
    monkeypatch.setattr(connecting, "_NEXT_AFTER_S", 0.05)
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
