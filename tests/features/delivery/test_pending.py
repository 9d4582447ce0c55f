"""Why mails are pending: the reasons are true, add up to those that are pending, and say until when."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tabellion.features.delivery import (
    ABTest,
    Criterion,
    Delivery,
    DomainLimit,
    Hours,
    Limits,
    Pending,
    SenderLimit,
    Sending,
    Wait,
    Window,
    limits_store,
    pause,
    pending,
    relay_store,
    service,
    store,
    worker_store,
)
from tabellion.features.delivery.ab_store import set_decide_at, set_winner, spread
from tabellion.features.delivery.model import Claimed, Ending, State
from tabellion.features.delivery.recipient_store import begin, end
from tabellion.features.delivery.sums import Scope, tally
from tabellion.features.delivery.sums import begin as snapshot
from tabellion.platform.database.connection import Database
from tabellion.platform.mail import Relay
from tests.features.delivery.conftest import START, Post, after, seen
from tests.features.delivery.test_recalls import change, recall, set_own
from tests.features.delivery.test_slow_relays import ended
from tests.features.delivery.working import MESSAGES, at_work
from tests.support.api import free_port
from tests.support.mailing import smtp_sink

BUSY = "421 4.7.0 too many mails from you"


@pytest.fixture(autouse=True)
async def nothing_of_others(post: Post) -> None:
    """What tests without a sender have asked for is not carried out here, and workers that they left do not count.

    Its own lives as long as it takes.
    """
    await post.db.execute("DELETE FROM tabellion.mail_recall")
    await post.db.execute("DELETE FROM tabellion.mail_worker WHERE id <> %s", (post.worker,))
    await seen(post.db, post.worker, timedelta(minutes=-10))


async def explained(post: Post, sending: Sending, seconds: float = 0, because: str | None = None) -> Pending:
    """Why mails of a sending are pending at a moment; that adds up."""
    found = await store.find(post.db, sending.id)
    assert found is not None
    scope = Scope(post.licence_id, sending.campaign_id)
    async with post.db.transaction():
        await snapshot(post.db)
        number = (await tally(post.db, scope)).pending
        told = await pending.explain(post.db, scope, found, number, after(seconds), paused_because=because)
    assert sum(each.mails for each in told.waits) == number
    assert all(each.mails > 0 for each in told.waits)
    return told


async def waits(post: Post, sending: Sending, seconds: float = 0) -> dict[str, Wait]:
    return {each.reason: each for each in (await explained(post, sending, seconds)).waits}


async def causes(post: Post, sending: Sending, seconds: float = 0) -> list[str]:
    return [each.cause for each in (await explained(post, sending, seconds)).delays]


async def later(post: Post, sending: Sending, claimed: list[Claimed], replies: list[str], seconds: float) -> None:
    """Relays have said "later", in these words."""
    await begin(post.db, sending, post.table, post.worker, claimed)
    endings = [
        Ending(each, State.DEFERRED, "deferred", reply, after(seconds)) for each, reply in zip(claimed, replies, strict=True)
    ]
    assert len(await end(post.db, sending, post.worker, endings, START)) == len(claimed)


async def test_mails_are_ready_leave_and_are_tried_again(post: Post) -> None:
    await post.guests(f"g{i}@example.com" for i in range(210))
    sending = await post.sending()
    assert await waits(post, sending) == {"ready": Wait("ready", 210)}
    claimed, _ = await post.plain_claim(sending)
    assert await waits(post, sending) == {"ready": Wait("ready", 10), "leaving": Wait("leaving", 200)}
    said = [
        f"450 4.2.1 <{claimed[0].address}>: busy", f"450 4.2.1 <{claimed[1].address}>: busy", "451 try later",
    ]  # fmt: skip
    await later(post, sending, claimed[:3], said, 60)
    await post.accept(sending, claimed[3:], START)
    retry = Wait("retry", 3, after(60), ("450 4.2.1 <…>: busy", "451 try later"))
    assert await waits(post, sending) == {"ready": Wait("ready", 10), "retry": retry}
    assert await waits(post, sending, 61) == {"ready": Wait("ready", 13)}


async def test_mails_wait_for_their_domain_in_its_words_or_by_its_limit(post: Post) -> None:
    await post.guests(f"g{i}@{name}.example" for i in range(10) for name in ("slow", "Busy", "free"))
    sending, limits = await post.sending(), Limits(domains=(DomainLimit("slow.example", per_minute=60, connections=5),))
    await change(post, limits, 0)
    await recall(post, 0)
    await limits_store.hold_domains(post.db, post.licence_id, [("busy.example", BUSY)], START)
    versions = limits_store.Versions((await limits_store.limits_of(post.db, post.licence_id))[1])
    claimed = await post.claim(sending, limits, held=True, versions=versions)
    found = await waits(post, sending)
    assert {reason: each.mails for reason, each in found.items()} == {"leaving": len(claimed), "domain": 30 - len(claimed)}
    assert len(claimed) == 12
    # Two have left for the second that has come and the next.
    assert found["domain"].until == after(3)
    assert found["domain"].details == (
        f"busy.example said: {BUSY}",
        "slow.example gets at most 60 mails a minute and 5 at a time",
    )
    # A retry beside them stays one.
    await later(post, sending, claimed[:1], ["451 later"], 90)
    assert (await waits(post, sending))["retry"] == Wait("retry", 1, after(90), ("451 later",))
    # What is to be looked at again, since the limits have changed, waits no more.
    await change(post, Limits(), 1)
    found = await waits(post, sending, 1)
    assert {reason: each.mails for reason, each in found.items()} == {"leaving": 11, "retry": 1, "ready": 18}
    assert await recall(post, 1) == 18
    assert (await waits(post, sending, 1))["ready"].mails == 18


async def test_mails_wait_for_the_hours_of_their_recipients(post: Post) -> None:
    await post.guests(f"{i}@{name}.example" for i in range(3) for name in ("be", "us", "jp"))
    email, last = (post.table.attributes_by_name[name].column for name in ("emailaddress", "lastname"))
    for name, zone in (("be", "Europe/Brussels"), ("us", "America/New_York"), ("jp", "Asia/Tokyo")):
        query = f"UPDATE l{post.licence_id}.{post.table.relation} SET {last} = %s WHERE {email} LIKE %s"
        await post.db.execute(query.encode(), (zone, f"%@{name}.example"))
    # Nine in London: Brussels has begun, New York has not, and Tokyo goes on tomorrow.
    hours = Hours((Window(("TUE", "WED"), 9 * 60, 17 * 60),), "RECIPIENT", "lastName")
    own, sending = Delivery(hours=hours), await post.sending()
    await set_own(post, sending, own, 0)
    await recall(post, 0)
    versions = limits_store.Versions(0, 1)
    assert len(await post.claim(sending, Limits(), own, versions=versions)) == 3
    found = await waits(post, sending)
    assert found["hours"] == Wait("hours", 6, START + timedelta(hours=5))
    assert found["leaving"].mails == 3
    assert await causes(post, sending) == []
    assert (await waits(post, sending, 5 * 3600 + 1))["ready"].mails == 3


@pytest.mark.parametrize("criterion", [Criterion.OPENS, Criterion.MANUAL])
async def test_mails_wait_for_the_winner(post: Post, criterion: Criterion) -> None:
    await post.guests(f"g{i}@example.com" for i in range(20))
    test = ABTest(share=20, variants=("a", "b"), criterion=criterion, decide_after_min=30)
    sending = await post.sending(ab_test=test)
    document: dict[str, Any] = {"id": sending.campaign_id, "now": START}
    await post.db.execute(
        "INSERT INTO tabellion.campaign_ab_test (campaign_id, document, updated_at) VALUES (%(id)s, '{}', %(now)s)", document
    )
    told = "somebody has to choose it" if criterion is Criterion.MANUAL else "30 minutes after the last mail of the test"
    winner = Wait("winner", 16, None, (told,))
    assert await waits(post, sending) == {"ready": Wait("ready", 4), "winner": winner}
    claimed, _ = await post.plain_claim(sending)
    await later(post, sending, claimed[:1], ["451 later"], 60)
    await post.accept(sending, claimed[1:3], START)
    assert {reason: each.mails for reason, each in (await waits(post, sending)).items()} == {
        "leaving": 1, "retry": 1, "winner": 16,
    }  # fmt: skip
    await set_decide_at(post.db, sending.campaign_id, after(1800))
    assert (await waits(post, sending))["winner"] == Wait("winner", 16, after(1800))
    await set_winner(post.db, sending.campaign_id, 1, [], after(1800))
    await spread(post.db, sending, 1, after(1800))
    assert {reason: each.mails for reason, each in (await waits(post, sending, 1800)).items()} == {"leaving": 1, "ready": 17}


async def test_a_span_of_a_triggered_campaign_adds_up_too(post: Post) -> None:
    await post.guests(f"g{i}@example.com" for i in range(3))
    sending = await post.sending("CONTINUOUS")
    for i in range(3):
        await post.trigger(sending, f"g{i}@example.com", after(i * 100))
    claimed, _ = await post.plain_claim(sending)
    scope = Scope(post.licence_id, sending.campaign_id, after(50), after(250))
    async with post.db.transaction():
        await snapshot(post.db)
        number = (await tally(post.db, scope)).pending
        found = await pending.explain(post.db, scope, sending, number, after(300), paused_because=None)
    assert (number, len(claimed), found.waits) == (2, 1, (Wait("ready", 2),))


async def test_what_holds_all_of_them_is_said_once(post: Post) -> None:
    await post.guests(f"g{i}@example.com" for i in range(300))
    sending = await post.sending()
    assert await causes(post, sending) == []
    await seen(post.db, post.worker, timedelta(seconds=16))
    (delay,) = (await explained(post, sending, 20)).delays
    assert (delay.cause, "tabellion worker" in delay.message) == ("noWorker", True)
    await worker_store.beat(post.db, post.worker)
    assert await causes(post, sending, 20) == []
    closed = Hours((Window(("WED",), 8 * 60, 20 * 60),))
    await set_own(post, sending, Delivery(per_minute=10, hours=closed), 20)
    limits = Limits(senders=(SenderLimit(post.entity_id, 60),))
    await change(post, limits, 20)
    hours, own, sender = (await explained(post, sending, 20)).delays
    assert (hours.cause, hours.until) == ("hours", START + timedelta(hours=23))
    assert own.message == "The campaign sends at most 10 mails a minute; those that are ready take 30 minutes or more"
    assert sender.message.endswith("at most 60 mails an hour together; those that are ready take 5 hours or more")
    number = await relay_store.insert_relay(post.db, post.licence_id, Relay(host="127.0.0.1", port=9), 1)
    await relay_store.delete_relay(post.db, post.licence_id, number)
    assert await causes(post, sending, 20) == ["noRelay", "hours", "campaignPace", "senderPace"]
    await pause(post.db, sending, after(20))
    (delay,) = (await explained(post, sending, 20, "it does not fit its table")).delays
    assert (delay.cause, "it does not fit its table" in delay.message) == ("paused", True)
    await service.stop(post.db, sending, after(20))
    assert await causes(post, sending, 20) == ["cancelled"]
    await seen(post.db, post.worker, timedelta(seconds=16))
    assert await causes(post, sending, 60) == ["noWorker", "cancelled"]
    await post.db.execute("INSERT INTO tabellion.server_hold (backup_at, restored_at) VALUES (%s, %s)", (START, START))
    try:
        assert await causes(post, sending, 60) == ["restored"]
    finally:
        await post.db.execute("DELETE FROM tabellion.server_hold")


async def until_told(post: Post, sending: Sending, holds: Callable[[Pending], bool]) -> Pending:
    """Why mails are pending, as soon as it is that."""
    while not holds(found := await explained(post, sending)):
        pass
    return found


@pytest.mark.timeout(30)
async def test_a_relay_that_cannot_be_reached_is_told_and_no_more_once_it_can(
    post: Post, worker_database_url: str, tmp_path: Path
) -> None:
    await post.guests(["ann@example.com"])
    sending, port = await post.sending(messages=MESSAGES), free_port()
    await store.look_at(post.db, sending.id, START, None)
    await relay_store.insert_relay(post.db, post.licence_id, Relay(host="127.0.0.1", port=port, connections=4), 1)
    async with at_work(worker_database_url, tmp_path):
        found = await until_told(post, sending, lambda told: any(each.cause == "relay" for each in told.delays))
        assert found.waits == (Wait("ready", 1),) or found.waits == (Wait("leaving", 1),)
        assert f"127.0.0.1:{port}" in found.delays[0].message
        with smtp_sink(port):
            await ended(post, sending, 1)
        # Gone with the next beat.
        query = "SELECT count(*) FROM tabellion.mail_trouble t JOIN tabellion.relay r ON r.id = t.relay_id WHERE r.port = %s"
        while (await (await post.db.execute(query, (port,))).fetchone()) != (0,):
            pass


@pytest.mark.timeout(30)
async def test_a_sending_that_is_interrupted_is_told_without_what_the_error_says(
    post: Post, worker_database_url: str, tmp_path: Path
) -> None:
    await post.guests(["ann@example.com"])
    sending, mended = await post.sending(messages=MESSAGES), asyncio.Event()
    await store.set_state(post.db, sending.id, "GATHERING", START)
    await store.look_at(post.db, sending.id, START, None)

    async def gather(db: Database, sending: Sending, now: datetime) -> bool:
        if not mended.is_set():
            raise OSError("secret: no room on the disk")
        return True

    async with at_work(worker_database_url, tmp_path, gather):
        found = await until_told(post, sending, lambda told: any(each.cause == "error" for each in told.delays))
        assert [each.cause for each in found.delays] == ["error", "gathering"]
        assert "an error of the server (OSError)" in found.delays[0].message
        assert "secret" not in found.delays[0].message
        mended.set()
        await ended(post, sending, 1)
    assert (await explained(post, sending)).delays == ()
