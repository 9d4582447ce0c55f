"""Relays that take their time after a mail's end, or hang: they are waited for, and hold nobody else's mails."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from tabellion.features import delivery
from tabellion.features.delivery import Sending, Ways, store, transport
from tabellion.features.delivery.handing import Handing, Orders
from tabellion.features.delivery.model import DIED, Claimed, Ending, Message, Policy, State
from tabellion.features.delivery.patience import Patience
from tabellion.features.delivery.transport import Exit, Way
from tabellion.kit.clock import utc_now
from tabellion.platform.mail import Fate, Relay
from tabellion.platform.mail import Post as Connections
from tests.features.delivery.conftest import START, Post, licence_that_sends
from tests.features.delivery.faulty import mail
from tests.features.delivery.working import MESSAGES, PACE, at_work, relay_at


class SlowRelay:
    """Answers the ends of mails when it is told to, or, `early`, that it wants them; those of `prompt` recipients at once.

    `held`: whose answers are waited for; `mails`: what came for whom.
    """

    def __init__(self, *prompt: str, early: bool = False) -> None:
        self.port = 0
        self.held: list[str] = []
        self.taken: Counter[str] = Counter()
        self.goes_on = asyncio.Event()
        self.mails: dict[str, bytes] = {}
        self._prompt, self._early = prompt, early

    async def holds(self, count: int) -> None:
        """Wait until so many mails wait."""
        await until(lambda: len(self.held) >= count)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recipient = ""
        writer.write(b"220 ready\r\n")
        while line := await reader.readline():
            if line.startswith(b"RCPT"):
                recipient = line.decode().partition("<")[2].partition(">")[0]
            if line != b"DATA\r\n":
                writer.write(b"250 ok\r\n")
                continue
            if self._early:
                await self._wait(recipient)
            writer.write(b"354 go on\r\n")
            try:
                self.mails[recipient] = await reader.readuntil(b"\r\n.\r\n")
            except asyncio.IncompleteReadError:
                break  # it does not leave after all
            if not self._early:
                await self._wait(recipient)
            self.taken[recipient] += 1
            writer.write(b"250 queued\r\n")
        writer.close()

    async def _wait(self, recipient: str) -> None:
        if recipient not in self._prompt:
            self.held.append(recipient)
            await self.goes_on.wait()


@asynccontextmanager
async def slow_relay(*prompt: str, early: bool = False) -> AsyncGenerator[SlowRelay]:
    made = SlowRelay(*prompt, early=early)
    async with await asyncio.start_server(made.serve, "127.0.0.1", 0) as server:
        made.port = server.sockets[0].getsockname()[1]
        try:
            yield made
        finally:
            made.goes_on.set()


async def ended(post: Post, sending: Sending, count: int) -> None:
    """Wait until so many mails of a sending were taken."""
    async with asyncio.timeout(15):
        while True:
            if (await post.fates(sending))["ACCEPTED", None] >= count:
                return
            await asyncio.sleep(0.01)


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(15):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


async def test_a_relay_that_hangs_keeps_no_mail_of_another_one_waiting(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    endings: list[Ending] = []

    async def begin(held: object) -> set[int]:
        return set(range(60))

    async def give_back(held: object) -> None:
        raise AssertionError("all mails can leave")

    orders = Orders(begin, give_back, endings.append, lambda _: None, lambda: False, utc_now, Policy.HOLD, Patience(), 1)
    async with slow_relay() as hanging, slow_relay() as good:
        good.goes_on.set()
        async with (
            Connections(Relay(host="127.0.0.1", port=hanging.port, connections=3), stuck_s=0.1) as one,
            Connections(Relay(host="127.0.0.1", port=good.port, connections=3), stuck_s=0.1) as other,
        ):
            watched = Exit(one)
            handing = Handing(Way([(5, watched), (1, Exit(other))]), orders)
            await handing.put([mail(n) for n in range(60)])
            await until(lambda: len(endings) == 57)
            assert not await handing.settled(0)
            assert (len(hanging.held), good.taken.total()) == (3, 57)
            assert watched.is_stuck
            assert not caplog.messages  # looking is not telling
            for _ in range(3):
                watched.watch()
            hanging.goes_on.set()
            assert await handing.settled(15)
            watched.watch()
            # It answers, and gets its share again.
            await handing.put([mail(n) for n in range(30)])
            await handing.end()
    assert {ending.state for ending in endings} == {State.ACCEPTED}
    assert hanging.taken.total() > 3
    assert hanging.taken.total() + good.taken.total() == len(endings) == 90
    (told,) = [message for message in caplog.messages if "slow" in message]
    assert f"127.0.0.1:{hanging.port}" in told
    assert f"127.0.0.1:{hanging.port} answers again" in caplog.messages


async def test_a_relay_is_not_called_slow_for_what_the_database_takes_its_time_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    endings: list[Ending] = []
    committed = asyncio.Event()

    async def begin(held: object) -> set[int]:
        await committed.wait()
        return set(range(5))

    async def give_back(held: object) -> None:
        raise AssertionError("all mails can leave")

    orders = Orders(begin, give_back, endings.append, lambda _: None, lambda: False, utc_now, Policy.HOLD, Patience(), 1)
    async with slow_relay() as good:
        good.goes_on.set()
        async with Connections(Relay(host="127.0.0.1", port=good.port, connections=2), stuck_s=0.1) as post:
            watched = Exit(post)
            handing = Handing(Way([(1, watched)]), orders)
            await handing.put([mail(n) for n in range(4)])
            # As long as a relay may take, three times.
            assert not await handing.settled(0.3)
            watched.watch()
            assert not watched.is_stuck
            # Who does not wait for a relay that is stuck waits for this one.
            impatient = asyncio.create_task(watched.deliver("a@x.example", "g4@x.example", b"x\r\n", None, patient=False))
            assert not (await asyncio.wait([impatient], timeout=0.3))[0]
            committed.set()
            assert (await impatient).fate is Fate.ACCEPTED
            await handing.end()
    assert [ending.state for ending in endings] == [State.ACCEPTED] * 4
    assert not caplog.messages


@pytest.mark.parametrize("count", [2, 450])
async def test_a_relay_that_hangs_keeps_no_other_licence_waiting(
    count: int, post: Post, worker_database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether all mails are on their way, or more of them than may be ready wait behind those."""
    guests = [f"g{n}@example.com" for n in range(count)]
    await post.guests(guests)
    # One at a time.
    pace = msgspec.structs.replace(PACE, sendings=1)
    ways = Ways(lambda relay: Connections(relay, stuck_s=0.1))
    async with licence_that_sends(worker_database_url) as others, slow_relay() as hanging, slow_relay() as good:
        good.goes_on.set()
        await others.guests(["cid@example.com"])
        await relay_at(post, hanging.port)
        await relay_at(others, good.port)
        slow = await post.sending(messages=MESSAGES)
        async with at_work(worker_database_url, tmp_path, pace=pace, ways=ways):
            await store.look_at(post.db, slow.id, START, None)
            await hanging.holds(min(count, 4))
            swift = await others.sending(messages=MESSAGES)
            await store.look_at(others.db, swift.id, START, None)
            await ended(others, swift, 1)
            assert not hanging.taken
            if count > 4:
                await until(lambda: any(f"127.0.0.1:{hanging.port} is slow" in message for message in caplog.messages))
            hanging.goes_on.set()
            await ended(post, slow, count)
    assert hanging.taken == Counter(guests)


