"""A recipient's domain has one form, whoever wrote it: limits, holds and queues of one spelling are those of all."""

from collections import Counter

from psycopg.types.json import Jsonb

from tabellion.features.delivery import DomainLimit, Limits, limits_store, pacing_admin
from tests.features.delivery.conftest import START, Post, after

NAME = "xn--exmple-cua.com"
SPELLINGS = ("exämple.com", "EXÄMPLE.COM", "exa\u0308mple.com", NAME, NAME.upper())
# No mail can go there: encoded, the label is longer than the DNS takes.
HOPELESS = "ä" * 60 + ".com"


async def addresses(post: Post, column: str = "address") -> list[str]:
    """Of all recipients, in the order in which they were entered."""
    rows = await (
        await post.db.execute(f"SELECT {column} FROM l{post.licence_id}.recipient ORDER BY id".encode())
    ).fetchall()
    return [row[0] for row in rows]


async def test_recipients_have_their_domain_as_relays_take_it(post: Post) -> None:
    written = [
        *(f"Guest{i}@{domain}" for i, domain in enumerate(SPELLINGS)),
        "Ann@Example.COM",
        f"a@{HOPELESS}",
        "jörg@example.com",
    ]
    await post.guests(written)
    expected = [*(f"Guest{i}@{NAME}" for i in range(3)), f"Guest3@{NAME}", f"Guest4@{NAME.upper()}", *written[-3:]]
    await post.sending()
    assert await addresses(post) == expected
    urgent = await post.sending("TRANSACTIONAL")
    for address in written:
        await post.trigger(urgent, address, START)
    assert await addresses(post) == expected * 2


async def test_only_the_audience_at_hand_is_touched(post: Post) -> None:
    await post.guests([f"a@{SPELLINGS[0]}", "b@example.com"])
    one = await post.sending()
    # As an earlier version has left them.
    await post.db.execute(
        f"UPDATE l{post.licence_id}.recipient SET address = 'a@{SPELLINGS[0]}' WHERE address LIKE 'a@%'".encode()
    )
    await post.sending()
    assert await addresses(post) == [f"a@{SPELLINGS[0]}", "b@example.com", f"a@{NAME}", "b@example.com"]
    assert await post.fates(one) == {("PLANNED", None): 2}


async def test_a_pace_is_one_for_all_spellings_of_a_domain(post: Post) -> None:
    await post.guests([*(f"g{i}@{SPELLINGS[i % 5]}" for i in range(100)), *(f"g{i}@fast{i}.example" for i in range(10))])
    limits = Limits(domains=(DomainLimit(NAME, per_minute=120),))
    sending, urgent = await post.sending(), await post.sending("TRANSACTIONAL")
    claimed = await post.claim(sending, limits)
    assert Counter(each.domain == NAME for each in claimed) == {True: 3, False: 10}
    left = [each for tick in range(1, 30) for each in await post.claim(sending, limits, now=after(tick))]
    assert 55 <= len(left) <= 60
    assert {each.domain for each in left} == {NAME}
    # Mails that wait for nothing use up the same pace.
    for i in range(50):
        await post.trigger(urgent, f"g{i}@{SPELLINGS[i % 5]}", after(30))
    assert len(await post.claim(urgent, limits, now=after(30))) == 50
    assert await post.claim(sending, limits, now=after(40)) == []


async def test_mails_on_their_way_are_counted_together(post: Post) -> None:
    await post.guests(f"g{i}@{domain}" for i, domain in enumerate(SPELLINGS))
    limits = Limits(domains=(DomainLimit(NAME, connections=2), DomainLimit("*", per_minute=6000)))
    sending = await post.sending()
    assert len(await post.claim(sending, limits)) == 2
    assert await post.claim(sending, limits, now=after(30)) == []


async def test_a_domain_that_says_later_in_one_spelling_is_held_in_all(post: Post) -> None:
    await post.guests([*(f"g{i}@{domain}" for i, domain in enumerate(SPELLINGS)), "ann@example.com"])
    sending = await post.sending()
    (first, *_), _ = await post.plain_claim(sending)
    await limits_store.hold_domains(post.db, post.licence_id, [(first.domain, "421 later")], START)
    (held,) = await limits_store.held_domains(post.db, post.licence_id, START)
    assert held.domain == NAME
    claimed = await post.claim(await post.sending(), Limits(), held=True)
    assert [each.address for each in claimed] == ["ann@example.com"]


async def test_limits_that_were_kept_as_they_were_written_count(post: Post) -> None:
    domains = [{"domain": "exämple.com", "per_minute": 5}, {"domain": NAME, "per_minute": 60}, {"domain": "*"}]
    await post.db.execute(
        "INSERT INTO tabellion.delivery_limits (licence_id, document, updated_at) VALUES (%s, %s, %s)",
        (post.licence_id, Jsonb({"domains": domains}), START),
    )
    expected = (DomainLimit(NAME, 60), DomainLimit("*"))
    limits, _ = await pacing_admin.limits_of(post.db, post.licence_id)
    assert limits.domains == expected
    sending = await post.sending()
    assert (await limits_store.said_of(post.db, sending, START)).limits.domains == expected


async def test_what_campaigns_leave_of_paces_is_forgotten_and_what_counts_is_not(post: Post) -> None:
    kept = (
        f"SELECT (SELECT count(*) FROM l{post.licence_id}.mail_rate), (SELECT count(*) FROM l{post.licence_id}.domain_hold)"
    )

    async def rows() -> object:
        return await (await post.db.execute(kept.encode())).fetchone()

    await post.guests(f"g{i}@example.com" for i in range(10))
    limits, sending = Limits(domains=(DomainLimit("*", per_minute=1),)), await post.sending()
    claimed = await post.claim(sending, limits)
    await limits_store.hold_domains(post.db, post.licence_id, [("example.com", "421 later")], START)
    # The domain's pace, and the queue of the campaign, whose last mail is due in minutes.
    assert (len(claimed), await rows()) == (1, (2, 1))
    await limits_store.forget_paid(post.db, after(30))
    assert (await post.claim(sending, limits, now=after(30)), await rows()) == ([], (2, 1))
    await limits_store.forget_paid(post.db, after(7200))
    assert await rows() == (0, 0)
    assert len(await post.claim(sending, limits, now=after(7200))) == 1
