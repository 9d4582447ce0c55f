"""Relays and keys that are changed while a campaign runs: it goes by the new ones within seconds, and nobody gets two mails."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from tabellion.features.delivery import batch, current, relay_store, store, transport
from tabellion.features.delivery.handing import Handing, Orders
from tabellion.features.delivery.model import Ending, Policy
from tabellion.features.delivery.patience import Patience
from tabellion.features.delivery.transport import Exit, Way
from tabellion.kit.clock import utc_now
from tabellion.platform import secrets
from tabellion.platform.mail import Post as Connections
from tabellion.platform.mail import Relay, new_key
from tests.features.delivery.conftest import START, Post
from tests.features.delivery.faulty import mail
from tests.features.delivery.test_slow_relays import ended, until
from tests.features.delivery.working import MESSAGES, PACE, at_work

# So many that no relay here has them all before a change is seen.
GUESTS = [f"g{n}@example.com" for n in range(600)]
SMALL = msgspec.structs.replace(PACE, batch=10)


class Taking:
    """A relay that takes its time for each mail, so that campaigns last; `asked` stops it before its 354 when it is cleared."""

    def __init__(self) -> None:
        self.port = 0
        self.mails: list[tuple[str, bytes]] = []
        self.senders: list[str] = []
        self.waiting = 0
        self.asked = asyncio.Event()
        self.asked.set()

    @property
    def recipients(self) -> list[str]:
        """Who got mails, as often as they got some."""
        return [recipient for recipient, _ in self.mails]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recipient = ""
        writer.write(b"220 ready\r\n")
        while line := await reader.readline():
            if line.startswith(b"MAIL"):
                self.senders.append(line.decode().partition("<")[2].partition(">")[0])
            if line.startswith(b"RCPT"):
                recipient = line.decode().partition("<")[2].partition(">")[0]
            if line != b"DATA\r\n":
                writer.write(b"250 ok\r\n")
                continue
            self.waiting += 1
            await self.asked.wait()
            self.waiting -= 1
            writer.write(b"354 go on\r\n")
            try:
                content = await reader.readuntil(b"\r\n.\r\n")
            except asyncio.IncompleteReadError:
                break
            await asyncio.sleep(0.02)
            self.mails.append((recipient, content))
            writer.write(b"250 queued\r\n")
        writer.close()


@asynccontextmanager
async def taking() -> AsyncGenerator[Taking]:
    made = Taking()
    async with await asyncio.start_server(made.serve, "127.0.0.1", 0) as server:
        made.port = server.sockets[0].getsockname()[1]
        try:
            yield made
        finally:
            made.asked.set()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes are looked at ten times as often as they are, to have short campaigns."""
    monkeypatch.setattr(transport, "_KNOWN_FOR_S", 0.2)
    monkeypatch.setattr(batch, "_LOOK_AGAIN_S", 0.1)
    monkeypatch.setattr(current, "_LOOK_AGAIN_S", 0.1)


async def relay(post: Post, port: int) -> int:
    made = Relay(host="127.0.0.1", port=port, connections=4)
    async with post.db.transaction():
        return await relay_store.insert_relay(post.db, post.licence_id, made, 1)


async def kept(post: Post) -> list[str]:
    rows = await (await post.db.execute(f"SELECT recipient FROM l{post.licence_id}.outbox_mail".encode())).fetchall()
    return [row[0] for row in rows]


async def test_a_relay_that_is_replaced_gets_no_more_and_the_other_one_the_rest(
    post: Post, worker_database_url: str, tmp_path: Path
) -> None:
    await post.guests(GUESTS)
    sending = await post.sending(messages=MESSAGES)
    async with taking() as old, taking() as new:
        number = await relay(post, old.port)
        async with at_work(worker_database_url, tmp_path, pace=SMALL):
            await store.look_at(post.db, sending.id, START, None)
            await until(lambda: len(old.mails) >= 20)
            await relay(post, new.port)
            await until(lambda: len(new.mails) > 0)
            # The old one still has its share, until it is taken away.
            assert await relay_store.delete_relay(post.db, post.licence_id, number)
            before = 0
            while before != len(old.mails):
                before = len(old.mails)
                await asyncio.sleep(1)
            assert len(old.mails) + len(new.mails) < len(GUESTS)
            await ended(post, sending, len(GUESTS))
    assert len(old.mails) == before
    assert sorted(old.recipients + new.recipients) == sorted(GUESTS)


