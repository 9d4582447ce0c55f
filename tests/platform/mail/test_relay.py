"""Handing over to relays: every answer and every break has one fate."""

import asyncio
import re
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tabellion.platform.mail import Fate, Post, Relay, Reply, Waits, own_name, use_name
from tabellion.platform.mail.exchange import stuffed

Script = Callable[[str], str | None]
RAW = b"From: a@example.com\r\nSubject: x\r\n\r\n.line\r\n"


PIPELINING = "250-here\r\n250-SIZE 1000000\r\n250 PIPELINING"


@asynccontextmanager
async def server(script: Script) -> AsyncGenerator[tuple[int, list[str]]]:
    """An SMTP server that answers what `script` says to each command and what it heard. None: it hangs up; empty: it
    says nothing any more.
    """
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
            if not answer:
                await reader.read()
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
        ({"DOT": "350 what else"}, Fate.UNCERTAIN, False),
        ({"DOT": "queued"}, Fate.UNCERTAIN, False),
        ({"MAIL": "what"}, Fate.DEFERRED, False),
        ({"RCPT": "251 moved"}, Fate.ACCEPTED, False),
        ({"DOT": "250-queued\r\n250 as 7"}, Fate.ACCEPTED, False),
        ({"RCPT": "550-5.1.1 no such user\r\n550 5.1.1 here"}, Fate.REJECTED, True),
        ({"MAIL": None}, Fate.DEFERRED, False),
        ({"RCPT": None}, Fate.DEFERRED, False),
        ({"DOT": None}, Fate.UNCERTAIN, False),
        ({"EHLO": None, "HELO": None}, Fate.DEFERRED, False),
    ],
)
@pytest.mark.parametrize("ehlo", ["250 here", PIPELINING])
async def test_what_a_server_does_has_one_fate(
    ehlo: str, changes: dict[str, str | None], fate: Fate, no_mailbox: bool
) -> None:
    async with (
        server(answering(**{"EHLO": ehlo} | changes)) as (port, heard),
        Post(Relay(host="127.0.0.1", port=port), waits=Waits.all_of(5)) as post,
    ):
        reply = await post.deliver("a@example.com", "b@example.com", RAW)
        assert (reply.fate, reply.no_mailbox) == (fate, no_mailbox), reply
        if fate is Fate.ACCEPTED:
            assert reply.text.startswith("250 queued")
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


@pytest.mark.parametrize("ahead", ["MAIL", "RCPT", "DATA"])
async def test_an_answer_that_comes_before_its_question_accepts_no_mail(ahead: str) -> None:
    """A server, or somebody in between, that says one thing too many: from then on each answer would be another one's."""
    more = {"MAIL": "250 ok\r\n250 queued", "RCPT": "250 ok\r\n250 queued", "DATA": "354 go\r\n250 queued"}
    async with (
        server(answering(**{ahead: more[ahead], "DOT": "554 no"})) as (port, heard),
        Post(Relay(host="127.0.0.1", port=port), waits=Waits.all_of(5)) as post,
    ):
        reply = await post.deliver("a@example.com", "b@example.com", RAW)
    assert reply.fate is Fate.DEFERRED
    assert "not asked" in reply.text
    assert "Subject: x\r\n" not in heard


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


async def test_nobody_there() -> None:
    async with Post(Relay(host="127.0.0.1", port=1), waits=Waits.all_of(1)) as post:
        reply = await post.deliver("a@example.com", "b@example.com", RAW)
    assert reply.fate is Fate.DEFERRED
    assert "127.0.0.1:1" in reply.text


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


async def test_addresses_bring_no_command_along() -> None:
    async with server(answering(EHLO=PIPELINING)) as (port, heard), Post(Relay(host="127.0.0.1", port=port)) as post:
        for address in ("b@example.com>\r\nRCPT TO:<c@example.com", "b@example.com c", "b@example.com\0", "<b@example.com>"):
            for sender, recipient in ((address, "b@example.com"), ("a@example.com", address)):
                with pytest.raises(ValueError, match="address"):
                    await post.deliver(sender, recipient, RAW)
        assert not any(line.startswith(("MAIL", "RCPT")) for line in heard)


SMUGGLED = (
    b"\r\n.\r\n",
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\n.\r",
    b"\r\n\0.\r\n",
    b"\r\n..\r\n",
)


