"""Transactional mails that are in doubt are sent again: for a day, and what was in doubt once is not forgotten."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest

from tabellion.features import tracking
from tabellion.features.bounces import service as bouncing
from tabellion.features.bounces.model import Finding, Kind, Rules
from tabellion.features.delivery import Delivery, Limits, recipient_store, sums, worker_store
from tabellion.features.delivery.model import Ending, Policy, Sending, State
from tabellion.features.delivery.tokens import Token, Use, write
from tabellion.platform import secrets
from tests.features.delivery.conftest import START, Post
from tests.features.delivery.working import MESSAGES, at_work, relay_at

# Of a server that hangs up when it has the whole mail.
GONE = ""
LATER, NOBODY, NO, TAKEN = "451 4.7.1 later", "550 5.1.1 nobody", "550 5.7.1 no", "250 ok"


@asynccontextmanager
async def server(replies: list[str]) -> AsyncGenerator[tuple[int, list[str]]]:
    """An SMTP server that answers each mail with the next reply: to RCPT, or to its end where it takes it; and what it said."""
    said: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        while line := await reader.readline():
            reply = replies[min(len(said), len(replies) - 1)]
            if line.startswith(b"RCPT") and reply not in {GONE, TAKEN}:
                said.append(reply)
                writer.write(f"{reply}\r\n".encode())
            elif line.startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                said.append(reply)
                if reply == GONE:
                    break
                writer.write(f"{reply}\r\n".encode())
            else:
                writer.write(b"250 ok\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as made:
        yield made.sockets[0].getsockname()[1], said


@pytest.mark.parametrize(
    ("replies", "fate", "attempts"),
    [
        ([GONE, TAKEN], ("ACCEPTED", None), 2),
        ([GONE, LATER, TAKEN], ("ACCEPTED", None), 3),
        # Nobody lives there: nor did the first one arrive.
        ([GONE, NOBODY], ("REJECTED", "refused"), 2),
        ([GONE, LATER, NOBODY], ("REJECTED", "refused"), 3),
        # This one is refused for what it is; of the first one nobody knows.
        ([GONE, NO], ("UNCERTAIN", "uncertain"), 2),
        ([GONE, LATER, NO], ("UNCERTAIN", "uncertain"), 3),
        ([NO], ("REJECTED", "declined"), 1),
        # For a day, and not for ever.
        ([GONE], ("UNCERTAIN", "uncertain"), 10),
        ([GONE, LATER], ("UNCERTAIN", "uncertain"), 10),
        ([LATER, GONE, LATER], ("UNCERTAIN", "uncertain"), 10),
        ([LATER], ("REJECTED", "expired"), 10),
    ],
)
async def test_what_was_in_doubt_once_is_not_forgotten(
    replies: list[str], fate: tuple[str, str | None], attempts: int, post: Post, worker_database_url: str, tmp_path: Path
) -> None:
    # The last attempt is the tenth; of those that are to come to it, seven are behind.
    before = 7 if attempts == 10 else 0
    now = [START]
    await post.guests(["ann@example.com"])
    sending = await post.sending("TRANSACTIONAL", messages=MESSAGES, policy=Policy.RESEND)
    await post.trigger(sending, "ann@example.com", START)
    await post.db.execute(
        f"UPDATE l{post.licence_id}.recipient SET tries = %s WHERE sending_id = %s".encode(), (before, sending.id)
    )
    await post.db.execute(
        "INSERT INTO tabellion.mail_due (sending_id, from_at, until_at) VALUES (%s, %s, 'infinity')", (sending.id, START)
    )
    async with server(replies) as (port, said):
        await relay_at(post, port)
        async with at_work(worker_database_url, tmp_path, clock=lambda: now[0]), asyncio.timeout(15):
            while True:
                state, reason, due_at, attempt = await row_of(post, sending)
                if state not in {"PLANNED", "CLAIMED", "SENDING", "DEFERRED"} or len(said) > attempts - before:
                    break
                if state == "DEFERRED":
                    now[0] = max(due_at, now[0])
                await asyncio.sleep(0.005)
    assert ((state, reason), attempt, len(said)) == (fate, attempts, attempts - before)


async def test_who_is_taken_back_after_an_attempt_in_doubt_stays_in_doubt(post: Post) -> None:
    """A cancelled sending says of nobody that they got nothing who may have got it."""
    await post.guests(["ann@example.com", "bob@example.com"])
    sending = await post.sending(messages=MESSAGES, policy=Policy.RESEND)
    claimed, _ = await post.plain_claim(sending)
    ann = [each for each in claimed if each.address == "ann@example.com"]
    await recipient_store.begin(post.db, sending, post.table, post.worker, claimed)
    await recipient_store.end(
        post.db, sending, post.worker, [Ending(each, State.DEFERRED, "uncertain" if each in ann else "deferred", due_at=START)
                                        for each in claimed], START,
    )  # fmt: skip
    again, _ = await post.plain_claim(sending)
    assert {each.address: each.doubtful for each in again} == {"ann@example.com": True, "bob@example.com": False}
    await recipient_store.release(post.db, post.licence_id, post.worker, again, START)
    await recipient_store.take_back(post.db, sending, START)
    assert await post.fates(sending) == {("UNCERTAIN", "uncertain"): 1, ("EXCLUDED", "cancelled"): 1}


async def test_a_worker_dies_with_a_mail_on_its_way_and_the_next_attempt_knows(post: Post) -> None:
    await post.guests(["ann@example.com"])
    sending = await post.sending(messages=MESSAGES, policy=Policy.RESEND)
    claimed, _ = await post.plain_claim(sending)
    await recipient_store.begin(post.db, sending, post.table, post.worker, claimed)
    await worker_store.give_up(post.db, post.worker, START)
    post.worker = await worker_store.enter_worker(post.db)
    await worker_store.works_for(post.db, post.worker, post.licence_id)
    for limits in (None, Limits()):
        if limits is None:
            again, _ = await post.plain_claim(sending)
        else:
            again = await post.claim(sending, limits, Delivery(per_minute=6000))
        assert [each.doubtful for each in again] == [True]
        await recipient_store.release(post.db, post.licence_id, post.worker, again, START)


async def test_who_can_be_written_to_no_more_after_an_attempt_in_doubt_stays_in_doubt(
    post: Post, worker_database_url: str, tmp_path: Path
) -> None:
    """A sending says of nobody that no mail could be made who may have got one."""
    await post.guests(["ann@example.com"])
    sending = await post.sending("TRANSACTIONAL", messages=MESSAGES, policy=Policy.RESEND)
    await post.trigger(sending, "ann@example.com", START)
    claimed, _ = await post.plain_claim(sending)
    doubtful = [Ending(each, State.DEFERRED, "uncertain", due_at=START) for each in claimed]
    await recipient_store.begin(post.db, sending, post.table, post.worker, claimed)
    await recipient_store.end(post.db, sending, post.worker, doubtful, START)
    email = post.table.attributes_by_name["emailaddress"].column
    query = f"UPDATE l{post.licence_id}.{post.table.relation} SET {email} = 'ännchen@example.com'".encode()
    await post.db.execute(query)
    async with at_work(worker_database_url, tmp_path), asyncio.timeout(15):
        while (await row_of(post, sending))[0] in {"PLANNED", "CLAIMED", "DEFERRED"}:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.005)
    assert await post.fates(sending) == {("UNCERTAIN", "uncertain"): 1}


async def test_a_mail_in_doubt_that_has_arrived_is_not_sent_again(post: Post, tmp_path: Path) -> None:
    """Whoever opens it, or a page that it leads to, has it, and so has who sends it back."""
    secrets.use_key("of the tests", tmp_path)
    guests = ["ann@example.com", "bob@example.com", "cid@example.com", "dan@example.com", "eve@example.com"]
    await post.guests(guests)
    sending = await post.sending("TRANSACTIONAL", messages=MESSAGES, policy=Policy.RESEND)
    for guest in guests:
        await post.trigger(sending, guest, START)
    claimed, _ = await post.plain_claim(sending)
    await recipient_store.begin(post.db, sending, post.table, post.worker, claimed)
    later = [
        Ending(each, State.DEFERRED, reason, due_at=START)
        for each, reason in zip(claimed, ("uncertain", "uncertain", "deferred", "uncertain", "uncertain"), strict=True)
    ]
    await recipient_store.end(post.db, sending, post.worker, later, START)
    ann, bob, cid, dan, eve = (each.id for each in claimed)
    for mail in (ann, cid):
        await tracking.opened(
            post.db, write(Token(Use.OPEN, post.licence_id, mail)), tracking.Asked("GET", "Firefox"), START
        )
    assert await tracking.unsubscribe_page(post.db, write(Token(Use.UNSUBSCRIBE, post.licence_id, dan)), START) is not None
    assert await tracking.preferences_page(post.db, write(Token(Use.PREFERENCES, post.licence_id, eve)), START) is not None
    desk = bouncing.Desk(post.db, Rules(), START)
    for mail in (bob, cid):
        await bouncing.note(desk, post.licence_id, mail, Finding(Kind.SOFT))
    again, _ = await post.plain_claim(sending, START)
    assert [each.id for each in again] == [cid]
    assert await post.fates(sending) == {("ACCEPTED", None): 4, ("CLAIMED", None): 1}
    sent = (await sums.tally(post.db, sums.Scope(post.licence_id, sending.campaign_id))).sent
    assert (sent.mails, sent.unique_opens, sent.soft) == (4, 1, 1)


async def row_of(post: Post, sending: Sending) -> tuple[str, str | None, datetime, int]:
    """State, reason, next moment and number of attempts of the one recipient."""
    query = f"SELECT state, reason, due_at, tries FROM l{post.licence_id}.recipient WHERE sending_id = %s".encode()
    row = await (await post.db.execute(query, (sending.id,))).fetchone()
    assert row is not None
    return row[0], row[1], row[2], row[3]
