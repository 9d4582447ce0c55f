"""Errors of our own while mails are sent: pauses that grow, a log that can be read, and nobody who is forgotten."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from time import monotonic

import psycopg
import pytest

from tabellion.features.delivery import Sending, composing, recipient_store, store
from tabellion.features.delivery.ledger import Ledger
from tabellion.features.delivery.model import Ending, State
from tabellion.features.delivery.setbacks import Setbacks
from tabellion.platform.database.connection import Database
from tabellion.platform.mail import Mail, compose
from tests.features.delivery.conftest import START, Post
from tests.features.delivery.working import MESSAGES, at_work, relay_at
from tests.support.mailing import smtp_sink
from tests.support.structure import connect


async def fates(post: Post, sending: Sending, *, until: int) -> dict[str, tuple[str, str | None]]:
    """State and reason by address, once as many are not to be sent at once any more."""
    query = f"SELECT address, state, reason FROM l{post.licence_id}.recipient WHERE sending_id = %s".encode()
    async with asyncio.timeout(15):
        while True:
            rows = await (await post.db.execute(query, (sending.id,))).fetchall()
            if sum(row[1] not in {"PLANNED", "CLAIMED", "SENDING"} for row in rows) >= until:
                return {row[0]: (row[1], row[2]) for row in rows}
            await asyncio.sleep(0.01)


def lines_of(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name.startswith("tabellion.features.delivery")]


def test_pauses_grow_to_a_bound_and_lines_become_rare(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    setbacks = Setbacks("it failed", clock=lambda: now[0])
    pauses = [setbacks.happened(KeyError("x")) for _ in range(1000)]
    assert pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert max(pauses) == 60
    assert len(lines_of(caplog)) == 10
    assert [record.exc_info is not None for record in lines_of(caplog)] == [True] + [False] * 9
    assert "512th" in caplog.messages[-1]
    setbacks.happened(ValueError("another one"))
    assert lines_of(caplog)[-1].exc_info
    setbacks.over()
    assert setbacks.last is None
    assert setbacks.happened(KeyError("x")) == 1
    now[0] += 3601
    assert setbacks.happened(KeyError("y")) == 1
    # It is new, and lasts.
    assert lines_of(caplog)[-1].exc_info
    assert setbacks.last == "an error of the server (KeyError)"


def test_what_goes_by_itself_is_tried_again_soon_and_tells_no_story(caplog: pytest.LogCaptureFixture) -> None:
    setbacks = Setbacks("it failed")
    pauses = [setbacks.happened(psycopg.OperationalError("the database is away")) for _ in range(6)]
    assert pauses == [1, 2, 4, 5, 5, 5]
    assert not any(record.exc_info for record in lines_of(caplog))


async def test_a_sending_that_cannot_go_on_is_tried_less_and_less_often_and_goes_on_when_it_can(
    post: Post, worker_database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await post.guests(["ann@example.com"])
    sending = await post.sending(messages=MESSAGES)
    await store.set_state(post.db, sending.id, "GATHERING", START)
    tried: list[float] = []

    async def gather(db: Database, sending: Sending, now: datetime) -> bool:
        tried.append(monotonic())
        if len(tried) < 5:
            raise KeyError("an error of our own")
        return True

    async with at_work(worker_database_url, tmp_path, gather):
        assert await fates(post, sending, until=1) == {"ann@example.com": ("ACCEPTED", None)}
    pauses = [after - before for before, after in pairwise(tried)]
    assert all(pause >= 0.05 * 2**n for n, pause in enumerate(pauses)), pauses
    said = [record for record in lines_of(caplog) if "interrupted" in record.message]
    assert [record.exc_info is not None for record in said] == [True, False, False]


@pytest.mark.parametrize("relays", [0, 1])
async def test_a_mail_that_cannot_be_made_keeps_nobody_waiting_and_has_its_fate(
    relays: int, post: Post, worker_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """The first attempt is put off, as after a "later" of a relay; the last one fails."""
    await post.guests([f"g{n}@example.com" for n in range(30)])
    sending = await post.sending(messages=MESSAGES)
    await post.db.execute(f"UPDATE l{post.licence_id}.recipient SET tries = 9 WHERE address = 'g20@example.com'".encode())

    def composed(mail: Mail) -> bytes:
        if mail.recipient in {"g7@example.com", "g20@example.com"}:
            raise KeyError(mail.recipient)
        return compose(mail)

    monkeypatch.setattr(composing, "compose", composed)
    with smtp_sink() as sink:
        if relays:
            await relay_at(post, sink.port)
        async with at_work(worker_database_url, tmp_path):
            found = await fates(post, sending, until=30)
        assert len(sink.mails) == 28 * relays
    assert found.pop("g7@example.com") == ("DEFERRED", "an error of the server (KeyError)")
    assert found.pop("g20@example.com") == ("FAILED", "an error of the server (KeyError)")
    assert set(found.values()) == {("ACCEPTED", None)}
    said = [record for record in lines_of(caplog) if "could not be made" in record.message]
    assert [record.exc_info is not None for record in said] == [True, False]


async def test_when_no_mail_at_all_can_be_made_most_of_them_stay_planned(
    post: Post, worker_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that all mails have is mended by a new release: it must not have used up their attempts until then."""
    await post.guests([f"g{n}@example.com" for n in range(150)])
    sending = await post.sending(messages=MESSAGES)
    broken = True

    def composed(mail: Mail) -> bytes:
        if broken:
            raise KeyError(mail.recipient)
        return compose(mail)

    monkeypatch.setattr(composing, "compose", composed)
    async with at_work(worker_database_url, tmp_path):
        await fates(post, sending, until=1)
        await asyncio.sleep(0.3)
        states = await post.fates(sending)
        assert states["DEFERRED", "an error of the server (KeyError)"] <= 20 * 3
        assert states["PLANNED", None] + states["CLAIMED", None] >= 150 - 20 * 3
        broken = False
        # The others leave as soon as it works again.
        found = await fates(post, sending, until=150)
    assert sum(state == "ACCEPTED" for state, _ in found.values()) >= 150 - 20 * 6


