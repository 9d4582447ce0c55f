"""The bulk calls of a day: counted in the transaction that accepts them, by the calendar of the licence's time zone."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tabellion.features import licences as use
from tabellion.features.usage import count_bulk_call
from tabellion.features.usage.errors import TooManyBulkCalls
from tabellion.features.usage.service import next_midnight
from tabellion.kit.clock import utc_now
from tabellion.platform.http.caller import Caller
from tests.support.structure import Bench


@pytest.fixture
async def bench(worker_database_url: str) -> AsyncIterator[Bench]:
    async with await psycopg.AsyncConnection.connect(worker_database_url, autocommit=True) as db:
        yield Bench(worker_database_url, db)


async def caller(bench: Bench, zone: str, most: int) -> Caller:
    await bench.make_licence(time_zone=zone)
    await use.change_limits(bench.db, bench.licence, {"bulk_per_day": most}, utc_now())
    return (await bench.incoming("usage.v5.get")).caller


async def accepted(bench: Bench, who: Caller, *moments: str, tables: frozenset[str] = frozenset({"1"})) -> list[bool]:
    """Which of the calls at these moments (UTC) are let in."""
    found: list[bool] = []
    for moment in moments:
        now = datetime.fromisoformat(moment).replace(tzinfo=UTC)
        try:
            async with bench.db.transaction():
                await count_bulk_call(bench.db, who, tables, now)
            found.append(True)
        except TooManyBulkCalls as refusal:
            # To the second, and never too early.
            midnight = next_midnight(now, who)
            assert (
                timedelta(0)
                <= now + timedelta(seconds=int(refusal.headers["Retry-After"])) - midnight
                < timedelta(seconds=1)
            )
            found.append(False)
    return found


@pytest.mark.parametrize(
    ("zone", "last", "first"),
    [
        ("UTC", "2027-03-01T23:59:59.999999", "2027-03-02T00:00:00"),
        ("Europe/Brussels", "2027-03-01T22:59:59.999999", "2027-03-01T23:00:00"),
        ("Europe/Brussels", "2027-07-01T21:59:59.999999", "2027-07-01T22:00:00"),
        # The days on which clocks change have 23 and 25 hours.
        ("Europe/Brussels", "2027-03-28T21:59:59.999999", "2027-03-28T22:00:00"),
        ("Europe/Brussels", "2027-10-31T22:59:59.999999", "2027-10-31T23:00:00"),
        ("Pacific/Kiritimati", "2027-03-01T09:59:59.999999", "2027-03-01T10:00:00"),
        ("America/St_Johns", "2027-03-02T03:29:59.999999", "2027-03-02T03:30:00"),
    ],
)
async def test_a_day_ends_at_midnight_of_the_licence(zone: str, last: str, first: str, bench: Bench) -> None:
    who = await caller(bench, zone, 1)
    assert await accepted(bench, who, last, last, first, first) == [True, False, True, False]
    assert next_midnight(datetime.fromisoformat(last).replace(tzinfo=UTC), who) == datetime.fromisoformat(first).replace(
        tzinfo=UTC
    )


async def test_the_thirteenth_call_of_a_day_is_refused(bench: Bench) -> None:
    who = await caller(bench, "Europe/Brussels", 12)
    assert await accepted(bench, who, *["2027-03-01T08:00:00"] * 13) == [True] * 12 + [False]
    assert await accepted(bench, who, "2027-03-01T09:00:00", tables=frozenset({"2"})) == [False]


async def test_what_is_rolled_back_is_not_counted(bench: Bench) -> None:
    who = await caller(bench, "UTC", 1)
    now = datetime(2027, 3, 1, tzinfo=UTC)
    async with bench.db.transaction():
        await count_bulk_call(bench.db, who, {"1"}, now)
        raise psycopg.Rollback
    assert await accepted(bench, who, "2027-03-01T00:00:01", "2027-03-01T00:00:02") == [True, False]


async def test_where_tables_have_their_own_numbers_each_is_full_by_itself(bench: Bench) -> None:
    who = await caller(bench, "UTC", 1)
    await use.change_limits(bench.db, bench.licence, {"bulk_scope": "TABLE"}, utc_now())
    day = "2027-03-01T08:00:00"
    assert await accepted(bench, who, day, day, tables=frozenset({"1"})) == [True, False]
    assert await accepted(bench, who, day, tables=frozenset({"2"})) == [True]
    assert await accepted(bench, who, day, tables=frozenset({"2", "3"})) == [False]
    assert await accepted(bench, who, day, tables=frozenset({"3"})) == [True]
