"""Sending hours: on the licence's clocks and on the recipients', across changes of the clocks."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabellion.features.delivery import Contact, Delivery, DomainLimit, Hours, Limits, Window, limits_store
from tabellion.features.delivery.hours import DAYS, openings, opens_at
from tabellion.features.delivery.pacing import rules_of
from tests.features.delivery.conftest import START, Post, after

WORKING = Hours((Window(("MON", "TUE", "WED", "THU", "FRI"), 8 * 60, 20 * 60),))
BRUSSELS = ZoneInfo("Europe/Brussels")


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2027-03-02T09:00", None),
        ("2027-03-02T06:59", "2027-03-02T07:00"),
        ("2027-03-02T18:59", None),
        ("2027-03-02T19:00", "2027-03-03T07:00"),
        ("2027-03-06T12:00", "2027-03-08T07:00"),
        # Friday evening; summer time begins on the Sunday.
        ("2027-03-26T19:00", "2027-03-29T06:00"),
        ("2027-10-29T18:00", "2027-11-01T07:00"),
    ],
)
def test_hours_are_those_of_the_zone(now: str, opens: str | None) -> None:
    wanted = None if opens is None else datetime.fromisoformat(opens).replace(tzinfo=UTC)
    assert opens_at(WORKING, BRUSSELS, datetime.fromisoformat(now).replace(tzinfo=UTC)) == wanted


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        # A Monday.
        ("2027-03-01T09:00", None),
        ("2027-03-01T18:30", "2027-03-01T20:00"),
        ("2027-03-01T20:30", None),
        ("2027-03-02T18:00", "2027-03-06T10:00"),
        ("2027-03-02T20:30", "2027-03-06T10:00"),
        ("2027-03-03T10:30", "2027-03-06T10:00"),
        ("2027-03-06T09:30", "2027-03-06T10:00"),
        ("2027-03-06T10:30", None),
        ("2027-03-06T12:00", "2027-03-08T09:00"),
    ],
)
def test_each_window_counts_on_its_own_days(now: str, opens: str | None) -> None:
    hours = Hours((Window(("MON", "TUE"), 540, 1080), Window(("SAT",), 600, 720), Window(("MON",), 1200, 1260)))
    wanted = None if opens is None else datetime.fromisoformat(opens).replace(tzinfo=UTC)
    assert opens_at(hours, ZoneInfo("UTC"), datetime.fromisoformat(now).replace(tzinfo=UTC)) == wanted


@pytest.mark.parametrize(
    ("begin", "end", "now", "opens"),
    [
        # Half past two does not exist: at three, which is 01:00, it is after half past two.
        ("02:30", "20:00", "2027-03-28T00:50", "2027-03-28T01:00"),
        ("02:30", "03:10", "2027-03-28T00:50", "2027-03-28T01:00"),
        # Nothing is left of it on that night.
        ("02:10", "02:40", "2027-03-28T00:50", "2027-03-29T00:10"),
        # Half past two comes twice.
        ("02:30", "02:50", "2027-10-31T00:00", "2027-10-31T00:30"),
        ("02:30", "02:50", "2027-10-31T00:50", "2027-10-31T01:30"),
        ("02:30", "20:00", "2027-10-31T01:10", "2027-10-31T01:30"),
    ],
)
def test_the_nights_when_the_clocks_change(begin: str, end: str, now: str, opens: str) -> None:
    first, last = (int(text[:2]) * 60 + int(text[3:]) for text in (begin, end))
    hours = Hours((Window(DAYS, first, last),))
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert opens_at(hours, BRUSSELS, moment) == datetime.fromisoformat(opens).replace(tzinfo=UTC)


def test_a_window_that_the_clocks_jump_over_opens_a_week_later() -> None:
    hours = Hours((Window(("SUN",), 130, 160),))
    # The week before it has closed already.
    for now in (datetime(2027, 3, 28, 0, 50, tzinfo=UTC), datetime(2027, 3, 21, 1, 40, tzinfo=UTC)):
        assert opens_at(hours, BRUSSELS, now) == datetime(2027, 4, 4, 0, 10, tzinfo=UTC)


@given(
    moment=st.datetimes(datetime(2026, 1, 1), datetime(2028, 12, 31)),
    zone=st.sampled_from(["Europe/Brussels", "America/New_York", "Asia/Kathmandu", "Pacific/Auckland", "Africa/Casablanca"]),
    days=st.sets(st.sampled_from(DAYS), min_size=1),
    begin=st.integers(0, 1000),
    length=st.integers(1, 400),
)
def test_hours_that_are_closed_open_later_and_are_open_then(moment, zone, days, begin, length) -> None:
    hours = Hours((Window(tuple(days), begin, begin + length),))
    now = moment.replace(tzinfo=UTC)
    opens = opens_at(hours, ZoneInfo(zone), now)
    if opens is not None:
        assert opens > now
        assert (opens - now).days <= 14
        assert opens_at(hours, ZoneInfo(zone), opens) is None


def test_countries_have_a_zone_where_it_is_clear() -> None:
    known = openings(WORKING, datetime(2027, 3, 2, 6, 30, tzinfo=UTC))
    assert known["be"] == known["europe/brussels"] == datetime(2027, 3, 2, 7, 0, tzinfo=UTC)
    assert known["de"] == known["es"] == known["be"]
    assert known["jp"] is None
    assert {"utc", "etc/utc", "localtime", "est", "gb"}.intersection(known) == {"gb"}
    # Within a minute it is the same.
    assert openings(WORKING, datetime(2027, 3, 2, 6, 59, 59, 999, tzinfo=UTC))["be"] == known["be"]
    # Half of it has begun to work.
    assert "us" not in openings(WORKING, datetime(2027, 3, 2, 14, 30, tzinfo=UTC))


async def test_mails_wait_for_the_hours_of_their_recipients(post: Post) -> None:
    for zone in ("Europe/Brussels", "Asia/Tokyo", "JP", "", "nowhere"):
        await post.guests([f"{zone.replace('/', '-') or 'none'}@example.com"], cardNumber=zone)
    hours = Hours(WORKING.windows, "RECIPIENT", "cardNumber")
    await post.guests(["gone@example.com"], cardNumber="FR")
    sending = await post.sending(time_zone="America/New_York")
    email = post.table.attributes_by_name["emailaddress"].column
    await post.db.execute(f"DELETE FROM l{post.licence_id}.{post.table.relation} WHERE {email} LIKE 'gone%'".encode())
    now = datetime(2027, 3, 2, 9, 0, tzinfo=UTC)
    claimed = await post.claim(sending, Limits(), Delivery(hours=hours), now=now)
    assert {each.address for each in claimed} == {"Europe-Brussels@example.com", "Asia-Tokyo@example.com", "JP@example.com"}
    assert (await post.fates(sending))["EXCLUDED", "deleted"] == 1
    # The others go by the licence's clocks: it is four in the morning there.
    rows = await (
        await post.db.execute(f"SELECT DISTINCT due_at FROM l{post.licence_id}.recipient WHERE state = 'PLANNED'".encode())
    ).fetchall()
    assert rows == [(datetime(2027, 3, 2, 13, 0, tzinfo=UTC),)]
    assert len(await post.claim(sending, Limits(), Delivery(hours=hours), now=rows[0][0])) == 2


async def test_who_waits_for_their_hours_keeps_nobody_of_their_domain_waiting(post: Post) -> None:
    for name, zone in (
        ("z", "America/New_York"),
        ("y", "America/Toronto"),
        ("a", "BE"),
        ("b", "FR"),
        ("c", "NL"),
        ("d", "CH"),
    ):
        await post.guests([f"{name}@example.com"], cardNumber=zone)
    hours, limits = Hours(WORKING.windows, "RECIPIENT", "cardNumber"), Limits(domains=(DomainLimit("*", per_minute=60),))
    sending = await post.sending()
    claimed = await post.claim(sending, limits, Delivery(hours=hours), most=1)
    claimed += await post.claim(sending, limits, Delivery(hours=hours))
    assert [each.address for each in claimed] == ["a@example.com", "b@example.com"]
    query = (
        f"SELECT address, due_at FROM l{post.licence_id}.recipient WHERE state = 'PLANNED' ORDER BY due_at, address".encode()
    )
    assert await (await post.db.execute(query)).fetchall() == [
        ("c@example.com", after(3)), ("d@example.com", after(4)), ("y@example.com", after(4 * 3600)),
        ("z@example.com", after(4 * 3600)),
    ]  # fmt: skip


async def test_who_waits_for_their_hours_has_not_had_enough_yet(post: Post) -> None:
    """The day may be another one by then."""
    await post.guests(["ann@example.com"], cardNumber="America/New_York")
    hours, once_a_day = Hours(WORKING.windows, "RECIPIENT", "cardNumber"), Limits(contact=Contact(1, 1))
    first, second, third = [await post.sending() for _ in range(3)]
    await post.accept(first, await post.claim(first, once_a_day), START)
    for sending in (second, third):
        assert await post.claim(sending, once_a_day, Delivery(hours=hours)) == []
        assert await post.fates(sending) == {("PLANNED", None): 1}
    # On Wednesday at eight.
    claims = [await post.claim(each, once_a_day, Delivery(hours=hours), now=after(28 * 3600)) for each in (second, third)]
    assert [len(each) for each in claims] == [1, 0]
    assert await post.fates(third) == {("EXCLUDED", "pressure"): 1}


async def test_outside_the_hours_of_the_licence_nothing_is_claimed_at_all(post: Post) -> None:
    sending = await post.sending(time_zone="Europe/Brussels")
    said = limits_store.Said(Limits(), Delivery(hours=WORKING), held=False)
    assert rules_of(sending, said, post.table, datetime(2027, 3, 2, 9, 0, tzinfo=UTC)).plain
    lost = Delivery(hours=Hours(WORKING.windows, "RECIPIENT", "gone"))
    assert rules_of(sending, said._replace(delivery=lost), post.table, datetime(2027, 3, 2, 22, 0, tzinfo=UTC)).opens_at
    closed = rules_of(sending, said, post.table, datetime(2027, 3, 2, 22, 0, tzinfo=UTC))
    assert closed.opens_at == datetime(2027, 3, 3, 7, 0, tzinfo=UTC)
    # Those of recipients are looked at one by one; where nothing tells where they are, they are at the licence's place.
    for attribute, whole in (("cardNumber", False), (None, True)):
        theirs = said._replace(delivery=Delivery(hours=Hours(WORKING.windows, "RECIPIENT", attribute)))
        rules = rules_of(sending, theirs, post.table, datetime(2027, 3, 2, 22, 0, tzinfo=UTC))
        assert (rules.opens_at, rules.zones is None) == (closed.opens_at if whole else None, whole)
    urgent = await post.sending("TRANSACTIONAL", time_zone="Europe/Brussels")
    limited = said._replace(limits=Limits(contact=Contact(1, 1)))
    rules = rules_of(urgent, limited, post.table, datetime(2027, 3, 2, 22, 0, tzinfo=UTC))
    assert (rules.opens_at, rules.contact) == (None, None)