async def test_what_a_relay_says_can_always_be_written_down(post: Post, worker_database_url: str, tmp_path: Path) -> None:
    """The database takes no zero octets: an outcome that cannot be written would be tried for ever, and all others with it."""
    await post.guests([f"g{n}@example.com" for n in range(5)])
    sending = await post.sending(messages=MESSAGES)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        while line := await reader.readline():
            if line.startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(b"250 \0queued\r\n")
            else:
                writer.write(
                    b"550 5.7.1 \0no\x1b[31m\x80\xe9\r\n" if line.startswith(b"RCPT") and b"g3@" in line else b"250 ok\r\n"
                )
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        await relay_at(post, server.sockets[0].getsockname()[1])
        async with at_work(worker_database_url, tmp_path):
            found = await fates(post, sending, until=5)
    assert found.pop("g3@example.com") == ("REJECTED", "declined")
    assert set(found.values()) == {("ACCEPTED", None)}
    query = f"SELECT DISTINCT reply FROM l{post.licence_id}.recipient ORDER BY 1".encode()
    assert [row[0] for row in await (await post.db.execute(query)).fetchall()] == ["250 queued", "550 5.7.1 no[31mé"]


async def test_one_outcome_that_cannot_be_written_keeps_no_other_from_it(
    post: Post, worker_database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await post.guests([f"g{n}@example.com" for n in range(5)])
    sending = await post.sending(messages=MESSAGES)
    claimed, _ = await post.plain_claim(sending)
    await recipient_store.begin(post.db, sending, post.table, post.worker, claimed)

    @asynccontextmanager
    async def database() -> AsyncGenerator[Database]:
        async with await connect(worker_database_url) as db:
            yield db

    ledger = Ledger(database, sending, post.worker, lambda: START, every_s=0.01, at=200, held=lambda: None)
    for each in claimed:
        ledger.tell(Ending(each, State.ACCEPTED, reply="250 \0ok" if each.id == claimed[2].id else "250 ok"))
    ledger.close()
    await asyncio.wait_for(ledger.run(), 10)
    assert await post.fates(sending) == {("ACCEPTED", None): 5}
    assert len(lines_of(caplog)) == 1
