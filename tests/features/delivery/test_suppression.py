"""Who is left out between a claim and the first byte, and how reasons go together."""

import asyncio
from datetime import datetime, timedelta
from itertools import product

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
    suppression_store,
)
from tabellion.features.delivery.hashed import hash_of
from tabellion.features.delivery.limits import Contact
from tabellion.features.delivery.model import Claimed
from tabellion.features.delivery.pacing import rules_of
from tabellion.features.delivery.suppression import REASONS, Suppression, joined
from tests.features.delivery.conftest import START, Post
from tests.features.tables.test_structure_races import until_waiting
from tests.support.sums import assert_right

SMALL, CAPITALS, ASCII = "a@exämple.com", "B@EXÄMPLE.com", "xn--exmple-cua.com"
PLAIN = Limits()
RULED = Limits(contact=Contact(mails=9, days=7))


async def take(post: Post, sending: Sending, limits: Limits) -> tuple[list[str], bool]:
    """Claim as a sender does; the addresses."""
    rules = rules_of(sending, limits_store.Said(limits, Delivery(), held=False), post.table, START)
    taken = await claiming.take(post.db, sending, post.table, post.worker, 200, START, rules)
    return sorted(each.address for each in taken.claimed), taken.some


async def claimed(post: Post, sending: Sending) -> list[Claimed]:
    found, _ = await post.plain_claim(sending)
    return found


async def begun(post: Post, sending: Sending, held: list[Claimed]) -> list[str]:
    ids = await recipient_store.begin(post.db, sending, post.table, post.worker, held)
    return sorted(each.address for each in held if each.id in ids)


async def suppress(post: Post, *addresses: str, reason: str = "HARD_BOUNCE") -> None:
    await delivery.suppress(post.db, post.licence_id, addresses, reason, START)


async def as_planned_before(post: Post) -> None:
    """Leave recipients as earlier versions have: with their addresses as profiles have them."""
    email = post.table.attributes_by_name["emailaddress"].column
    schema = f"l{post.licence_id}"
    query = f"UPDATE {schema}.recipient r SET address = t.{email} FROM {schema}.{post.table.relation} t WHERE t.id = r.profile_id"
    await post.db.execute(query.encode())


@pytest.mark.parametrize("limits", [PLAIN, RULED], ids=["plain", "ruled"])
@pytest.mark.parametrize("before", [False, True], ids=["now", "before"])
async def test_a_claim_leaves_out_who_is_suppressed_in_another_form(post: Post, limits: Limits, *, before: bool) -> None:
    await post.guests([SMALL, CAPITALS, f"c@{ASCII}", "d@example.com", "e@exämple.com"])
    sending = await post.sending()
    if before:
        await as_planned_before(post)
    await post.db.execute(f"UPDATE l{post.licence_id}.recipient SET reason = 'uncertain' WHERE address LIKE 'e%'".encode())
    await suppress(post, "A@EXÄMPLE.COM", f"b@{ASCII.upper()}", f"e@{ASCII}")
    assert await take(post, sending, limits) == ([f"c@{ASCII}", "d@example.com"], True)
    fates = {("CLAIMED", None): 2, ("EXCLUDED", "suppressed"): 2, ("UNCERTAIN", "uncertain"): 1}
    assert await post.fates(sending) == fates
    # Whoever is left out was not tried.
    query = f"SELECT DISTINCT attempt, ended_at FROM l{post.licence_id}.recipient WHERE state <> 'CLAIMED'".encode()
    assert await (await post.db.execute(query)).fetchall() == [(0, START)]
    await assert_right(post.db, post.licence_id, sending.campaign_id)
    assert await take(post, sending, limits) == ([], False)


async def test_that_all_of_a_claim_are_left_out_is_not_the_end(post: Post) -> None:
    await post.guests([SMALL])
    sending = await post.sending()
    await as_planned_before(post)
    await suppress(post, SMALL)
    assert await take(post, sending, PLAIN) == ([], True)


