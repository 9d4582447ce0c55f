"""Connections to a relay are used again, replaced, and no more than it takes."""

import asyncio

import pytest

from tabellion.platform.mail import Fate, Post, Relay, Waits
from tests.support.relays import PIPELINING, RAW, answering, server


async def test_a_mail_for_nobody_is_empty_and_the_connection_goes_on() -> None:
    """Some servers ask for the mail though they have refused its only recipient, as commands came in one piece."""
    refusing = {"b@example.com"}
    answers = answering(EHLO=PIPELINING)
    heard: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        in_data = False
        while line := (await reader.readline()).decode():
            heard.append(line)
            if in_data and line != ".\r\n":
                continue
            refused = line.startswith("RCPT") and any(address in line for address in refusing)
            answer = "250 queued" if in_data else "550 no" if refused else answers(line.split(":")[0].split()[0])
            in_data = str(answer).startswith("354")
            writer.write(f"{answer}\r\n".encode())

    async with (
        await asyncio.start_server(serve, "127.0.0.1", 0) as made,
        Post(Relay(host="127.0.0.1", port=made.sockets[0].getsockname()[1]), waits=Waits.all_of(5)) as post,
    ):
        assert (await post.deliver("a@example.com", "b@example.com", RAW)).fate is Fate.REJECTED
        assert "Subject: x\r\n" not in heard
        assert (await post.deliver("a@example.com", "c@example.com", RAW)).fate is Fate.ACCEPTED
        assert sum(line.startswith("EHLO") for line in heard) == 1


async def test_what_a_server_says_unasked_ends_the_connection_before_the_next_mail() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers = answering()
        writer.write(b"220 ready\r\n")
        while line := (await reader.readline()).decode():
            in_data = line.startswith("DATA")
            writer.write(f"{answers(line.split(':')[0].split()[0])}\r\n".encode())
            if in_data:
                while await reader.readline() != b".\r\n":
                    pass
                writer.write(b"250 queued\r\n421 4.4.2 you were silent for too long\r\n")

    async with (
        await asyncio.start_server(serve, "127.0.0.1", 0) as made,
        Post(Relay(host="127.0.0.1", port=made.sockets[0].getsockname()[1]), waits=Waits.all_of(5)) as post,
    ):
        for _ in range(3):
            assert (await post.deliver("a@example.com", "b@example.com", RAW)).text == "250 queued"


@pytest.mark.parametrize("end", ["421 4.7.0 too many messages in this connection", None])
@pytest.mark.parametrize("ehlo", ["250 here", PIPELINING])
async def test_a_kept_connection_that_takes_no_more_mails_is_replaced_at_once(ehlo: str, end: str | None) -> None:
    senders = 0

    def script(command: str) -> str | None:
        nonlocal senders
        if command == "MAIL":
            senders += 1
            if senders % 3 == 0:
                return end
        return answering(EHLO=ehlo)(command)

    async with server(script) as (port, heard), Post(Relay(host="127.0.0.1", port=port), waits=Waits.all_of(5)) as post:
        replies = [await post.deliver("a@example.com", f"b{n}@example.com", RAW) for n in range(6)]
    assert {reply.fate for reply in replies} == {Fate.ACCEPTED}
    assert sum(line.startswith("EHLO") for line in heard) == 3


@pytest.mark.parametrize("said", ["421 4.7.0 too much mail from you", "530 5.7.0 Authentication required"])
async def test_a_relay_that_takes_no_mails_from_anybody_is_as_one_that_cannot_be_reached(said: str) -> None:
    async with (
        server(answering(MAIL=said)) as (port, heard),
        Post(Relay(host="127.0.0.1", port=port), waits=Waits.all_of(5)) as post,
    ):
        replies = [await post.deliver("a@example.com", "b@example.com", RAW) for _ in range(2)]
    assert {(reply.fate, reply.reached) for reply in replies} == {(Fate.DEFERRED, False)}
    assert said in replies[0].text
    assert sum(line.startswith("MAIL") for line in heard) == 2


async def test_of_a_relay_that_takes_few_connections_mails_take_turns_on_those() -> None:
    open_now = most = refused = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most, refused
        if open_now == 2:
            refused += 1
            writer.write(b"421 4.7.0 too many connections from you\r\n")
            writer.close()
            return
        open_now += 1
        most = max(most, open_now)
        writer.write(b"220 ready\r\n")
        while line := await reader.readline():
            if line.startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                await asyncio.sleep(0.001)
            writer.write(b"250 ok\r\n")
        open_now -= 1
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as made:
        port = made.sockets[0].getsockname()[1]
        async with Post(Relay(host="127.0.0.1", port=port, connections=10), waits=Waits.all_of(5)) as post:
            assert await post.reach() is None
            both = [post.deliver("a@example.com", f"b{n}@example.com", RAW) for n in range(100)]
            replies = await asyncio.gather(*both)
    assert {reply.fate for reply in replies} == {Fate.ACCEPTED}
    # Those that were tried together.
    assert (most, refused < 10) == (2, True)


async def test_connections_that_end_of_a_relay_that_takes_few_are_replaced() -> None:
    open_now = 0
    both = asyncio.Barrier(2)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now
        if open_now == 2:
            writer.write(b"421 4.7.0 too many connections from you\r\n")
            writer.close()
            return
        open_now += 1
        writer.write(b"220 ready\r\n")
        mails = 0
        while (line := await reader.readline()) and not (line.startswith(b"MAIL") and mails == 2):
            if line.startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                # It goes on only where both of its connections are used.
                await both.wait()
                mails += 1
            writer.write(b"250 ok\r\n")
        open_now -= 1
        writer.write(b"421 4.7.0 too many mails over one connection\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as made, asyncio.timeout(20):
        port = made.sockets[0].getsockname()[1]
        async with Post(Relay(host="127.0.0.1", port=port, connections=10), waits=Waits.all_of(5)) as post:
            replies = await asyncio.gather(*(post.deliver("a@example.com", f"b{n}@example.com", RAW) for n in range(40)))
    assert [str(reply.fate) for reply in replies] == ["ACCEPTED"] * 40