@pytest.mark.parametrize("end", SMUGGLED)
@pytest.mark.parametrize("tail", [b"", b"MAIL FROM:<x@example.com>\r\nRCPT TO:<y@example.com>\r\nDATA\r\nx"])
def test_no_line_of_a_mail_is_its_end_whatever_ends_lines(end: bytes, tail: bytes) -> None:
    wire = stuffed(b".first" + end + tail + end)
    assert wire.count(b"\n") == wire.count(b"\r") == wire.count(b"\r\n")
    lines = wire.split(b"\r\n")
    assert lines.index(b".") == len(lines) - 2
    assert lines[0] == b"..first"
    # Nothing is lost: what a server takes off again is what was meant, with one kind of line ends.
    read = b"\r\n".join(line.removeprefix(b".") for line in lines[:-2]) + b"\r\n"
    wanted = re.sub(rb"\r\n|\r|\n", b"\r\n", b".first" + end + tail + end)
    assert read == (wanted if wanted.endswith(b"\r\n") else wanted + b"\r\n")


@pytest.mark.parametrize(
    ("said", "no_mailbox"),
    [
        ("550 relay not permitted", False),
        ("550-Verification failed for <news@example.com>\r\n550 Sender verify failed", False),
        ("550 Administrative prohibition", False),
        ("550 authentication required", False),
        ("550 Rejected: listed at zen.spamhaus.example", False),
        ("550 Access denied - Invalid HELO name", False),
        ("553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", False),
        ("550 5.7.1 <b@example.com>... Relaying denied", False),
        ("550 5.1.8 Sender domain not found", False),
        ("550 5.1.0 <news@example.com> sender rejected", False),
        ("550 Mailbox quota exceeded", False),
        ("550 5.2.1 mailbox full", False),
        ("550 Unrouteable address", True),
        ("550 5.1.10 RESOLVER.ADR.RecipientNotFound", True),
        ("551 not our customer", True),
        ("554 delivery error: dd This user doesn't have a yahoo.example account", True),
    ],
)
async def test_only_who_lives_nowhere_is_said_to(said: str, no_mailbox: bool) -> None:
    """Of many servers the number for that, 550, is the one for all that they do not want."""
    async with (
        server(answering(RCPT=said)) as (port, _),
        Post(Relay(host="127.0.0.1", port=port), waits=Waits.all_of(5)) as post,
    ):
        reply = await post.deliver("a@example.com", "b@example.com", RAW)
    assert (reply.fate, reply.no_mailbox) == (Fate.REJECTED, no_mailbox)


@pytest.mark.parametrize(
    ("said", "no_mailbox", "of_us"),
    [
        ("550 5.1.1 User unknown", True, False),
        ("550 5.1.10 RESOLVER.ADR.RecipientNotFound", True, False),
        ("550-5.1.2 The domain\r\n550 5.1.2 takes no mails", True, False),
        ("550 5.2.1 The account is disabled", True, False),
        ("552 5.2.2 The mailbox is full", False, False),
        # Of the sender, of what the mail holds, or of nothing that is told: whoever it is for.
        ("550 5.1.8 Sender domain not found", False, True),
        ("550 5.1.0 Rejected", False, True),
        ("552 5.2.3 Too large", False, True),
        ("550 5.7.1 refused by policy; 5.1.1", False, True),
        ("550 no such domain as the one in your links: unknown domain", False, True),
        ("550 Requested action not taken: mailbox unavailable", False, True),
        ("554 Transaction failed", False, True),
    ],
)
async def test_who_lives_nowhere_is_said_to_at_the_mails_end_by_a_code(said: str, no_mailbox: bool, of_us: bool) -> None:
    """Exchange, for one, looks for the recipient when it has the mail."""
    async with (
        server(answering(DOT=said)) as (port, _),
        Post(Relay(host="127.0.0.1", port=port), waits=Waits.all_of(5)) as post,
    ):
        reply = await post.deliver("a@example.com", "b@example.com", RAW)
    assert (reply.fate, reply.no_mailbox, reply.of_us) == (Fate.REJECTED, no_mailbox, of_us)