@pytest.mark.parametrize("meanwhile", ["worker = NULL", "attempt = attempt + 1", "state = 'SENDING'"])
async def test_a_claim_leaves_out_nobody_whom_others_have_by_then(post: Post, meanwhile: str) -> None:
    await post.guests([SMALL])
    sending = await post.sending()
    await as_planned_before(post)
    held = await claimed(post, sending)
    await suppress(post, SMALL)
    schema = f"l{post.licence_id}"
    await post.db.execute(f"UPDATE {schema}.recipient SET {meanwhile}".encode())
    rows = f"SELECT r::text FROM {schema}.recipient r".encode()
    before = await (await post.db.execute(rows)).fetchall()
    await suppression_store.set_aside(post.db, sending, post.worker, held, START)
    assert await (await post.db.execute(rows)).fetchall() == before


async def test_who_is_left_out_of_a_test_counts_for_no_report(post: Post) -> None:
    sending = await post.sending("CONTINUOUS", test=True)
    await delivery.plan(post.db, sending, Recipient(None, SMALL, "en"), START)
    await post.db.execute(f"UPDATE l{post.licence_id}.recipient SET address = %s".encode(), (SMALL,))
    await suppress(post, SMALL)
    assert await take(post, sending, PLAIN) == ([], True)
    await assert_right(post.db, post.licence_id, sending.campaign_id)


@pytest.mark.parametrize("before", [False, True], ids=["now", "before"])
async def test_who_is_suppressed_after_the_claim_gets_nothing(post: Post, *, before: bool) -> None:
    await post.guests([SMALL, CAPITALS, "c@example.com", "d@example.com"])
    sending = await post.sending()
    if before:
        await as_planned_before(post)
    held = await claimed(post, sending)
    await suppress(post, f"b@{ASCII}", "C@Example.com", reason="UNSUBSCRIBE")
    assert await begun(post, sending, held) == [SMALL if before else f"a@{ASCII}", "d@example.com"]


async def test_of_a_test_those_get_it_who_are_not_suppressed_meanwhile(post: Post) -> None:
    sending = await post.sending("CONTINUOUS", test=True)
    for name in "ab":
        await delivery.plan(post.db, sending, Recipient(None, f"{name}@example.com", "en"), START)
    held = await claimed(post, sending)
    await suppress(post, "a@example.com")
    assert await begun(post, sending, held) == ["b@example.com"]


async def test_transactional_mails_are_held_by_all_but_unsubscriptions(post: Post) -> None:
    addresses = [SMALL, CAPITALS, "c@example.com", "d@example.com"]
    await post.guests(addresses)
    sending = await post.sending("TRANSACTIONAL")
    for address in addresses:
        await post.trigger(sending, address, START)
    await as_planned_before(post)
    await suppress(post, *addresses, reason="UNSUBSCRIBE")
    held = await claimed(post, sending)
    assert await suppression_store.set_aside(post.db, sending, post.worker, held, START) == held
    assert len(held) == 4
    await suppress(post, SMALL, "c@example.com", reason="COMPLAINT")
    assert await begun(post, sending, held) == [CAPITALS, "d@example.com"]
    again = await post.sending("TRANSACTIONAL")
    for address in addresses:
        await post.trigger(again, address, START)
    assert (await take(post, again, PLAIN))[0] == [f"B@{ASCII}", "d@example.com"]


@pytest.mark.parametrize("objection", ["COMPLAINT", "MANUAL"])
async def test_who_objects_is_not_forgotten_for_a_bounce(post: Post, objection: str) -> None:
    """That an address works again, or is erased, is no reason to write to somebody who does not want it."""
    bounces = ["HARD_BOUNCE", "SOFT_BOUNCE"]
    for reasons in ([*bounces, objection, *bounces], [objection, *bounces]):
        for reason in reasons:
            await suppress(post, "ann@example.com", reason=reason)
        found = await suppression_store.find(post.db, post.licence_id, "ann@example.com")
        assert found is not None
        assert found.reason == objection
        assert await suppression_store.forget_person(post.db, post.licence_id, "ann@example.com", START, suppress=False)


