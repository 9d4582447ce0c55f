"""Handing over to relays: every answer and every break has one fate, and no mail says more than was meant."""

import re
import socket

import pytest

from tabellion.platform.mail import Fate, Post, Relay, Waits, own_name, use_name
from tabellion.platform.mail.exchange import stuffed
from tests.support.relays import PIPELINING, RAW, answering, server


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


async def test_nobody_there() -> None:
    async with Post(Relay(host="127.0.0.1", port=1), waits=Waits.all_of(1)) as post:
        reply = await post.deliver("a@example.com", "b@example.com", RAW)
    assert reply.fate is Fate.DEFERRED
    assert "127.0.0.1:1" in reply.text


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
