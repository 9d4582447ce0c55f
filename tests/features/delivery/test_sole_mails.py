"""A mass campaign sends at most one mail to an address, whoever has it by then and however many processes send."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tabellion.features import delivery
from tabellion.features.delivery import (
    Delivery,
    Limits,
    Recipient,
    Sending,
    claiming,
    limits_store,
    recipient_store,
    worker_store,
)
from tabellion.features.delivery.limits import Contact, DomainLimit
from tabellion.features.delivery.model import Claimed, Ending, State
from tabellion.features.delivery.pacing import rules_of
from tests.features.delivery.conftest import START, Post, licence_that_sends
from tests.features.tables.test_structure_races import until_waiting
from tests.support.structure import Connection
from tests.support.tenant import TABLE

RULES = [Limits(), Limits(contact=Contact(mails=9, days=7)), Limits(domains=(DomainLimit("*", None, 500),))]
BOTH = pytest.mark.parametrize("limits", RULES, ids=["plain", "pressed", "paced"])
DUPLICATE = ("EXCLUDED", "duplicateAddress")
HOUSEHOLDS: dict[str, Any] = TABLE | {
    "attributes": [
        {"type": "EMAIL_ADDRESS", "name": "emailAddress", "unique": False, "mandatory": False},
        {"type": "MOTHER_LANGUAGE", "name": "motherLanguage"},
        *TABLE["attributes"][1:],
    ]
}


@pytest.fixture
async def post(worker_database_url: str) -> AsyncIterator[Post]:
    """A licence whose guests may have one address."""
    async with licence_that_sends(worker_database_url, HOUSEHOLDS) as made:
        yield made


async def take(
    post: Post, sending: Sending, limits: Limits, *, db: Connection | None = None, worker: int = 0, most: int = 200
) -> list[Claimed]:
    """Claim once, as a sender does."""
    rules = rules_of(sending, limits_store.Said(limits, Delivery(), held=False), post.table, START)
    taken = await claiming.take(db or post.db, sending, post.table, worker or post.worker, most, START, rules)
    return taken.claimed


async def move(post: Post, number: int, address: str, db: Connection | None = None) -> None:
    """Give the nth profile another address."""
    email = post.table.attributes_by_name["emailaddress"].column
    query = (
        f"UPDATE l{post.licence_id}.{post.table.relation} SET {email} = %s WHERE id = "
        f"(SELECT id FROM l{post.licence_id}.{post.table.relation} ORDER BY id OFFSET %s LIMIT 1)"
    )
    assert (await (db or post.db).execute(query.encode(), (address, number))).rowcount == 1


async def fates_by_profile(post: Post, sending: Sending) -> list[tuple[str, str | None]]:
    query = f"SELECT state, reason FROM l{post.licence_id}.recipient WHERE sending_id = %s ORDER BY profile_id".encode()
    rows = await (await post.db.execute(query, (sending.id,))).fetchall()
    return [(row[0], row[1]) for row in rows]


def addresses(claimed: list[Claimed]) -> list[str]:
    return sorted(each.address for each in claimed)


async def test_of_profiles_with_one_address_the_lowest_id_gets_the_mail(post: Post) -> None:
    await post.guests(["vos@example.com", "VOS@Example.COM", "other@example.com", "vos@example.com"])
    await post.guests(["", "", "gone@example.com", "Gone@example.com"])
    schema = f"l{post.licence_id}"
    await post.db.execute(f"INSERT INTO {schema}.suppression VALUES ('gone@example.com', 'COMPLAINT', now())".encode())
    sending = await post.sending(once_per_address=True)
    planned, alike = ("PLANNED", None), DUPLICATE
    no_address, suppressed = ("EXCLUDED", "noAddress"), ("EXCLUDED", "suppressed")
    wanted = [planned, alike, planned, alike, no_address, no_address, suppressed, suppressed]
    assert await fates_by_profile(post, sending) == wanted
    assert addresses(await take(post, sending, Limits())) == ["other@example.com", "vos@example.com"]


async def test_who_gets_nothing_for_another_reason_takes_no_address(post: Post) -> None:
    await post.guests(["vos@example.com"], motherLanguage="fr")
    await post.guests(["vos@example.com"], motherLanguage="en")
    sending = await post.sending(once_per_address=True)
    assert await fates_by_profile(post, sending) == [("EXCLUDED", "language"), ("PLANNED", None)]


@BOTH
async def test_addresses_are_compared_in_the_form_that_relays_take(post: Post, limits: Limits) -> None:
    await post.guests(["a@exämple.com", "A@EXÄMPLE.com", "a@xn--exmple-cua.com", "JÖRG@example.com", "jörg@example.com"])
    await post.guests(["b@example.com"])
    sending = await post.sending(once_per_address=True)
    assert [state for state, _ in await fates_by_profile(post, sending)] == [
        "PLANNED", "EXCLUDED", "EXCLUDED", "PLANNED", "EXCLUDED", "PLANNED",
    ]  # fmt: skip
    await move(post, 5, "Jörg@Example.com")
    found = await take(post, sending, limits)
    found += await take(post, sending, limits)
    assert addresses(found) == ["JÖRG@example.com", "a@xn--exmple-cua.com"]
    assert (await post.fates(sending))[DUPLICATE] == 4


@BOTH
async def test_an_address_that_got_the_mail_gets_none_for_who_takes_it_over(post: Post, limits: Limits) -> None:
    await post.guests(["a@example.com", "b@example.com", "c@example.com", "d@example.com"])
    sending = await post.sending(once_per_address=True)
    first = await take(post, sending, limits, most=2)
    await post.accept(sending, first[:1], START)
    await post.refuse(sending, first[1:])
    # That of a mail which was accepted, and of one which was refused.
    await move(post, 2, "A@example.com")
    await move(post, 3, "b@example.com")
    assert await take(post, sending, limits) == []
    assert await fates_by_profile(post, sending) == [("ACCEPTED", None), ("REJECTED", "refused"), DUPLICATE, DUPLICATE]


@BOTH
async def test_who_moves_to_an_address_that_has_its_turn_later_gets_the_one_mail(post: Post, limits: Limits) -> None:
    await post.guests(["a@example.com", "b@example.com"])
    sending = await post.sending(once_per_address=True)
    await move(post, 0, "b@example.com")
    assert addresses(await take(post, sending, limits, most=1)) == ["b@example.com"]
    assert await take(post, sending, limits) == []
    assert await fates_by_profile(post, sending) == [("CLAIMED", None), DUPLICATE]


@BOTH
async def test_two_in_one_claim_who_come_to_one_address_get_one_mail(post: Post, limits: Limits) -> None:
    await post.guests(["a@example.com", "b@example.com", "c@example.com"])
    sending = await post.sending(once_per_address=True)
    await move(post, 0, "c@example.com")
    await move(post, 1, "C@example.com")
    assert addresses(await take(post, sending, limits)) == ["c@example.com"]
    assert await fates_by_profile(post, sending) == [("CLAIMED", None), DUPLICATE, DUPLICATE]


@BOTH
async def test_who_change_places_get_a_mail_each(post: Post, limits: Limits) -> None:
    await post.guests(["a@example.com", "b@example.com"])
    sending = await post.sending(once_per_address=True)
    await move(post, 0, "b@example.com")
    await move(post, 1, "a@example.com")
    found = await take(post, sending, limits, most=1)
    found += await take(post, sending, limits, most=1)
    assert addresses(found) == ["a@example.com", "b@example.com"]


@BOTH
async def test_a_mail_that_is_given_back_keeps_no_address(post: Post, limits: Limits) -> None:
    await post.guests(["a@example.com", "b@example.com"])
    sending = await post.sending(once_per_address=True)
    held = await take(post, sending, limits, most=1)
    await recipient_store.release(post.db, post.licence_id, post.worker, held, START)
    await move(post, 0, "c@example.com")
    await move(post, 1, "a@example.com")
    assert addresses(await take(post, sending, limits)) == ["a@example.com", "c@example.com"]


@BOTH
async def test_who_gets_nothing_any_more_leaves_the_address_to_others(post: Post, limits: Limits) -> None:
    await post.guests(["a@example.com", "b@example.com", "gone@example.com"])
    wanted = post.table.subscriptions[0].number
    query = f"UPDATE l{post.licence_id}.{post.table.relation} SET s{wanted} = %s"
    await post.db.execute(query.encode(), (True,))
    sending = await post.sending(once_per_address=True, subscription=wanted)
    email = post.table.attributes_by_name["emailaddress"].column
    await post.db.execute(f"{query} WHERE {email} = %s".encode(), (False, "a@example.com"))
    await move(post, 1, "a@example.com")
    await delivery.suppress(post.db, post.licence_id, ["gone@example.com"], "COMPLAINT", START)
    assert addresses(await take(post, sending, limits)) == ["a@example.com"]
    wanted_fates = [("EXCLUDED", "unsubscribed"), ("CLAIMED", None), ("EXCLUDED", "suppressed")]
    assert await fates_by_profile(post, sending) == wanted_fates


@BOTH
async def test_a_test_mail_takes_no_address(post: Post, limits: Limits) -> None:
    await post.guests(["a@example.com"])
    sending, test = await post.sending(once_per_address=True), await post.sending("CONTINUOUS", test=True)
    await delivery.plan(post.db, test, Recipient(None, "a@example.com", "en"), START)
    await post.accept(test, (await post.plain_claim(test))[0], START)
    query = f"UPDATE l{post.licence_id}.recipient SET campaign_id = %s WHERE test"
    assert (await post.db.execute(query.encode(), (sending.campaign_id,))).rowcount == 1
    assert addresses(await take(post, sending, limits)) == ["a@example.com"]


async def test_a_claim_looks_once_another_of_the_sending_has_ended(post: Post) -> None:
    await post.guests(["a@example.com", "b@example.com"])
    sending = await post.sending(once_per_address=True)
    await move(post, 1, "a@example.com")
    async with post.bench.connection() as first, post.bench.connection() as second:
        async with first.transaction():
            assert len(await take(post, sending, Limits(), db=first, most=1)) == 1
            other = asyncio.ensure_future(take(post, sending, Limits(), db=second))
            await until_waiting(post.bench, "%advisory%")
        assert await other == []
    assert await fates_by_profile(post, sending) == [("CLAIMED", None), DUPLICATE]


async def test_a_mail_that_is_tried_again_is_not_its_own_duplicate(post: Post) -> None:
    await post.guests(["a@example.com"])
    sending = await post.sending(once_per_address=True)
    await post.defer(sending, await take(post, sending, Limits()), START)
    assert addresses(await take(post, sending, Limits())) == ["a@example.com"]


async def test_each_profile_gets_its_own_where_the_campaign_wants_it(post: Post) -> None:
    await post.guests(["vos@example.com"] * 3)
    sending = await post.sending(once_per_address=False)
    assert addresses(await take(post, sending, Limits())) == ["vos@example.com"] * 3


async def test_another_campaign_and_each_trigger_get_mails_of_their_own(post: Post) -> None:
    await post.guests(["vos@example.com", "vos@example.com"])
    for _ in range(2):
        sending = await post.sending(once_per_address=True)
        await post.accept(sending, await take(post, sending, Limits()), START)
        assert await post.fates(sending) == {("ACCEPTED", None): 1, DUPLICATE: 1}
    triggered = await post.sending("CONTINUOUS")
    for _ in range(3):
        await post.trigger(triggered, "vos@example.com", START)
    assert len(await take(post, triggered, Limits())) == 3


@BOTH
@pytest.mark.parametrize("seed", range(3))
async def test_no_address_gets_two_whatever_changes_meanwhile(post: Post, limits: Limits, seed: int) -> None:
    """Three senders, of which some die, while profiles take each other's addresses."""
    people, places = 60, [f"p{i}@example.com" for i in range(40)]
    rng = random.Random(seed)
    await post.guests([rng.choice(places) for _ in range(people)])
    sending = await post.sending(once_per_address=True)
    begun: Counter[str] = Counter()
    working = 3

    async def work() -> None:
        nonlocal working
        async with post.bench.connection() as db:
            worker = await worker_store.enter_worker(db)
            await worker_store.works_for(db, worker, post.licence_id)
            empty = 0
            while empty < 3:
                held = await take(post, sending, limits, db=db, worker=worker, most=rng.randint(1, 8))
                empty = 0 if held else empty + 1
                await asyncio.sleep(0)
                if rng.random() < 0.2:
                    # It dies before the first byte, and another one recovers.
                    await worker_store.give_up(db, worker, START)
                    worker = await worker_store.enter_worker(db)
                    await worker_store.works_for(db, worker, post.licence_id)
                    continue
                may = await recipient_store.begin(db, sending, post.table, worker, held) if held else set()
                for each in held:
                    begun[each.address.lower()] += each.id in may
                left = [each for each in held if each.id not in may]
                if left:
                    await recipient_store.release(db, post.licence_id, worker, left, START)
                endings = [Ending(each, rng.choice([State.ACCEPTED, State.REJECTED])) for each in held if each.id in may]
                if endings:
                    await recipient_store.end(db, sending, worker, endings, START)
            await worker_store.give_up(db, worker, START)
        working -= 1

    async def change() -> None:
        async with post.bench.connection() as db:
            while working:
                await move(post, rng.randrange(people), rng.choice(places), db)

    await asyncio.gather(work(), work(), work(), change())
    assert max(begun.values()) == 1
    fates = await post.fates(sending)
    assert sum(fates.values()) == people
    assert {state for state, _ in fates} <= {"ACCEPTED", "REJECTED", "EXCLUDED"}
    assert sum(count for (state, _), count in fates.items() if state in {"ACCEPTED", "REJECTED"}) == sum(begun.values())