async def test_the_database_joins_reasons_as_the_program_does(post: Post) -> None:
    def said(reason: str, day: int, detail: str | None, also: int | None) -> Suppression:
        unsubscribed = None if also is None or reason == "UNSUBSCRIBE" else moment(also)
        return Suppression("a@example.com", reason, moment(day), detail, unsubscribed)

    def moment(day: int) -> datetime:
        return START + timedelta(days=day)

    reasons = ("HARD_BOUNCE", "COMPLAINT", "UNSUBSCRIBE")
    befores = [said(*each) for each in product(reasons, (1, 3), ("old", None), (0, None))]
    afters = [said(*each) for each in product(reasons, (2,), ("new", None), (-1, None))]
    rows = [
        (before._replace(address=f"n{i}@x.com"), after._replace(address=f"n{i}@x.com"))
        for i, (before, after) in enumerate(product(befores, afters))
    ]
    assert await suppression_store.put(post.db, post.licence_id, [before for before, _ in rows]) == len(rows)
    assert await suppression_store.put(post.db, post.licence_id, [after for _, after in rows]) == 0
    expected = sorted((joined(before, after) for before, after in rows), key=lambda each: each.address)
    expected.sort(key=lambda each: each.since, reverse=True)
    assert await suppression_store.latest(post.db, post.licence_id, 1000) == expected


@pytest.mark.parametrize("reason", REASONS)
async def test_what_keeps_an_address_from_its_mails_stays_the_reason_but_for_an_objection(reason: str, post: Post) -> None:
    await delivery.suppress(post.db, post.licence_id, ["A@x.com"], reason, START, "first")
    for other, hours in (("UNSUBSCRIBE", 1), ("COMPLAINT", 2), ("HARD_BOUNCE", 3), ("UNSUBSCRIBE", 4)):
        now = START + timedelta(hours=hours)
        await delivery.suppress(post.db, post.licence_id, ["a@X.com", "A@x.com"], other, now, other)
    found = await suppression_store.find(post.db, post.licence_id, "a@x.com")
    if reason == "UNSUBSCRIBE":
        expected = Suppression("a@x.com", "COMPLAINT", START + timedelta(hours=2), "COMPLAINT", START)
    elif reason in {"HARD_BOUNCE", "SOFT_BOUNCE"}:
        expected = Suppression("a@x.com", "COMPLAINT", START, "COMPLAINT", START + timedelta(hours=1))
    else:
        expected = Suppression("a@x.com", reason, START, "first", START + timedelta(hours=1))
    assert found == expected


async def test_two_lists_with_the_same_addresses_do_not_wait_for_each_other(post: Post) -> None:
    low, high = (Suppression(f"{name}@example.com", "MANUAL", START) for name in ("a", "b"))
    async with post.bench.connection() as first, post.bench.connection() as second:
        async with first.transaction():
            await suppression_store.put(first, post.licence_id, [low])
            other = asyncio.ensure_future(suppression_store.put(second, post.licence_id, [high, low]))
            await until_waiting(post.bench, "%suppression%")
            await suppression_store.put(first, post.licence_id, [high])
        assert await other == 0


ERASED = ["ann@example.com", "Bob@Example.COM", SMALL]


async def erase(post: Post, *, suppress: bool = False) -> None:
    for address in ERASED:
        await suppression_store.forget_person(post.db, post.licence_id, address, START, suppress=suppress)


@pytest.mark.parametrize("limits", [PLAIN, RULED], ids=["plain", "ruled"])
async def test_an_erased_person_stays_suppressed(post: Post, limits: Limits) -> None:
    await suppress(post, *ERASED, reason="COMPLAINT")
    await erase(post)
    assert await suppression_store.latest(post.db, post.licence_id, 10) == []
    await post.guests([*ERASED, "cid@example.com"])
    sending = await post.sending()
    # The form of a domain that lists compare is known to those who claim.
    assert await post.fates(sending) == {("PLANNED", None): 2, ("EXCLUDED", "suppressed"): 2}
    assert await take(post, sending, limits) == (["cid@example.com"], True)
    assert (await post.fates(sending))["EXCLUDED", "suppressed"] == 3


async def test_who_is_erased_after_the_claim_gets_nothing(post: Post) -> None:
    await post.guests([*ERASED, "cid@example.com"])
    sending = await post.sending()
    held = await claimed(post, sending)
    assert len(held) == 4
    await erase(post, suppress=True)
    assert await begun(post, sending, held) == ["cid@example.com"]


