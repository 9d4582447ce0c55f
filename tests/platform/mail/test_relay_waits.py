"""How long a relay is waited for, and what is known of a mail when it says nothing or breaks off."""

import asyncio
from pathlib import Path

import pytest

from tabellion.platform.mail import Fate, Post, Relay, Reply, Waits
from tests.support.relays import PIPELINING, RAW, answering, server


async def test_a_silent_server_is_waited_for_and_no_longer() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as made:
        port = made.sockets[0].getsockname()[1]
        async with Post(Relay(host="127.0.0.1", port=port), waits=Waits.all_of(0.2)) as post:
            reply = await post.deliver("a@example.com", "b@example.com", RAW)
    assert reply.fate is Fate.DEFERRED


@pytest.mark.parametrize(
    ("silent_at", "waits", "fate", "text"),
    [
        ("EHLO", {"opening_s": 0.1}, Fate.DEFERRED, "no answer to EHLO within 0.1 s"),
        ("MAIL", {"envelope_s": 0.1}, Fate.DEFERRED, "no answer within 0.1 s"),
        ("RCPT", {"envelope_s": 0.1}, Fate.DEFERRED, "no answer within 0.1 s"),
        ("DATA", {"data_s": 0.1}, Fate.DEFERRED, "no answer within 0.1 s"),
        (".", {"end_s": 0.1}, Fate.UNCERTAIN, "no answer within 0.1 s"),
        # What was said of the mail is known.
        ("RSET", {"reset_s": 0.1}, Fate.REJECTED, "550 no"),
    ],
)
@pytest.mark.parametrize("ehlo", ["250 here", PIPELINING])
async def test_each_step_is_waited_for_as_long_as_it_may_take(
    ehlo: str, silent_at: str, waits: dict[str, float], fate: Fate, text: str
) -> None:
    answers = answering(EHLO=ehlo, **{"RCPT": "550 no"} if silent_at == "RSET" else {})
    long = {"opening_s": 60.0, "envelope_s": 60.0, "data_s": 60.0, "end_s": 60.0, "reset_s": 60.0}
    async with (
        server(lambda command: "" if command == silent_at else answers(command)) as (port, _),
        Post(Relay(host="127.0.0.1", port=port), waits=Waits(**long | waits)) as post,
    ):
        async with asyncio.timeout(20):
            reply = await post.deliver("a@example.com", "b@example.com", RAW)
    assert reply.fate is fate
    assert text in reply.text


async def test_the_answer_to_a_mail_is_waited_for_longer_than_any_other() -> None:
    """A relay that searches mails for viruses: who is impatient does not know of a mail that it has arrived."""
    waits = Waits()
    assert waits.end_s >= 600
    assert waits.end_s > max(waits.opening_s, waits.envelope_s, waits.data_s, waits.block_s, waits.reset_s)
    assert min(waits.envelope_s, 300) == 300
    assert min(waits.data_s, 120) == 120
    assert min(waits.block_s, 180) == 180
    impatient = Waits(opening_s=5, envelope_s=0.2, data_s=0.2, block_s=0.2, reset_s=0.2, end_s=30)
    answers, came = answering(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        while line := (await reader.readline()).decode():
            writer.write(f"{answers(line.split(':')[0].split()[0])}\r\n".encode())
            if line.startswith("DATA"):
                await reader.readuntil(b"\r\n.\r\n")
                came.set()
                asyncio.get_running_loop().call_later(0.6, writer.write, b"250 queued\r\n")
        writer.close()

    async with (
        await asyncio.start_server(serve, "127.0.0.1", 0) as made,
        Post(Relay(host="127.0.0.1", port=made.sockets[0].getsockname()[1]), waits=impatient) as post,
    ):
        reply = await post.deliver("a@example.com", "b@example.com", RAW)
    assert came.is_set()
    assert reply == Reply(Fate.ACCEPTED, "250 queued")


LARGE = RAW + b"x" * 70 + b"\r\n" * 10 + (b"y" * 70 + b"\r\n") * 400_000


@pytest.mark.parametrize(
    ("said", "end", "fate"),
    [
        # It has not had the end: this is known.
        (b"", "cut", Fate.DEFERRED),
        (b"", "stop", Fate.DEFERRED),
        (b"552 5.3.4 too large\r\n", "cut", Fate.REJECTED),
        (b"452 4.3.1 no room\r\n", "wait", Fate.DEFERRED),
        (b"421 4.3.2 closing\r\n", "cut", Fate.DEFERRED),
        # Whatever that is an answer to, it is no mail that has arrived.
        (b"250 queued\r\n", "wait", Fate.DEFERRED),
    ],
)
async def test_a_large_mail_that_breaks_off_in_the_middle_is_in_no_doubt(said: bytes, end: str, fate: Fate) -> None:
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers = answering()
        writer.write(b"220 ready\r\n")
        while (line := (await reader.readline()).decode()) and not line.startswith("DATA"):
            writer.write(f"{answers(line.split(':')[0].split()[0])}\r\n".encode())
        writer.write(b"354 go on\r\n")
        await reader.readexactly(100_000)
        writer.write(said)
        if end == "cut":
            await asyncio.sleep(0.05)
        else:
            # It reads no more, and does not hang up.
            await over.wait()
        writer.transport.abort()

    waits = Waits(block_s=0.3 if end == "stop" else 30.0)
    async with (
        await asyncio.start_server(serve, "127.0.0.1", 0) as made,
        Post(Relay(host="127.0.0.1", port=made.sockets[0].getsockname()[1]), waits=waits) as post,
    ):
        async with asyncio.timeout(20):
            reply = await post.deliver("a@example.com", "b@example.com", LARGE)
        over.set()
    assert reply.fate is fate
    assert reply.text.startswith(said.decode().strip() if fate is Fate.REJECTED else "")
    assert "it took nothing for 0.3 s" in reply.text or end != "stop"


def timers_to(port: int) -> list[list[str]]:
    """Of the connections that lead there: which timer runs (02: keep-alive), and when it is up (in 1/100 s)."""
    # Number, local address, remote address, state (01: open), queues, timer.
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row[5].split(":") for row in rows if row[2].endswith(f":{port:04X}") and row[3] == "01"]


async def test_a_relay_that_is_gone_without_a_word_is_noticed() -> None:
    """The kernel asks whether the other side is there: ten minutes are for those that are, and work."""
    async with server(answering()) as (port, _), Post(Relay(host="127.0.0.1", port=port)) as post:
        assert await post.reach() is None
        ((timer, when),) = timers_to(port)
    assert timer == "02"
    assert 0 < int(when, 16) <= 30 * 100
