"""The trail is read newest first, whatever the order of its rows on disk; what is too old goes, and nothing else."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from tabellion.platform.audit import Wanted, purge, seal, verify
from tests.platform.audit.conftest import NOW, Trail, entry

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture
async def years(trail: Trail) -> Trail:
    """Two licences at work for 400 days, and a third that ended long ago; rows out of order, and some of one moment."""
    chance = random.Random(4)
    for number in range(6000):
        at = NOW - 400 * DAY * (1 - number / 6000) - chance.choice([0, 0, 1, 50]) * HOUR
        made = entry(
            at.replace(minute=0, second=0, microsecond=0),
            actor=chance.choice(["website", "Shop", "cli"]),
            object=f"{chance.choice(['profile', 'campaign'])}/{chance.randrange(40)}",
            route=chance.choice(["profiles.v5.put", "profiles.v5.delete", "campaign pause: complaints", "user create"]),
            request_id=f"R{number}",
        )
        trail.written.append((3 if number < 5 else chance.choice([1, 1, 2]), made))
    rows = list(trail.written)
    trail.written.clear()
    # The clock of another machine is ahead.
    rows.append((1, entry(NOW + DAY)))
    for licence in (1, 2, 3):
        await trail.write(licence, *(each for owner, each in rows if owner == licence))
    return trail


@pytest.mark.parametrize("limit", [1, 7, 50, 1500, 1_000_000])
@pytest.mark.parametrize("licence_id", [1, 2, 3, 4])
async def test_the_newest_entries_of_a_licence_come_first(licence_id: int, limit: int, years: Trail) -> None:
    assert await years.read(Wanted(licence_id), limit) == years.expected(licence_id)[:limit]


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (None, NOW - 200 * DAY), (NOW - 3 * HOUR, None), (NOW - 90 * DAY, None), (NOW - 60 * DAY, NOW - 59 * DAY),
        (NOW - 400 * DAY, NOW - 2 * DAY), (NOW + 3 * HOUR, None), (None, NOW + 2 * DAY), (None, datetime(1, 1, 1, tzinfo=UTC)),
        (NOW - 10 * HOUR, NOW - 9 * HOUR), (None, NOW - 1000 * DAY),
    ],
)  # fmt: skip
async def test_a_span_holds_its_begin_and_not_its_end(since: datetime | None, until: datetime | None, years: Trail) -> None:
    expected = [
        each for each in years.expected(1) if (since is None or each.at >= since) and (until is None or each.at < until)
    ]
    assert await years.read(Wanted(1, since, until)) == expected


async def test_who_what_by_which_call_and_request(years: Trail) -> None:
    everything = years.expected(1)
    for wanted, fits in (
        (Wanted(1, actor="shop"), lambda e: e.actor == "Shop"),
        (Wanted(1, object="profile/3"), lambda e: e.object == "profile/3"),
        (Wanted(1, object="profile/"), lambda e: e.object.startswith("profile/")),
        (Wanted(1, object="profile"), lambda _: False),
        (Wanted(1, route="profiles.v5.put"), lambda e: e.route == "profiles.v5.put"),
        (Wanted(1, route="profiles."), lambda e: e.route.startswith("profiles.")),
        (Wanted(1, route="campaign pause:"), lambda e: e.route.startswith("campaign pause")),
        (Wanted(1, request_id=everything[9].request_id), lambda e: e is everything[9]),
        (Wanted(1, actor="cli", object="campaign/", route="user create"),
         lambda e: e.actor == "cli" and e.object.startswith("campaign/") and e.route == "user create"),
        (Wanted(1, object="profile/%"), lambda _: False),
    ):  # fmt: skip
        assert await years.read(wanted) == [each for each in everything if fits(each)], wanted


async def test_pages_that_are_used_again_change_no_answer(years: Trail) -> None:
    """Their entries of the index then begin long ago: they never become narrower."""
    await years.db.execute("VACUUM tabellion.audit")
    gone = NOW - 200 * DAY
    await years.db.execute("DELETE FROM tabellion.audit WHERE at < %s", (gone,))
    await years.db.execute("VACUUM tabellion.audit")
    years.written[:] = [(licence, each) for licence, each in years.written if each.at >= gone]
    await years.write(2, *(entry(NOW - n * HOUR, object=f"profile/{n}") for n in range(800)))
    first = await (await years.db.execute("SELECT licence_id FROM tabellion.audit ORDER BY ctid LIMIT 1")).fetchone()
    assert first == (2,), "pages are used again"
    for licence in (1, 2, 3):
        for limit in (50, 1_000_000):
            assert await years.read(Wanted(licence), limit) == years.expected(licence)[:limit]


async def test_what_is_too_old_goes_in_portions(trail: Trail) -> None:
    count = 40_000
    await trail.write(1, *(entry(NOW - (count - n) * timedelta(minutes=1), object=f"profile/{n}") for n in range(count)))
    # Written late, among younger ones.
    await trail.write(1, entry(NOW - 300 * DAY), entry(NOW))
    await trail.db.execute(
        """
        CREATE TABLE portion (transaction xid8, rows integer);
        CREATE FUNCTION count_portion() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO portion SELECT pg_current_xact_id(), count(*) FROM gone;
            RETURN NULL;
        END $$;
        CREATE TRIGGER portion AFTER DELETE ON tabellion.audit REFERENCING OLD TABLE AS gone
            FOR EACH STATEMENT EXECUTE FUNCTION count_portion();
        """
    )
    before = NOW - 10_000 * timedelta(minutes=1)
    assert await purge(trail.db, before, NOW) == 0, "what is not sealed stays"
    assert await seal(trail.db, NOW) == count + 2
    assert await purge(trail.db, before, NOW) == 30_000
    portions = await (
        await trail.db.execute("SELECT count(DISTINCT transaction), count(*), max(rows) FROM portion")
    ).fetchone()
    assert portions is not None
    assert portions == (3, 3, 10_000)
    left = await trail.read(Wanted(1))
    # An entry goes with those that were sealed with it.
    assert left == [each for each in trail.expected(1) if each.at >= before or each.at == NOW - 300 * DAY]
    assert await purge(trail.db, before, NOW) == 0
    assert await purge(trail.db, NOW + timedelta(seconds=1), NOW + DAY) == 10_002
    assert await trail.read(Wanted(1)) == []
    found = await verify(trail.db)
    assert (found.fits, found.entries, found.entries_gone) == (True, 0, count + 2)