@pytest.mark.parametrize("reason", REASONS)
async def test_an_erased_person_is_kept_from_mails_for_an_objection_alone(post: Post, reason: str) -> None:
    await suppress(post, ERASED[0], reason=reason)
    kept = await suppression_store.forget_person(post.db, post.licence_id, ERASED[0], START, suppress=False)
    assert kept == (reason in {"COMPLAINT", "UNSUBSCRIBE", "MANUAL"})
    assert await delivery.is_suppressed(post.db, post.licence_id, "ANN@example.com") == kept
    held = await delivery.is_suppressed(post.db, post.licence_id, ERASED[0], transactional=True)
    assert held == (kept and reason != "UNSUBSCRIBE")
    found = await suppression_store.find(post.db, post.licence_id, ERASED[0])
    assert found == (Suppression(ERASED[0], reason, START) if kept else None)


async def test_what_keeps_an_erased_person_from_mails_can_be_lifted(post: Post) -> None:
    db, licence_id, ann = post.db, post.licence_id, ERASED[0]
    await suppress(post, ann, reason="UNSUBSCRIBE")
    await suppress(post, ann, reason="COMPLAINT")
    for _ in range(2):  # whoever was interrupted repeats it
        assert await suppression_store.forget_person(db, licence_id, ann, START, suppress=False)
    assert await suppression_store.find(db, licence_id, ann) == Suppression(ann, "COMPLAINT", START, None, START)
    assert await delivery.unsuppress(db, licence_id, ann) == (True, True)
    assert await suppression_store.find(db, licence_id, ann) == Suppression(ann, "UNSUBSCRIBE", START)
    await delivery.subscribe_again(db, licence_id, ann)
    assert await suppression_store.find(db, licence_id, ann) is None
    assert await delivery.unsuppress(db, licence_id, ann) == (False, False)


async def test_a_bounce_is_no_objection_and_the_unsubscription_beside_it_is(post: Post) -> None:
    ann = ERASED[0]
    await suppress(post, ann, reason="HARD_BOUNCE")
    await suppress(post, ann, reason="UNSUBSCRIBE")
    assert await suppression_store.forget_person(post.db, post.licence_id, ann, START, suppress=False)
    assert await suppression_store.find(post.db, post.licence_id, ann) == Suppression(ann, "UNSUBSCRIBE", START)


async def test_what_is_left_of_an_erased_person_holds_both_of_their_reasons(post: Post) -> None:
    db, licence, ann = post.db, post.licence_id, f"ann@{ASCII}"
    moments = [START + timedelta(days=day) for day in range(4)]

    async def erased(reason: str, at: datetime, *, ask: bool = False) -> Suppression | None:
        await delivery.suppress(db, licence, [ann], reason, at)
        assert await suppression_store.forget_person(db, licence, "Ann@exämple.com", at, suppress=ask)
        return await suppression_store.find(db, licence, ann)

    # Older entries stand as they were written.
    written = f"INSERT INTO l{licence}.suppression VALUES ('ann@exämple.com', 'COMPLAINT', %s)".encode()
    await db.execute(written, (moments[1],))
    await delivery.suppress(db, licence, [ann], "UNSUBSCRIBE", moments[0])
    assert await suppression_store.find(db, licence, "Ann@exämple.com") == Suppression(ann, "UNSUBSCRIBE", moments[0])
    assert await erased("UNSUBSCRIBE", moments[2]) == Suppression(ann, "COMPLAINT", moments[1], None, moments[0])
    # Whoever comes back, and is erased again.
    assert await erased("MANUAL", moments[2]) == Suppression(ann, "COMPLAINT", moments[1], None, moments[0])
    assert await delivery.unsuppress(db, licence, ann) == (True, True)
    assert await erased("MANUAL", moments[2]) == Suppression(ann, "MANUAL", moments[2], None, moments[0])
    assert await erased("UNSUBSCRIBE", moments[3]) == Suppression(ann, "MANUAL", moments[2], None, moments[0])
    # What has come since is taken away, and what was before stays, until it is taken away as well.
    assert await delivery.unsuppress(db, licence, ann) == (True, True)
    await delivery.suppress(db, licence, [ann], "COMPLAINT", moments[3])
    assert await delivery.unsuppress(db, licence, ann) == (True, True)
    assert await erased("UNSUBSCRIBE", moments[3]) == Suppression(ann, "UNSUBSCRIBE", moments[0])
    await delivery.suppress(db, licence, [ann], "UNSUBSCRIBE", moments[3])
    assert await delivery.unsuppress(db, licence, ann) == (True, False)
    assert await erased("MANUAL", moments[1]) == Suppression(ann, "MANUAL", moments[1])
    await delivery.suppress(db, licence, [ann], "COMPLAINT", moments[3])
    assert await delivery.unsuppress(db, licence, ann) == (True, False)
    assert await erased("MANUAL", moments[1]) == Suppression(ann, "MANUAL", moments[1])
    assert await erased("HARD_BOUNCE", moments[3], ask=True) == Suppression(ann, "MANUAL", moments[1], None, moments[3])


