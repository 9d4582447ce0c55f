"""Relays that refuse whatever a campaign sends: it waits with its mails, and nobody is lost or gets it twice."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tabellion.features.delivery import Sending, batch, favour, pending, recipient_store, service, store
from tabellion.features.delivery.sums import Scope, tally
from tabellion.features.delivery.sums import begin as snapshot
from tests.features.delivery.conftest import START, Post
from tests.features.delivery.test_slow_relays import until
from tests.features.delivery.working import MESSAGES, PACE, at_work, relay_at

MOST = 5
FEW = msgspec.structs.replace(PACE, refusals_in_a_row=MOST, beat_every_s=0.05)
NO_RELAYING = "554 5.7.1 relay access denied"
SAID = {"MAIL": "553 5.7.1 sender not owned by user", "RCPT": NO_RELAYING, ".": "550 5.7.1 refused by policy"}


class Choosy:
    """A relay that refuses: `refuses` tells by command and recipient what is answered; None: it is taken."""

    def __init__(self) -> None:
        self.port = 0
        self.taken: Counter[str] = Counter()
        self.asked = 0
        self.refuses: Callable[[str, str], str | None] = lambda _command, _recipient: None

    def always(self, command: str) -> None:
        """Refuse all mails at a command; none: take them."""
        self.refuses = lambda at, _: SAID[command] if at == command else None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._serve(reader, writer)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recipient = ""
        writer.write(b"220 ready\r\n")
        while line := await reader.readline():
            word = line[:4].decode().strip()
            if word == "RCPT":
                recipient = line.decode().partition("<")[2].partition(">")[0]
            said = self.refuses(word, recipient)
            self.asked += word == "MAIL"
            if word == "DATA" and said is None:
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                said = self.refuses(".", recipient)
                self.taken[recipient] += said is None
            writer.write(f"{said or '250 ok'}\r\n".encode())


@asynccontextmanager
async def choosy(post: Post) -> AsyncGenerator[Choosy]:
    """Such a relay, as one of the licence's."""
    made = Choosy()
    async with await asyncio.start_server(made.serve, "127.0.0.1", 0) as server:
        made.port = server.sockets[0].getsockname()[1]
        await relay_at(post, made.port)
        yield made


class Clock:
    """A clock that is put forward."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def later(self) -> None:
        """What was put off is due."""
        self.now += timedelta(minutes=11)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Relays are tried again two hundred times sooner."""
    monkeypatch.setattr(favour, "_PAUSE_S", 0.3)
    monkeypatch.setattr(favour, "_LONGEST_PAUSE_S", 0.6)
    monkeypatch.setattr(batch, "_LONGEST_REST_S", 0.1)


async def campaign(post: Post, guests: int) -> Sending:
    await post.guests(f"g{n}@example.com" for n in range(guests))
    sending = await post.sending(messages=MESSAGES)
    await store.look_at(post.db, sending.id, START, None)
    return sending


async def delays(post: Post, sending: Sending, now: datetime) -> dict[str, str]:
    scope = Scope(post.licence_id, sending.campaign_id)
    async with post.db.transaction():
        await snapshot(post.db)
        number = (await tally(post.db, scope)).pending
        found = await store.find(post.db, sending.id)
        assert found is not None
        told = await pending.explain(post.db, scope, found, number, now, paused_because=None)
    assert sum(each.mails for each in told.waits) == number
    return {each.cause: each.message for each in told.delays}


async def refused(post: Post, sending: Sending, clock: Clock) -> str:
    """What is said of a relay that refuses all mails of a sending, once it does."""
    async with asyncio.timeout(15):
        while True:
            if (told := (await delays(post, sending, clock.now)).get("refused")) is not None:
                return told
            await asyncio.sleep(0.01)


async def tries(post: Post, sending: Sending) -> set[int]:
    query = f"SELECT DISTINCT tries FROM l{post.licence_id}.recipient WHERE sending_id = %s".encode()
    return {row[0] for row in await (await post.db.execute(query, (sending.id,))).fetchall()}


async def suppressed(post: Post) -> set[str]:
    cursor = await post.db.execute(f"SELECT address FROM l{post.licence_id}.suppression".encode())
    return {row[0] for row in await cursor.fetchall()}