async def test_a_mail_whose_answer_is_awaited_keeps_no_later_one_of_its_campaign_waiting(
    post: Post, worker_database_url: str, tmp_path: Path
) -> None:
    """And none is sent again meanwhile, as what another round holds would be."""
    await post.guests(["ann@example.com", "bob@example.com"])
    sending = await post.sending("TRANSACTIONAL", messages=MESSAGES, policy=Policy.RESEND)
    async with slow_relay("bob@example.com") as relay:
        await relay_at(post, relay.port)
        async with at_work(worker_database_url, tmp_path):
            await store.look_at(post.db, sending.id, START, None)
            await post.trigger(sending, "ann@example.com", START)
            await relay.holds(1)
            await post.trigger(sending, "bob@example.com", START)
            await ended(post, sending, 1)
            relay.goes_on.set()
            await ended(post, sending, 2)
    assert relay.taken == {"ann@example.com": 1, "bob@example.com": 1}


async def test_whoever_names_another_relay_need_not_wait_for_the_one_that_hangs(
    post: Post, worker_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_KNOWN_FOR_S", 0.0)
    guests = [f"g{n}@example.com" for n in range(20)]
    await post.guests(guests)
    async with slow_relay() as hanging, slow_relay() as good:
        good.goes_on.set()
        await relay_at(post, hanging.port)
        sending = await post.sending(messages=MESSAGES)
        async with at_work(worker_database_url, tmp_path):
            await store.look_at(post.db, sending.id, START, None)
            await hanging.holds(4)
            await post.db.execute("DELETE FROM tabellion.relay WHERE licence_id = %s", (post.licence_id,))
            await relay_at(post, good.port)
            await ended(post, sending, 16)
            hanging.goes_on.set()
            await ended(post, sending, 20)
    assert hanging.taken + good.taken == Counter(guests)


async def test_a_campaign_that_is_paused_and_resumed_goes_on_though_an_answer_is_awaited() -> None:
    endings: list[Ending] = []
    back: list[int] = []
    answers: list[set[int] | None] = [{0}, None, {1}]

    async def begin(held: object) -> set[int] | None:
        return answers.pop(0)

    async def give_back(held: Sequence[Claimed]) -> None:
        back.extend(each.id for each in held)

    orders = Orders(begin, give_back, endings.append, lambda _: None, lambda: False, utc_now, Policy.HOLD, Patience(), 1)
    async with (
        slow_relay("g1@example.com") as relay,
        Connections(Relay(host="127.0.0.1", port=relay.port, connections=2)) as post,
    ):
        way = Way([(1, Exit(post))])
        handing = Handing(way, orders)
        await handing.put([mail(0)])
        await relay.holds(1)
        await handing.put([mail(1)])
        await until(lambda: handing.halted)
        assert not await handing.settled(0.1)
        await handing.give_back()
        assert back == [1]
        handing.resume(way)
        await handing.put([mail(1)])
        await until(lambda: [ending.claimed.id for ending in endings] == [1])
        relay.goes_on.set()
        await handing.end()
    assert [(ending.claimed.id, ending.state) for ending in endings] == [(1, State.ACCEPTED), (0, State.ACCEPTED)]
    assert relay.taken == {"g0@example.com": 1, "g1@example.com": 1}


async def test_what_was_put_before_other_contents_begins_no_more() -> None:
    """Neither the one for which a relay was asked, nor the one behind it."""
    endings: list[Ending] = []
    back: list[int] = []

    async def begin(held: Sequence[Claimed]) -> set[int] | None:
        return {each.id for each in held}

    async def give_back(held: Sequence[Claimed]) -> None:
        back.extend(each.id for each in held)

    orders = Orders(begin, give_back, endings.append, lambda _: None, lambda: False, utc_now, Policy.HOLD, Patience(), 1)
    async with (
        slow_relay(early=True) as relay,
        Connections(Relay(host="127.0.0.1", port=relay.port, connections=1)) as post,
    ):
        handing = Handing(Way([(1, Exit(post))]), orders)
        await handing.put([mail(0), mail(1)])
        await relay.holds(1)
        handing.renew()
        await handing.put([mail(2)])
        relay.goes_on.set()
        await handing.end()
    assert (sorted(back), [ending.claimed.id for ending in endings]) == ([0, 1], [2])
    assert relay.taken == {"g2@example.com": 1}


async def test_a_mail_that_a_relay_keeps_waiting_leaves_by_the_contents_that_its_campaign_has_then(
    post: Post, worker_database_url: str, tmp_path: Path
) -> None:
    """While it waits, the others of the campaign leave by the new ones."""
    guests = ["ann@example.com", "bob@example.com"]
    await post.guests(guests)
    sending = await post.sending("TRANSACTIONAL", messages=MESSAGES)
    other = msgspec.structs.replace(sending.document, messages={"en": Message("Goodbye", "<p>Goodbye</p>", "Goodbye")})
    async with slow_relay("bob@example.com", early=True) as relay:
        await relay_at(post, relay.port)
        async with at_work(worker_database_url, tmp_path):
            await post.trigger(sending, "ann@example.com", START)
            await relay.holds(1)
            await delivery.pause(post.db, sending, START)
            await delivery.resume(post.db, sending, other, START)
            await post.trigger(sending, "bob@example.com", START)
            await ended(post, sending, 1)
            relay.goes_on.set()
            await ended(post, sending, 2)
    assert [b"Subject: Goodbye" in relay.mails[guest] for guest in guests] == [True, True]


@pytest.mark.parametrize(("closing_s", "fate"), [(10.0, ("ACCEPTED", None)), (0.2, ("UNCERTAIN", DIED))])
async def test_when_a_worker_stops_an_answer_is_awaited_for_a_while(
    closing_s: float, fate: tuple[str, str | None], post: Post, worker_database_url: str, tmp_path: Path
) -> None:
    await post.guests(["ann@example.com"])
    sending = await post.sending(messages=MESSAGES)
    async with slow_relay() as relay:
        await relay_at(post, relay.port)
        async with at_work(worker_database_url, tmp_path, closing_s=closing_s):
            await store.look_at(post.db, sending.id, START, None)
            await relay.holds(1)
            if closing_s > 1:
                asyncio.get_running_loop().call_later(0.2, relay.goes_on.set)
        assert await post.fates(sending) == {fate: 1}