async def others(post: Post, address: str) -> list[list[tuple[object, ...]]]:
    """What the lists hold of everybody else."""
    found: list[list[tuple[object, ...]]] = []
    for table, column, own in (
        ("suppression", "address", address), ("suppression_hash", "hash", hash_of(post.licence_id, address)),
        ("soft_bounce", "address", address),
    ):  # fmt: skip
        query = f"SELECT t::text FROM l{post.licence_id}.{table} t WHERE {column} <> %s ORDER BY 1".encode()
        found.append(await (await post.db.execute(query, (own,))).fetchall())
    return found


async def test_what_is_done_about_one_address_touches_no_other(post: Post) -> None:
    db, licence, ann = post.db, post.licence_id, "1-ann@example.com"
    wanted = [("COMPLAINT",), ("UNSUBSCRIBE",), ("COMPLAINT", "UNSUBSCRIBE")]

    async def enter(address: str, reasons: tuple[str, ...], *, erased: bool) -> None:
        for hours, reason in enumerate(reasons):
            await delivery.suppress(db, licence, [address], reason, START + timedelta(hours=hours), "why")
        if erased:
            await suppression_store.forget_person(db, licence, address, START, suppress=False)
        query = f"INSERT INTO l{licence}.soft_bounce VALUES (%s, 'm', %s) ON CONFLICT DO NOTHING".encode()
        await db.execute(query, (address, START))

    for (number, reasons), erased in product(enumerate(wanted), (False, True)):
        await enter(f"{number}-{erased}@example.com", reasons, erased=erased)
    soft = f"SELECT mark FROM l{licence}.soft_bounce WHERE address = %s".encode()
    before = await others(post, ann)
    assert [len(each) for each in before] == [3, 3, 6]
    assert await suppression_store.find(db, licence, ann) is None
    assert not await delivery.is_suppressed(db, licence, ann)
    for reasons, erased, again in product(wanted, (False, True), (False, True)):
        await enter(ann, reasons, erased=erased)
        assert await delivery.is_suppressed(db, licence, ann, transactional=True) == ("COMPLAINT" in reasons)
        if again:
            await delivery.subscribe_again(db, licence, ann)
        else:
            assert await delivery.unsuppress(db, licence, ann) == (True, len(reasons) > 1)
            assert await (await db.execute(soft, (ann,))).fetchall() == []
        left = "COMPLAINT" if again else "UNSUBSCRIBE"
        detail = "why" if again and not erased else None
        since = START + timedelta(hours=reasons.index(left) if left in reasons else 0)
        expected = Suppression(ann, left, since, detail) if left in reasons and (again or len(reasons) > 1) else None
        assert await suppression_store.find(db, licence, ann) == expected, (reasons, erased, again)
        assert await others(post, ann) == before
        for _ in reasons:
            await delivery.unsuppress(db, licence, ann)
    await enter(ann, ("COMPLAINT",), erased=False)
    await suppression_store.forget_person(db, licence, ann, START, suppress=True)
    assert await (await db.execute(soft, (ann,))).fetchall() == []
    assert await others(post, ann) == before
