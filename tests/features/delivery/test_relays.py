"""Several relays: weights, and those that cannot be reached; real SMTP servers."""

import asyncio
from contextlib import ExitStack

from tabellion.features.delivery.transport import Exit, Way
from tabellion.platform.mail import Fate, Post, Relay, Reply
from tests.support.api import free_port
from tests.support.mailing import smtp_sink

RAW = b"From: a@example.com\r\nSubject: x\r\n\r\nHello\r\n"


def exit_to(port: int) -> Exit:
    return Exit(Post(Relay(host="127.0.0.1", port=port, connections=5)))


async def hand_over(way: Way, count: int) -> list[Reply]:
    slots = asyncio.Semaphore(10)

    async def one(n: int) -> Reply:
        async with slots:
            return (await way.deliver("a@example.com", f"g{n}@example.com", RAW))[0]

    return await asyncio.gather(*(one(n) for n in range(count)))


async def test_mails_are_spread_by_weight() -> None:
    with ExitStack() as stack:
        small, large = stack.enter_context(smtp_sink()), stack.enter_context(smtp_sink())
        way = Way([(1, exit_to(small.port)), (4, exit_to(large.port))])
        replies = await hand_over(way, 500)
    assert {reply.fate for reply in replies} == {Fate.ACCEPTED}
    assert len(small.mails) + len(large.mails) == 500
    # Four standard deviations around 100.
    assert 64 <= len(small.mails) <= 136


async def test_what_one_relay_cannot_take_goes_to_the_others_and_it_is_tried_again_later() -> None:
    dead = exit_to(free_port())
    with smtp_sink() as alive:
        way = Way([(100, dead), (1, exit_to(alive.port))])
        replies = await hand_over(way, 100)
        assert {reply.fate for reply in replies} == {Fate.ACCEPTED}
        assert len(alive.mails) == 100
        assert dead.failing
        assert 0 < dead.rest_s <= 1
        assert not way.is_blocked


async def rested(*exits: Exit) -> None:
    """Until each of them may be tried again. A timer of the loop may end a millisecond before the clock says so."""
    await asyncio.sleep(max(each.rest_s for each in exits) + 0.01)
    assert not any(each.rest_s for each in exits)


async def test_when_no_relay_can_be_reached_nothing_is_tried_until_one_can() -> None:
    port = free_port()
    one, two = exit_to(port), exit_to(port)
    way = Way([(1, one), (1, two)])
    replies = await hand_over(way, 20)
    assert all(reply.fate is Fate.DEFERRED and not reply.reached for reply in replies)
    assert way.is_blocked
    assert not await way.opens()
    await rested(one, two)
    assert not await way.opens()
    # Twice as long as before.
    assert min(one.rest_s, two.rest_s) > 1
    with smtp_sink(port) as sink:
        await rested(one, two)
        assert await way.opens()
        replies = await hand_over(way, 20)
    assert {reply.fate for reply in replies} == {Fate.ACCEPTED}
    assert len(sink.mails) == 20


async def test_what_is_told_of_a_relay_that_refuses_the_login_holds_neither_name_nor_password() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        while line := await reader.readline():
            writer.write(
                b"250-here\r\n250 AUTH PLAIN\r\n" if line.startswith(b"EHLO") else b"535 5.7.8 mailer/hunter2 is no user\r\n"
            )
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        exit_ = Exit(Post(Relay(host="127.0.0.1", port=port, user="mailer", password="hunter2")))
        assert exit_.trouble is None
        assert not await exit_.reach()
        await exit_.post.__aexit__()
    assert exit_.trouble is not None
    assert "535 5.7.8 …/… is no user" in exit_.trouble
    assert "mailer" not in exit_.trouble


async def test_a_relay_that_greets_and_takes_no_mails_is_left_alone_for_longer_each_time() -> None:
    async def turn_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        while line := await reader.readline():
            writer.write(b"530 5.7.0 log in first\r\n" if line.startswith(b"MAIL") else b"250 here\r\n")
        writer.close()

    async with await asyncio.start_server(turn_away, "127.0.0.1", 0) as server:
        exit_ = exit_to(server.sockets[0].getsockname()[1])
        way = Way([(1, exit_)])
        rests: list[float] = []
        for _ in range(2):
            assert await way.opens()
            replies = await hand_over(way, 5)
            assert {(reply.fate, reply.reached) for reply in replies} == {(Fate.DEFERRED, False)}
            assert exit_.trouble is not None
            assert "530 5.7.0 log in first" in exit_.trouble
            rests.append(exit_.rest_s)
            await rested(exit_)
        await exit_.post.__aexit__()
    assert rests[0] <= 1 < rests[1] <= 2
