"""Who may change a recipient: the worker that holds it, by the number of its claim, and only from states that allow it."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from tabellion.features import delivery
from tabellion.features.delivery import (
    Contact,
    DomainLimit,
    Limits,
    Recipient,
    Sending,
    attachment_store,
    recipient_store,
    store,
    suppression_store,
    worker_store,
)
from tabellion.features.delivery.model import DECLINED, DIED, Claimed, Ending, Policy, State
from tabellion.platform.mail import Attachment
from tests.features.delivery.conftest import START, Post, after

NOW = after(60)
Act = Callable[[Post, Sending, int, Claimed], Awaitable[Any]]


async def put(post: Post, recipient: int, **columns: Any) -> None:
    """Have a recipient stand somewhere."""
    names = ", ".join(f"{name} = %s" for name in columns)
    query = f"UPDATE l{post.licence_id}.recipient SET {names} WHERE id = %s"
    await post.db.execute(query.encode(), (*columns.values(), recipient))


async def rows(post: Post, columns: str = "*") -> list[tuple[Any, ...]]:
    query = f"SELECT {columns} FROM l{post.licence_id}.recipient ORDER BY id"
    return await (await post.db.execute(query.encode())).fetchall()


async def begin(post: Post, sending: Sending, worker: int, held: Claimed) -> None:
    await recipient_store.begin(post.db, sending, post.table, worker, [held])


async def release(post: Post, sending: Sending, worker: int, held: Claimed) -> None:
    await recipient_store.release(post.db, post.licence_id, worker, [held], NOW)


async def readdress(post: Post, sending: Sending, worker: int, held: Claimed) -> None:
    moved = msgspec.structs.replace(held, written="ann@exämple.com")
    await recipient_store.readdress(post.db, post.licence_id, worker, [moved], NOW)


async def set_aside(post: Post, sending: Sending, worker: int, held: Claimed) -> None:
    beyond = msgspec.structs.replace(held, address="gone@exämple.com")
    await suppression_store.set_aside(post.db, sending, worker, [beyond], NOW)


async def end(post: Post, sending: Sending, worker: int, held: Claimed) -> None:
    await recipient_store.end(post.db, sending, worker, [Ending(held, State.FAILED, "broken")], NOW)


async def test_nobody_but_the_holder_of_the_claim_changes_a_recipient(post: Post) -> None:
    await post.guests(["ann@example.com"])
    sending = await post.sending()
    ((held,), _) = await post.plain_claim(sending)
    await delivery.suppress(post.db, post.licence_id, ["gone@exämple.com"], "COMPLAINT", START)
    other = await worker_store.enter_worker(post.db)
    for act in (begin, release, readdress, end, set_aside):
        await put(post, held.id, state="CLAIMED", worker=post.worker)
        before = await rows(post)
        for attempt in (held.attempt - 1, held.attempt + 1):
            await act(post, sending, post.worker, msgspec.structs.replace(held, attempt=attempt))
        await act(post, sending, other, held)
        await act(post, sending, post.worker, msgspec.structs.replace(held, id=held.id + 1))
        assert await rows(post) == before, act
        await act(post, sending, post.worker, held)
        assert await rows(post) != before, act
    await worker_store.give_up(post.db, other, START)


async def test_nothing_begins_of_a_sending_that_was_paused_after_the_claim(post: Post) -> None:
    await post.guests(["ann@example.com"])
    sending = await post.sending()
    ((held,), _) = await post.plain_claim(sending)
    await store.set_state(post.db, sending.id, "PAUSED", START)
    before = await rows(post)
    await begin(post, sending, post.worker, held)
    assert await rows(post) == before
    assert await post.plain_claim(sending) == ([], None)


async def test_nothing_is_claimed_or_begins_by_contents_that_were_replaced(post: Post) -> None:
    """A campaign that is paused, changed and resumed at once: whoever works on it has to see that."""
    await post.guests(["ann@example.com", "bob@example.com"])
    sending = await post.sending()
    ((held,), _) = await recipient_store.claim(post.db, sending, post.table, post.worker, 1, START)
    await delivery.pause(post.db, sending, START)
    await delivery.resume(post.db, sending, sending.document, START)
    await begin(post, sending, post.worker, held)
    limits = Limits(contact=Contact(mails=9, days=7))
    assert await post.fates(sending) == {("CLAIMED", None): 1, ("PLANNED", None): 1}
    assert (await post.plain_claim(sending), await post.claim(sending, limits)) == (([], None), [])
    (fresh,) = filter(None, [await store.find(post.db, sending.id)])
    await begin(post, fresh, post.worker, held)
    assert len((await post.plain_claim(fresh))[0]) == 1
    assert await post.fates(sending) == {("SENDING", None): 1, ("CLAIMED", None): 1}


async def test_what_has_begun_or_is_nobodys_does_not_begin_or_go_back(post: Post) -> None:
    await post.guests(["ann@example.com"])
    sending = await post.sending()
    ((held,), _) = await post.plain_claim(sending)
    await delivery.suppress(post.db, post.licence_id, ["gone@exämple.com"], "COMPLAINT", START)

    async def untouched(state: State, *acts: Act) -> None:
        await put(post, held.id, state=state.value)
        before = await rows(post)
        for act in acts:
            await act(post, sending, post.worker, held)
            assert await rows(post) == before, (act, state)

    for state in State:
        if state is not State.CLAIMED:
            await untouched(state, begin, release, readdress, set_aside)
    await worker_store.give_up(post.db, post.worker, START)
    await untouched(State.CLAIMED, begin, release, readdress, set_aside)


async def test_whom_another_claim_is_taking_is_left_to_it_and_the_others_come_as_they_are_due(post: Post) -> None:
    await post.guests(f"{name}@example.com" for name in "abcd")
    sending, limits = await post.sending(), Limits(contact=Contact(mails=9, days=7))
    for (number,), seconds in zip(await rows(post, "id"), (0, -1, -3, -2), strict=True):
        await put(post, number, due_at=after(seconds))
    async with post.bench.connection() as other, other.transaction():
        found, _ = await recipient_store.claim(other, sending, post.table, post.worker, 1, START)
        found += await post.claim(sending, limits, most=1)
        found += (await recipient_store.claim(post.db, sending, post.table, post.worker, 1, START))[0]
    assert [each.address[0] for each in found] == ["c", "d", "b"]
    # One who has been given up takes nobody.
    await worker_store.give_up(post.db, post.worker, START)
    assert (await post.plain_claim(sending), await post.claim(sending, limits)) == (([], None), [])


async def test_a_claim_under_rules_numbers_whom_it_takes_and_leaves_doubts_as_they_are(post: Post) -> None:
    await post.guests(f"{name}@full.example" for name in ("ann", "bob", "gone", "away", "dan"))
    sending = await post.sending()
    await delivery.suppress(post.db, post.licence_id, ["gone@full.example", "away@full.example"], "COMPLAINT", START)
    numbers = [number for (number,) in await rows(post, "id")]
    for number in numbers:
        await put(post, number, state="DEFERRED", reason="uncertain", attempt=3)
    await put(post, numbers[1], due_at=after(-1))
    await put(post, numbers[4], reason="deferred")
    (held,) = await post.claim(sending, Limits(domains=(DomainLimit("full.example", per_minute=1),)))
    assert (held.attempt, held.doubtful) == (4, True)
    assert await rows(post, "state, reason, due_at, attempt, worker, ended_at") == [
        ("DEFERRED", "uncertain", after(120), 3, None, None),
        ("CLAIMED", "uncertain", None, 4, post.worker, None),
        *[("UNCERTAIN", "uncertain", None, 3, post.worker, START)] * 2,
        ("DEFERRED", "deferred", after(180), 3, None, None),
    ]
    # A claim without rules does the same.
    await put(post, numbers[2], state="DEFERRED", due_at=START, ended_at=None, worker=None)
    assert len((await post.plain_claim(sending, after(180)))[0]) == 2
    assert await rows(post, "state, reason, due_at, attempt, worker, ended_at") == [
        ("CLAIMED", "uncertain", None, 4, post.worker, None),
        ("CLAIMED", "uncertain", None, 4, post.worker, None),
        ("UNCERTAIN", "uncertain", None, 3, post.worker, after(180)),
        ("UNCERTAIN", "uncertain", None, 3, post.worker, START),
        ("CLAIMED", None, None, 4, post.worker, None),
    ]
    await recipient_store.release(post.db, post.licence_id, post.worker, [held], NOW)
    assert (await rows(post, "state, due_at, worker"))[1] == ("PLANNED", NOW, None)


# What an attempt may come to, by where its recipient stands.
COMES_TO = {
    State.CLAIMED: {State.FAILED, State.DEFERRED, State.REJECTED, State.PLANNED, State.UNCERTAIN},
    State.SENDING: {*State} - {State.CLAIMED, State.SENDING, State.EXCLUDED},
    State.UNCERTAIN: {*State} - {State.CLAIMED, State.SENDING, State.EXCLUDED},
    State.DEFERRED: {State.REJECTED},
}


async def test_an_attempt_comes_to_an_end_from_where_it_can(post: Post) -> None:
    await post.guests(["ann@example.com"])
    sending = await post.sending()
    ((held,), _) = await post.plain_claim(sending)
    for state in State:
        for ending in sorted(COMES_TO[State.SENDING]):
            await put(post, held.id, state=state.value, tries=3, ended_at=None, due_at=None, reason=None, reply=None)
            before = await rows(post)
            due_at = NOW if ending in {State.DEFERRED, State.PLANNED} else None
            told = Ending(held, ending, "why", "what it said", due_at)
            possible = ending in COMES_TO.get(state, set())
            assert await recipient_store.end(post.db, sending, post.worker, [told], NOW) == (
                {held.id} if possible else set()
            )
            if not possible:
                assert await rows(post) == before, (state, ending)
                continue
            tries = 3 if ending is State.PLANNED or state is State.UNCERTAIN else 4
            assert await rows(post, "state, reason, reply, due_at, tries, ended_at") == [
                (ending.value, "why", "what it said", due_at, tries, None if due_at else NOW)
            ], (state, ending)
    for ending, reason, tries in (
        (State.DEFERRED, DECLINED, 3),
        (State.DEFERRED, "deferred", 4),
        (State.REJECTED, DECLINED, 4),
    ):
        await put(post, held.id, state="SENDING", tries=3)
        await recipient_store.end(post.db, sending, post.worker, [Ending(held, ending, reason, due_at=NOW)], NOW)
        assert await rows(post, "tries") == [(tries,)]


async def test_what_is_told_late_puts_nothing_off_in_a_sending_that_has_ended(post: Post) -> None:
    """Nobody would look for it any more, and it would be pending for ever."""
    await post.guests(["ann@example.com", "bob@example.com"])
    sending = await post.sending()
    (held, _) = await post.plain_claim(sending)
    await recipient_store.begin(post.db, sending, post.table, post.worker, held)
    await worker_store.give_up(post.db, post.worker, START)
    await store.set_state(post.db, sending.id, "ENDED", START)
    late = [Ending(held[0], State.DEFERRED, "deferred", due_at=NOW), Ending(held[1], State.ACCEPTED)]
    assert await recipient_store.end(post.db, sending, post.worker, late, NOW) == {held[1].id}
    assert await post.fates(sending) == {("UNCERTAIN", DIED): 1, ("ACCEPTED", None): 1}


@pytest.mark.parametrize("policy", Policy)
async def test_what_others_recover_is_what_the_dead_worker_held(policy: Policy, post: Post) -> None:
    await post.guests(f"{n}@example.com" for n in range(12))
    sending = await post.sending(policy=policy)
    (held, _) = await post.plain_claim(sending)
    other = await worker_store.enter_worker(post.db)
    for number, each in enumerate(held):
        state = State.CLAIMED if number == 9 else State.SENDING if number == 10 else [*State][number % 9]
        worker = other if number in {9, 10} else None if number == 11 else post.worker
        await put(post, each.id, state=state.value, worker=worker, tries=2, reason="before", due_at=None, ended_at=None)
    columns = "state, reason, tries, due_at, ended_at"
    expected = await rows(post, columns)
    expected[1] = ("PLANNED", "before", 2, NOW, None)
    again = policy is Policy.RESEND
    expected[2] = ("PLANNED", DIED, 3, NOW, None) if again else ("UNCERTAIN", DIED, 3, None, NOW)
    assert await worker_store.give_up(post.db, post.worker, NOW) == ((2, 0) if again else (1, 1))
    assert await rows(post, columns) == expected
    assert await worker_store.give_up(post.db, post.worker, NOW) == (0, 0)
    assert not await worker_store.beat(post.db, post.worker)
    assert await worker_store.beat(post.db, other)
    await worker_store.give_up(post.db, other, NOW)


async def test_a_worker_takes_up_its_own_of_one_sending(post: Post) -> None:
    await post.guests(f"{n}@example.com" for n in range(9))
    sending, beside = await post.sending(), await post.sending()
    for each in (sending, beside):
        (held, _) = await post.plain_claim(each)
        for state, recipient in zip(State, held, strict=True):
            await put(post, recipient.id, state=state.value, due_at=None)
    other = await worker_store.enter_worker(post.db)
    columns = "state, worker, due_at"
    expected = await rows(post, columns)
    await recipient_store.take_up(post.db, sending, other, NOW)
    assert await rows(post, columns) == expected
    await recipient_store.take_up(post.db, sending, post.worker, NOW)
    expected[1] = expected[2] = ("PLANNED", None, NOW)
    assert await rows(post, columns) == expected
    await worker_store.give_up(post.db, other, NOW)
    await put(post, held[4].id, state="CLAIMED", worker=other)
    before = await rows(post)
    await recipient_store.take_up(post.db, beside, other, NOW)
    assert await rows(post) == before


async def test_a_cancelled_sending_takes_back_who_was_planned(post: Post) -> None:
    await post.guests(f"{n}@example.com" for n in range(10))
    sending, beside = await post.sending(), await post.sending()
    for each in (sending, beside):
        (held, _) = await post.plain_claim(each)
        for state, recipient in zip([*State, State.PLANNED], held, strict=True):
            await put(post, recipient.id, state=state.value, due_at=START, ended_at=None)
        await put(post, held[-1].id, reason=DIED)
    columns = "state, reason, due_at, ended_at"
    expected = await rows(post, columns)
    assert [row[0] for row in expected[:10]] == [*State, State.PLANNED]
    for number, state in enumerate(State):
        if state in {State.PLANNED, State.DEFERRED}:
            expected[number] = ("EXCLUDED", "cancelled", None, NOW)
    # Nobody knows whether it has arrived.
    expected[9] = ("UNCERTAIN", DIED, None, NOW)
    await recipient_store.take_back(post.db, sending, NOW)
    assert await rows(post, columns) == expected


async def test_what_comes_of_a_test_is_for_no_report(post: Post) -> None:
    sending = await post.sending("CONTINUOUS", test=True)
    for name in ("ann", "bob", "cid", "dan"):
        await delivery.plan(post.db, sending, Recipient(None, f"{name}@example.com", "en"), START)
    await delivery.plan(post.db, sending, Recipient(None, None, "en", excluded="noAddress"), START)
    await delivery.suppress(post.db, post.licence_id, ["ann@example.com"], "COMPLAINT", START)
    ((bob, cid, dan), _) = await post.plain_claim(sending)
    await post.accept(sending, [bob], NOW)
    await end(post, sending, post.worker, cid)
    await release(post, sending, post.worker, dan)
    await recipient_store.take_back(post.db, sending, NOW)
    assert await post.fates(sending) == {
        ("EXCLUDED", "suppressed"): 1, ("ACCEPTED", None): 1, ("FAILED", "broken"): 1, ("EXCLUDED", "cancelled"): 1,
        ("EXCLUDED", "noAddress"): 1,
    }  # fmt: skip
    noted = await post.db.execute(f"SELECT * FROM l{post.licence_id}.report_change".encode())
    assert await noted.fetchall() == []


async def test_the_files_of_a_mail_go_with_the_word_on_its_fate(post: Post) -> None:
    await post.guests(f"{n}@example.com" for n in range(4))
    sending = await post.sending("TRANSACTIONAL")
    for number in range(4):
        await post.trigger(sending, f"{number}@example.com", START)
    (held, _) = await post.plain_claim(sending)
    numbers = [each.id for each in held]
    for number in numbers:
        await attachment_store.attach(post.db, post.licence_id, number, [Attachment("a.pdf", "application/pdf", b"1")])
    await recipient_store.begin(post.db, sending, post.table, post.worker, held[:3])
    await recipient_store.end(post.db, sending, post.worker, [Ending(held[0], State.ACCEPTED)], NOW)
    for again, state in ((held[1], State.DEFERRED), (held[2], State.PLANNED)):
        await recipient_store.end(post.db, sending, post.worker, [Ending(again, state, due_at=NOW)], NOW)
    assert {*await attachment_store.attached_bytes(post.db, post.licence_id, numbers)} == {*numbers[1:]}