@pytest.mark.parametrize("stage", ["EHLO", "AUTH", "RCPT", "."])
async def test_what_a_server_says_in_latin_1_can_be_kept_and_read(stage: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        while line := await reader.readline():
            command = line.split(b":")[0].decode().strip().upper()
            command = "AUTH" if command.startswith("AUTH") else command.split()[0]
            said = {"EHLO": b"250-here\r\n250 AUTH PLAIN\r\n", "AUTH": b"235 in\r\n"}.get(command, b"250 ok\r\n")
            if command == "DATA":
                writer.write(b"354 go\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                command = "."
            writer.write("550 refusé, boîte fermée\r\n".encode("latin-1") if command in {stage, "HELO"} else said)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as made:
        port = made.sockets[0].getsockname()[1]
        async with Post(Relay(host="127.0.0.1", port=port, user="u", password="p"), waits=Waits.all_of(5)) as post:
            reply = await post.deliver("a@example.com", "b@example.com", RAW)
    assert "550 refusé, boîte fermée" in reply.text


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


@pytest.mark.parametrize(
    ("stage", "said", "of_domain"),
    [
        ("MAIL", "452 4.7.1 later", False), ("RCPT", "452 4.7.1 later", True), ("DATA", "452 4.7.1 later", True),
        ("DOT", "421 4.7.0 too many mails", True), ("DOT", "421 later", True), ("RCPT", "450 4.2.0 greylisted", True),
        ("RCPT", "450 4.1.2 domain not found", True), ("DOT", "451 mx.example.com said: 421 4.3.2 not now", True),
        ("DOT", "421 4.3.2 shutting down", False), ("DATA", "452 4.3.1 no room", False), ("RCPT", "421 4.3.0 busy", False),
        ("DOT", "451 4.5.0 protocol", False), ("RCPT", "452 4.5.3 too many", False), ("RCPT", "452 4.2.2 full", False),
        ("RCPT", "450 4.2.1 too quickly for this mailbox", False), ("RCPT", "451 4.1.8 sender's domain", False),
    ],
)  # fmt: skip
async def test_later_of_a_domain_is_told_apart_from_what_the_relay_says_of_itself_or_of_a_mailbox(
    stage: str, said: str, of_domain: bool
) -> None:
    async with (
        server(answering(**{stage: said})) as (port, _),
        Post(Relay(host="127.0.0.1", port=port), waits=Waits.all_of(5)) as post,
    ):
        reply = await post.deliver("a@example.com", "b@example.com", RAW)
    assert (reply.fate, reply.of_domain) == (Fate.DEFERRED, of_domain)


@pytest.mark.parametrize(
    ("full", "said"),
    [
        ("mail.example.com", "mail.example.com"), ("vm", "[127.0.0.1]"), ("localhost", "[127.0.0.1]"),
        ("localhost.localdomain", "[127.0.0.1]"), ("käse.example.com", "[127.0.0.1]"),
    ],
)  # fmt: skip
async def test_relays_are_greeted_by_a_full_name_or_an_address(
    full: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_name._Own, "full", None)
    monkeypatch.setattr(socket, "getfqdn", lambda: full)
    for name in ("", "news.example.com"):
        use_name(name)
        async with server(answering()) as (port, heard), Post(Relay(host="127.0.0.1", port=port)) as post:
            assert (await post.deliver("a@example.com", "b@example.com", RAW)).fate is Fate.ACCEPTED
        use_name("")
        assert heard[0] == f"EHLO {name or said}\r\n"


def test_an_address_of_the_newer_kind_says_so() -> None:
    assert own_name.literal("2001:db8::25%eth0") == "[IPv6:2001:db8::25]"


async def test_a_mail_that_is_larger_than_the_relay_takes_is_not_offered() -> None:
    small = "250-here\r\n250-SIZE 40\r\n250 PIPELINING"
    async with server(answering(EHLO=small)) as (port, heard), Post(Relay(host="127.0.0.1", port=port)) as post:
        replies = [await post.deliver("a@example.com", "b@example.com", raw) for raw in (RAW, b"Subject: x\r\n\r\n", RAW)]
    assert [reply.fate for reply in replies] == [Fate.REJECTED, Fate.ACCEPTED, Fate.REJECTED]
    assert replies[0].text == f"the mail has {len(RAW)} octets, and the relay takes 40 at most"
    assert replies[0].of_us
    assert sum(line.startswith("MAIL") for line in heard) == 1


@pytest.mark.parametrize("size", ["SIZE", "SIZE 0", "SIZE many", f"SIZE {'9' * 30}"])
async def test_a_size_that_says_nothing_keeps_no_mail_back(size: str) -> None:
    async with (
        server(answering(EHLO=f"250-here\r\n250 {size}")) as (port, _),
        Post(Relay(host="127.0.0.1", port=port)) as post,
    ):
        assert (await post.deliver("a@example.com", "b@example.com", RAW)).fate is Fate.ACCEPTED