async def all_are(post: Post, sending: Sending, *fates: tuple[str, str | None]) -> Counter[tuple[str, str | None]]:
    """Wait until nobody has another fate."""
    async with asyncio.timeout(15):
        while True:
            found = await post.fates(sending)
            if set(found) <= set(fates):
                return found
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("command", list(SAID))
async def test_a_relay_that_refuses_everything_uses_up_no_campaign(
    command: str, post: Post, worker_database_url: str, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    sending = await campaign(post, 40)
    async with choosy(post) as relay:
        relay.always(command)
        async with at_work(worker_database_url, tmp_path, clock=clock, pace=FEW):
            told = await refused(post, sending, clock)
            assert SAID[command] in told
            assert f"127.0.0.1:{relay.port} has refused {MOST} mails in a row" in told
            # As many as were on their way, and one now and then.
            asked = relay.asked
            assert asked <= MOST + 4 + 2
            await until(lambda: relay.asked >= asked + 2)
            await all_are(post, sending, ("PLANNED", None), ("DEFERRED", "declined"))
            assert await tries(post, sending) == {0}
            relay.always("")
            await all_are(post, sending, ("ACCEPTED", None), ("DEFERRED", "declined"))
            clock.later()
            await all_are(post, sending, ("ACCEPTED", None))
            assert await delays(post, sending, clock.now) == {}
    assert relay.taken == Counter(f"g{n}@example.com" for n in range(40))
    assert len([each for each in caplog.messages if "in a row" in each]) == 1


async def test_a_refusal_is_final_once_the_relay_has_taken_another_mail(
    post: Post, worker_database_url: str, tmp_path: Path, clock: Clock
) -> None:
    sending = await campaign(post, 40)
    bad = {f"g{n}@example.com" for n in range(0, 40, 4)}
    async with choosy(post) as relay:
        relay.refuses = lambda at, recipient: SAID["."] if at == "." and recipient in bad else None
        async with at_work(worker_database_url, tmp_path, clock=clock, pace=FEW):
            fates = await all_are(post, sending, ("ACCEPTED", None), ("REJECTED", "declined"))
    assert fates == {("ACCEPTED", None): 30, ("REJECTED", "declined"): 10}
    assert await tries(post, sending) == {1}
    assert relay.asked == 40


async def test_what_is_refused_is_final_when_nobody_else_is_left(
    post: Post, worker_database_url: str, tmp_path: Path, clock: Clock
) -> None:
    """Fewer than would have the campaign wait."""
    sending = await campaign(post, MOST - 1)
    async with choosy(post) as relay:
        relay.always("RCPT")
        async with at_work(worker_database_url, tmp_path, clock=clock, pace=FEW):
            await all_are(post, sending, ("REJECTED", "declined"))
            async with asyncio.timeout(15):
                while True:
                    if not await store.going_on(post.db, [sending.id]):
                        break
                    await asyncio.sleep(0.01)


async def test_many_that_are_refused_at_the_end_of_a_campaign_do_not_hold_it_for_ever(
    post: Post, worker_database_url: str, tmp_path: Path, clock: Clock
) -> None:
    """More than would have it wait: the relay has taken others, and each of them was tried."""
    sending = await campaign(post, 20)
    bad = {f"g{n}@example.com" for n in range(10, 20)}
    async with choosy(post) as relay:
        relay.refuses = lambda at, recipient: SAID["."] if at == "." and recipient in bad else None
        async with at_work(worker_database_url, tmp_path, clock=clock, pace=FEW):
            fates = await all_are(post, sending, ("ACCEPTED", None), ("REJECTED", "declined"))
            assert fates == {("ACCEPTED", None): 10, ("REJECTED", "declined"): 10}
            assert await delays(post, sending, clock.now) == {}
    # Some may have been on their way when it was left alone, and have waited.
    assert relay.asked <= 20 + 4


async def test_mails_go_by_the_relay_that_takes_them(
    post: Post, worker_database_url: str, tmp_path: Path, clock: Clock
) -> None:
    sending = await campaign(post, 60)
    async with choosy(post) as wrong, choosy(post) as right:
        wrong.always("MAIL")
        async with at_work(worker_database_url, tmp_path, clock=clock, pace=FEW):
            assert str(wrong.port) in await refused(post, sending, clock)
            await all_are(post, sending, ("ACCEPTED", None), ("DEFERRED", "declined"))
            clock.later()
            await all_are(post, sending, ("ACCEPTED", None), ("DEFERRED", "declined"))
            while set(await post.fates(sending)) != {("ACCEPTED", None)}:
                clock.later()
                await asyncio.sleep(0.05)
    assert (wrong.taken.total(), right.taken) == (0, Counter(f"g{n}@example.com" for n in range(60)))


async def test_who_is_unknown_to_a_relay_that_knows_nobody_is_not_suppressed(
    post: Post, worker_database_url: str, tmp_path: Path, clock: Clock
) -> None:
    """As some say of all whom they do not take mails for. Of many more than for other refusals, as it is mostly true."""
    sending = await campaign(post, 60)
    async with choosy(post) as relay:
        relay.refuses = lambda at, recipient: f"550 Invalid recipient: <{recipient}>" if at == "RCPT" else None
        async with at_work(worker_database_url, tmp_path, clock=clock, pace=FEW):
            told = await refused(post, sending, clock)
            assert ("Invalid recipient: <…>" in told, "example.com" in told) == (True, False)
            assert 5 * MOST <= relay.asked < 60
            # Once it has taken one, it is believed.
            relay.refuses = lambda at, recipient: (
                "550 5.1.1 no such user" if recipient.startswith("g7@") and at == "RCPT" else None
            )
            await until(lambda: len(relay.taken) > 5)
            clock.later()
            fates = await all_are(post, sending, ("ACCEPTED", None), ("REJECTED", "refused"))
    assert fates["ACCEPTED", None] == 59
    assert await suppressed(post) == {"g7@example.com"}


async def test_a_relay_that_has_taken_nothing_has_nobody_suppressed(
    post: Post, worker_database_url: str, tmp_path: Path, clock: Clock
) -> None:
    sending = await campaign(post, MOST)
    async with choosy(post) as relay:
        relay.refuses = lambda at, _: "550 5.1.1 no such user" if at == "RCPT" else None
        async with at_work(worker_database_url, tmp_path, clock=clock, pace=FEW):
            await all_are(post, sending, ("REJECTED", "refused"))
    assert await suppressed(post) == set()


async def test_a_campaign_that_was_held_and_resumed_tries_the_relay_at_once(
    post: Post, worker_database_url: str, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(favour, "_PAUSE_S", 600.0)
    monkeypatch.setattr(favour, "_LONGEST_PAUSE_S", 600.0)
    sending = await campaign(post, 30)
    async with choosy(post) as relay:
        relay.always("MAIL")
        async with at_work(worker_database_url, tmp_path, clock=clock, pace=FEW):
            await refused(post, sending, clock)
            relay.always("")
            await service.pause(post.db, sending, clock.now)
            await service.resume(post.db, sending, sending.document, clock.now)
            await until(lambda: len(relay.taken) > 10)
            clock.later()
            await all_are(post, sending, ("ACCEPTED", None))


async def test_two_workers_hold_a_campaign_and_one_that_dies_leaves_nobody_behind(
    post: Post, worker_database_url: str, tmp_path: Path, clock: Clock
) -> None:
    sending = await campaign(post, 60)
    async with choosy(post) as relay:
        relay.always(".")
        async with at_work(worker_database_url, tmp_path, clock=clock, pace=msgspec.structs.replace(FEW, batch=10)):
            async with at_work(worker_database_url, tmp_path, clock=clock, pace=msgspec.structs.replace(FEW, batch=10)):
                await refused(post, sending, clock)
            assert relay.asked < 40
        fates = await all_are(post, sending, ("PLANNED", None), ("DEFERRED", "declined"))
        assert fates.total() == 60
        relay.always("")
        clock.later()
        async with at_work(worker_database_url, tmp_path, clock=clock, pace=FEW):
            await all_are(post, sending, ("ACCEPTED", None))
    assert relay.taken == Counter(f"g{n}@example.com" for n in range(60))


async def test_refusals_are_final_once_the_mails_of_other_workers_have_come_to_their_end(
    post: Post, worker_database_url: str, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the relay is not to be tried for a long time."""
    monkeypatch.setattr(favour, "_PAUSE_S", 600.0)
    monkeypatch.setattr(favour, "_LONGEST_PAUSE_S", 600.0)
    sending = await campaign(post, 20)
    held, _ = await recipient_store.claim(post.db, sending, post.table, post.worker, 5, START)
    async with choosy(post) as relay:
        relay.refuses = lambda at, _: SAID["."] if at == "." and relay.taken.total() >= 10 else None
        async with at_work(worker_database_url, tmp_path, clock=clock, pace=FEW):
            await refused(post, sending, clock)
            await all_are(post, sending, ("ACCEPTED", None), ("DEFERRED", "declined"), ("CLAIMED", None), ("PLANNED", None))
            await post.accept(sending, held, START)
            fates = await all_are(post, sending, ("ACCEPTED", None), ("REJECTED", "declined"))
    assert fates == {("ACCEPTED", None): 15, ("REJECTED", "declined"): 5}


async def test_triggered_mails_are_not_held_and_tried_again(
    post: Post, worker_database_url: str, tmp_path: Path, clock: Clock
) -> None:
    await post.guests(f"g{n}@example.com" for n in range(MOST + 5))
    sending = await post.sending("TRANSACTIONAL", messages=MESSAGES)
    await store.look_at(post.db, sending.id, START, None)
    async with choosy(post) as relay:
        relay.always("MAIL")
        async with at_work(worker_database_url, tmp_path, clock=clock, pace=FEW):
            for n in range(MOST + 5):
                await post.trigger(sending, f"g{n}@example.com", START)
            fates = await all_are(post, sending, ("REJECTED", "declined"), ("DEFERRED", "deferred"))
            assert fates == {("REJECTED", "declined"): MOST - 1, ("DEFERRED", "deferred"): 6}
            relay.always("")
            clock.later()
            await until(lambda: len(relay.taken) == 6)


async def test_never_means_never(post: Post, worker_database_url: str, tmp_path: Path, clock: Clock) -> None:
    sending = await campaign(post, 30)
    async with choosy(post) as relay:
        relay.always("RCPT")
        async with at_work(
            worker_database_url, tmp_path, clock=clock, pace=msgspec.structs.replace(FEW, refusals_in_a_row=0)
        ):
            await all_are(post, sending, ("REJECTED", "declined"))
