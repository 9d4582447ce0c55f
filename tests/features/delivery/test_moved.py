"""Profiles whose address is cleared or changed between the freeze of an audience and the first byte of their mail."""

import pytest

from tabellion.features import delivery
from tabellion.features.delivery import Delivery, Limits, Sending, claiming, limits_store, recipient_store
from tabellion.features.delivery.limits import Contact, DomainLimit
from tabellion.features.delivery.model import Claimed, Policy
from tabellion.features.delivery.pacing import rules_of
from tests.features.delivery.conftest import START, Post

RULES = [Limits(), Limits(contact=Contact(mails=9, days=7)), Limits(domains=(DomainLimit("*", 600, 99),))]
BOTH = pytest.mark.parametrize("limits", RULES, ids=["plain", "pressed", "paced"])


async def take(post: Post, sending: Sending, limits: Limits) -> list[Claimed]:
    """Claim as a sender does, until there is nobody to claim."""
    found: list[Claimed] = []
    rules = rules_of(sending, limits_store.Said(limits, Delivery(), held=False), post.table, START)
    while (taken := await claiming.take(post.db, sending, post.table, post.worker, 200, START, rules)).some:
        found += taken.claimed
    return sorted(found, key=lambda each: each.address)


async def move(post: Post, before: str, after: str | None) -> None:
    email = post.table.attributes_by_name["emailaddress"].column
    query = f"UPDATE l{post.licence_id}.{post.table.relation} SET {email} = %s WHERE {email} = %s"
    assert (await post.db.execute(query.encode(), (after, before))).rowcount == 1


async def addresses(post: Post) -> set[str | None]:
    rows = await (await post.db.execute(f"SELECT address FROM l{post.licence_id}.recipient".encode())).fetchall()
    return {row[0] for row in rows}


@BOTH
async def test_a_mail_goes_where_its_profile_is_reached_when_it_is_claimed(post: Post, limits: Limits) -> None:
    await post.guests(["a@old.example", "b@old.example", "c@old.example", "d@old.example", "e@example.com"])
    sending = await post.sending()
    await move(post, "a@old.example", None)
    await move(post, "b@old.example", "b@new.example")
    await move(post, "c@old.example", "c@suppressed.example")
    await delivery.suppress(post.db, post.licence_id, ["c@suppressed.example", "d@old.example"], "HARD_BOUNCE", START)
    await move(post, "d@old.example", "D@new.example")
    found = await take(post, sending, limits)
    assert [each.address for each in found] == ["D@new.example", "b@new.example", "e@example.com"]
    assert await post.fates(sending) == {
        ("CLAIMED", None): 3, ("EXCLUDED", "noAddress"): 1, ("EXCLUDED", "suppressed"): 1,
    }  # fmt: skip
    # An address that was erased is not kept here either.
    assert "a@old.example" not in await addresses(post)


@BOTH
async def test_an_address_beyond_ascii_is_compared_in_the_form_that_relays_take(post: Post, limits: Limits) -> None:
    await post.guests(["a@exämple.com", "b@exämple.com", "c@example.com", "d@exämple.com", "jörg@example.com"])
    sending = await post.sending()
    await move(post, "b@exämple.com", "b@ëxample.com")
    await move(post, "c@example.com", "c@ëxample.com")
    await move(post, "d@exämple.com", "d@example.com")
    await delivery.suppress(post.db, post.licence_id, ["c@ëxample.com"], "HARD_BOUNCE", START)
    found = await take(post, sending, limits)
    assert [each.address for each in found] == [
        "a@xn--exmple-cua.com", "b@xn--xample-ova.com", "d@example.com", "jörg@example.com",
    ]  # fmt: skip
    assert (await post.fates(sending))["EXCLUDED", "suppressed"] == 1
    begun = await recipient_store.begin(post.db, sending, post.table, post.worker, found)
    assert begun == {each.id for each in found}


@BOTH
@pytest.mark.parametrize("after", [None, "", "new@example.com", "new@ëxample.com"])
async def test_a_mail_that_was_made_for_an_address_does_not_leave_for_it_any_more(
    post: Post, limits: Limits, after: str | None
) -> None:
    await post.guests(["old@example.com", "other@example.com"])
    sending = await post.sending()
    held = await take(post, sending, limits)
    await move(post, "old@example.com", after)
    begun = await recipient_store.begin(post.db, sending, post.table, post.worker, held)
    assert [each.address for each in held if each.id in begun] == ["other@example.com"]
    left = [each for each in held if each.id not in begun]
    await recipient_store.release(post.db, post.licence_id, post.worker, left, START)
    again = await take(post, sending, limits)
    wanted = {None: [], "": [], "new@ëxample.com": ["new@xn--xample-ova.com"]}.get(after, [after])
    assert [each.address for each in again] == wanted
    if again:
        assert await recipient_store.begin(post.db, sending, post.table, post.worker, again) == {again[0].id}
    else:
        assert await post.fates(sending) == {("SENDING", None): 1, ("EXCLUDED", "noAddress"): 1}


async def test_a_domain_is_that_of_the_address_that_is_used(post: Post) -> None:
    await post.guests(["a@old.example", "b@old.example"])
    sending = await post.sending()
    await move(post, "a@old.example", "a@slow.example")
    await move(post, "b@old.example", "b@slow.example")
    limits = Limits(domains=(DomainLimit("slow.example", None, 1),))
    assert len(await take(post, sending, limits)) == 1


async def test_a_doubt_stays_when_the_address_is_gone(post: Post) -> None:
    await post.guests(["a@example.com"])
    sending = await post.sending("TRANSACTIONAL", policy=Policy.RESEND)
    await post.trigger(sending, "a@example.com", START)
    await post.db.execute(f"UPDATE l{post.licence_id}.recipient SET reason = 'uncertain'".encode())
    await move(post, "a@example.com", None)
    assert await take(post, sending, Limits()) == []
    assert await post.fates(sending) == {("UNCERTAIN", "uncertain"): 1}


async def test_a_test_goes_to_the_address_that_it_was_asked_for(post: Post) -> None:
    await post.guests(["a@example.com"])
    sending = await post.sending("CONTINUOUS", triggered=False, test=True)
    query = f"SELECT id FROM l{post.licence_id}.{post.table.relation}".encode()
    (profile,) = await (await post.db.execute(query)).fetchone() or (0,)
    await delivery.plan(post.db, sending, delivery.Recipient(profile, "me@example.com", "en"), START)
    await post.db.execute(b"UPDATE tabellion.sending SET state = 'RUNNING' WHERE id = %s", (sending.id,))
    (found,) = await take(post, sending, Limits())
    assert found.address == "me@example.com"
    assert await recipient_store.begin(post.db, sending, post.table, post.worker, [found]) == {found.id}