async def test_without_the_last_relay_a_running_campaign_waits_and_goes_on_with_another(
    post: Post, worker_database_url: str, tmp_path: Path
) -> None:
    await post.guests(GUESTS)
    sending = await post.sending(messages=MESSAGES)
    async with taking() as old, taking() as new:
        number = await relay(post, old.port)
        async with at_work(worker_database_url, tmp_path, pace=SMALL) as sender:
            await store.look_at(post.db, sending.id, START, None)
            await until(lambda: len(old.mails) >= 20)
            assert await relay_store.delete_relay(post.db, post.licence_id, number)
            await until(lambda: any(way.waits for _, way in sender.ways._known.values()) and not sender._working)
            fates = await post.fates(sending)
            assert set(fates) == {("ACCEPTED", None), ("PLANNED", None)}
            assert fates["ACCEPTED", None] == len(old.mails) < len(GUESTS)
            await relay(post, new.port)
            await ended(post, sending, len(GUESTS))
    assert sorted(old.recipients + new.recipients) == sorted(GUESTS)
    assert await kept(post) == []


async def test_the_first_relay_of_a_licence_gets_what_is_not_yet_in_the_outbox(
    post: Post, worker_database_url: str, tmp_path: Path
) -> None:
    await post.guests(GUESTS)
    sending = await post.sending(messages=MESSAGES)
    async with taking() as first:
        async with at_work(worker_database_url, tmp_path, pace=msgspec.structs.replace(PACE, batch=2)):
            await store.look_at(post.db, sending.id, START, None)
            async with asyncio.timeout(15):
                while True:
                    if await kept(post):
                        break
            await relay(post, first.port)
            await until(lambda: len(first.mails) > 0)
            await ended(post, sending, len(GUESTS))
        outbox = await kept(post)
        assert sorted(first.recipients + outbox) == sorted(GUESTS)


async def test_a_campaign_that_runs_signs_by_the_new_key_and_comes_back_to_the_new_domain(
    post: Post, worker_database_url: str, tmp_path: Path
) -> None:
    def said(selector: str) -> tuple[str, str, str]:
        return "example.com", selector, secrets.seal(new_key("ed25519")[0], f"dkim {post.entity_id:d}")

    await post.guests(GUESTS)
    sending = await post.sending(messages=MESSAGES)
    async with taking() as old:
        await relay(post, old.port)
        async with at_work(worker_database_url, tmp_path, pace=SMALL):
            await relay_store.set_sender(
                post.db, post.entity_id, "", "news@example.com", said("s1"), reply_to="", bounce_domain=""
            )
            await store.look_at(post.db, sending.id, START, None)
            await until(lambda: len(old.mails) >= 20)
            await relay_store.set_sender(
                post.db, post.entity_id, "", "news@example.com", said("s2"), reply_to="", bounce_domain="back.example.com"
            )
            await until(lambda: b"s=s2;" in old.mails[-1][1])
            assert old.senders[-1].endswith("@back.example.com")
            await relay_store.set_sender(
                post.db, post.entity_id, "", "news@example.com", ("", "", ""), reply_to="", bounce_domain=""
            )
            await until(lambda: b"DKIM-Signature" not in old.mails[-1][1])
            assert len(old.mails) < len(GUESTS)
            await ended(post, sending, len(GUESTS))
    assert old.senders[0] == old.senders[-1] == "news@example.com"
    assert all(b"s=s1;" in content for _, content in old.mails[:20])
    assert sorted(old.recipients) == sorted(GUESTS)


async def test_a_mail_that_a_relay_was_being_asked_about_when_it_was_taken_away_does_not_leave_by_it() -> None:
    endings: list[Ending] = []
    back: list[int] = []

    async def begin(held: object) -> set[int] | None:
        raise AssertionError("nothing leaves")

    async def give_back(held: Sequence[object]) -> None:
        back.append(len(held))

    orders = Orders(begin, give_back, endings.append, lambda _: None, lambda: False, utc_now, Policy.HOLD, Patience(), 1)
    async with (
        taking() as old,
        Connections(Relay(host="127.0.0.1", port=old.port, connections=2)) as post,
        Connections(Relay(host="127.0.0.1", port=9, connections=2)) as other,
    ):
        old.asked.clear()
        handing = Handing(Way([(1, Exit(post))]), orders)
        await handing.put([mail(0)])
        await until(lambda: old.waiting == 1)
        handing.use(Way([(1, Exit(other))]))
        old.asked.set()
        assert await handing.settled(5)
        await handing.end()
        assert (old.mails, back, endings) == ([], [1], [])
