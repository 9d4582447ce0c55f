"""Handing over to relays: every answer and every break has one fate."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest

from tabellion.platform.mail import Fate, Post, Relay

Script = Callable[[str], str | None]
RAW = b"From: a@example.com\r\nSubject: x\r\n\r\n.line\r\n"


@asynccontextmanager
async def server(script: Script) -> AsyncGenerator[tuple[int, list[str]]]:
    """An SMTP server that answers what `script` says to each command (None: it hangs up); and what it heard."""
    heard: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        in_data = False
        while line := (await reader.readline()).decode():
            if in_data and line != ".\r\n":
                heard.append(line)
                continue
            command = "." if in_data else line.split(":")[0].split()[0].upper()
            in_data = False
            heard.append(line)
            answer = script(command)
            if answer is None:
                break
            in_data = answer.startswith("354")
            writer.write(f"{answer}\r\n".encode())
        writer.close()

    made = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with made:
        yield made.sockets[0].getsockname()[1], heard


def answering(**changes: str | None) -> Script:
    answers: dict[str, str | None] = {
        "EHLO": "250 here", "HELO": "250 here", "MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go", ".": "250 queued",
        "RSET": "250 ok", "QUIT": "221 bye",
    }  # fmt: skip
    return lambda command: (answers | {"." if name == "DOT" else name: value for name, value in changes.items()})[command]


@pytest.mark.parametrize(
    ("changes", "fate", "no_mailbox"),
    [
        ({}, Fate.ACCEPTED, False),
        ({"MAIL": "550 no"}, Fate.REJECTED, False),
        ({"MAIL": "451 later"}, Fate.DEFERRED, False),
        ({"RCPT": "550 no such user"}, Fate.REJECTED, True),
        ({"RCPT": "550 5.1.1 no such user"}, Fate.REJECTED, True),
        ({"RCPT": "550 5.7.1 blocked"}, Fate.REJECTED, False),
        ({"RCPT": "450 greylisted"}, Fate.DEFERRED, False),
        ({"RCPT": "421 closing"}, Fate.DEFERRED, False),
        ({"DATA": "554 no"}, Fate.REJECTED, False),
        ({"DOT": "451 later"}, Fate.DEFERRED, False),
        ({"DOT": "552 too large"}, Fate.REJECTED, False),
        ({"MAIL": None}, Fate.DEFERRED, False),
        ({"RCPT": None}, Fate.DEFERRED, False),
        ({"DOT": None}, Fate.UNCERTAIN, False),
        ({"EHLO": None, "HELO": None}, Fate.DEFERRED, False),
    ],
)
async def test_what_a_server_does_has_one_fate(changes: dict[str, str | None], fate: Fate, no_mailbox: bool) -> None:
    async with server(answering(**changes)) as (port, heard), Post(Relay(host="127.0.0.1", port=port), timeout_s=5) as post:
        reply = await post.deliver("a@example.com", "b@example.com", RAW)
        assert (reply.fate, reply.no_mailbox) == (fate, no_mailbox), reply
        if fate is Fate.ACCEPTED:
            assert reply.text == "250 queued"
            assert "..line\r\n" in heard
            # The next one goes over the same connection.
            await post.deliver("a@example.com", "c@example.com", RAW)
            assert sum(line.startswith("EHLO") for line in heard) == 1


async def test_a_silent_server_is_waited_for_and_no_longer() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as made:
        port = made.sockets[0].getsockname()[1]
        async with Post(Relay(host="127.0.0.1", port=port), timeout_s=0.2) as post:
            reply = await post.deliver("a@example.com", "b@example.com", RAW)
    assert reply.fate is Fate.DEFERRED


async def test_nobody_there() -> None:
    async with Post(Relay(host="127.0.0.1", port=1), timeout_s=1) as post:
        reply = await post.deliver("a@example.com", "b@example.com", RAW)
    assert reply.fate is Fate.DEFERRED
    assert "127.0.0.1:1" in reply.text
