"""What a relay's words say: of the mailbox, of its domain, of the sender, or of the relay itself."""

import asyncio

import pytest

from tabellion.platform.mail import Fate, Post, Relay, Waits
from tests.support.relays import RAW, answering, server


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
