"""What the gate decides, to the millisecond: its statement is told what time it is."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tabellion.features.usage import store
from tabellion.features.usage.model import Verdict
from tabellion.features.usage.service import COUNTED, FINAL, SLOT
from tests.support.structure import Connection

START = datetime(2027, 3, 2, 9, 0, tzinfo=UTC)
GRACE, LEASE = timedelta(seconds=60), timedelta(seconds=6)
Request = tuple[str, bytes, int, int, int]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Gatehouse:
    """Licences with one user each, and processes that ask for them; all of it is rolled back."""

    def __init__(self, db: Connection) -> None:
        self.db = db

    async def value(self, query: str, *parameters: Any) -> Any:
        row = await (await self.db.execute(query.encode(), parameters)).fetchone()
        return None if row is None else row[0] if len(row) == 1 else row

    async def licence(self, key: bytes = b"key", **columns: Any) -> int:
        """A licence with these limits, whose user has this key."""
        values = {"name": f"of {key!r}", "created_at": START, **columns}
        names, places = ", ".join(values), ", ".join(["%s"] * len(values))
        number = await self.value(
            f"INSERT INTO tabellion.licence ({names}) VALUES ({places}) RETURNING id", *values.values()
        )
        await self.db.execute(
            "INSERT INTO tabellion.api_user (licence_id, login, rights, api_key_hash, password_hash, credential_version, "
            "created_at) VALUES (%s, 'website', '{}', %s, '', 7, %s)",
            (number, key, START),
        )
        return number

    async def user(self, licence: int) -> int:
        return await self.value("SELECT id FROM tabellion.api_user WHERE licence_id = %s", licence)

    async def process(self, alive_until: datetime = START + timedelta(days=1)) -> int:
        return await self.value(
            "INSERT INTO tabellion.usage_process VALUES (nextval('tabellion.usage_process_id'), %s) RETURNING id",
            alive_until,
        )

    async def ask(
        self, process: int, now: datetime, *requests: Request, freed: Mapping[int, int] | None = None
    ) -> dict[int, Verdict]:
        """The verdicts by the number of their request."""
        columns = [list(column) for column in zip(*requests, strict=True)] if requests else [[] for _ in range(5)]
        slots = freed or {}
        rows = await (
            await self.db.execute(store._GATE, (process, list(slots), list(slots.values()), *columns, GRACE, now))
        ).fetchall()
        return {row[0]: Verdict(*row) for row in rows}

    async def state(self, licence: int) -> tuple[int, int, int]:
        """Calls, slowed down, refused of the licence's day."""
        return await self.value(
            "SELECT calls, slowed_down, refused FROM tabellion.usage_state WHERE licence_id = %s", licence
        )

    async def slots(self, licence: int) -> dict[int, int]:
        cursor = await self.db.execute(
            "SELECT process_id, in_flight FROM tabellion.usage_slot WHERE licence_id = %s", (licence,)
        )
        return {process: slots for process, slots in await cursor.fetchall() if slots}


def of_key(key: bytes = b"key", flags: int = COUNTED | SLOT) -> Request:
    return "k", key, 0, 0, flags


@pytest.fixture
def house(db: Connection) -> Gatehouse:
    return Gatehouse(db)


async def test_who_asks_is_known_by_key_token_or_version_of_credentials(house: Gatehouse) -> None:
    licence = await house.licence()
    user, process = await house.user(licence), await house.process()
    for token, expires in ((b"good", at(0)), (b"old", at(0) - GRACE), (b"nearly old", at(0.001) - GRACE)):
        await house.db.execute("INSERT INTO tabellion.access_token VALUES (%s, %s, %s)", (token, user, expires))
    asked: list[tuple[Request, str | None]] = [
        (("k", b"key", 0, 0, 1), "admit"),
        (("k", b"good", 0, 0, 1), None),
        (("k", b"key", 0, 0, 1), "admit"),
        (("t", b"key", 0, 0, 1), None),
        (("t", b"good", 0, 0, 1), "admit"),
        (("t", b"nearly old", 0, 0, 1), "admit"),
        (("t", b"old", 0, 0, 7), "expired"),
        (("u", b"", user, 7, 1), "admit"),
        (("u", b"", user, 6, 1), None),
        (("u", b"", user, 7, 1), "admit"),
        (("u", b"", user + 1, 7, 1), None),
        (("u", b"", 0, 7, 1), None),
    ]
    verdicts = await house.ask(process, START, *(request for request, _ in asked))
    assert {n: verdicts[n].verdict if n in verdicts else None for n in range(1, 13)} == {
        n: verdict for n, (_, verdict) in enumerate(asked, start=1)
    }
    assert {(each.user_id, each.licence_id, each.catalogue_version) for each in verdicts.values()} == {(user, licence, 1)}
    assert {each.in_flight for each in verdicts.values()} == {0}
    # Who has come too late counts nowhere.
    assert await house.state(licence) == (6, 0, 0)
    assert await house.slots(licence) == {}


async def test_a_look_up_serves_no_other_credential_beside_it(house: Gatehouse) -> None:
    user, process = await house.user(await house.licence()), await house.process()
    key, password = ("k", b"key", 0, 0, COUNTED), ("u", b"", user, 7, COUNTED)
    for good, other in (
        (key, ("t", b"key", 0, 0, COUNTED)),
        (key, ("k", b"none", 0, 0, COUNTED)),
        (password, ("u", b"", user + 1, 7, COUNTED)),
        (password, ("u", b"", user, 8, COUNTED)),
    ):
        assert sorted(await house.ask(process, START, other, good, other, other, good, good, other)) == [2, 5, 6]


async def test_a_window_that_is_full_refuses_until_its_first_call_has_left_it(house: Gatehouse) -> None:
    licence = await house.licence(calls_per_minute=3, window_seconds=10, on_excess="REJECT", bulk_per_day=4)
    other = await house.licence(b"other", calls_per_minute=9, window_seconds=60, on_excess="REJECT")
    process = await house.process()
    await house.ask(process, at(-30), *[of_key(b"other")] * 5)
    decided = []
    for second in (0, 1, 2, 3, 9.999, 10, 10.5, 11):
        said = (await house.ask(process, at(second), of_key(flags=COUNTED)))[1]
        decided.append((second, said.verdict, said.remaining, said.reset_ms))
        # Whoever comes back after whole seconds does not come too early.
        assert said.limits().reset_s == math.ceil(said.reset_ms / 1000)
        assert (said.calls_per_minute, said.window_seconds, said.max_concurrent, said.bulk_per_day) == (3, 10, None, 4)
    assert decided == [
        (0, "admit", 2, 10_000),
        (1, "admit", 1, 9_000),
        (2, "admit", 0, 8_000),
        (3, "rate", 0, 7_000),
        (9.999, "rate", 0, 1),
        (10, "admit", 0, 1_000),
        (10.5, "rate", 0, 500),
        (11, "admit", 0, 1_000),
    ]
    # What is not counted is let in, and a refusal is counted where it is final.
    free = await house.ask(process, at(11), of_key(flags=SLOT), of_key(flags=COUNTED | FINAL), of_key(flags=COUNTED))
    assert [free[n].verdict for n in (1, 2, 3)] == ["admit", "rate", "rate"]
    assert await house.state(licence) == (5, 0, 1)
    # A whole batch at once, of an empty window.
    batch = await house.ask(process, at(60), *[of_key(flags=COUNTED)] * 5)
    assert [(each.verdict, each.remaining, each.reset_ms) for each in batch.values()] == [
        ("admit", 2, 10_000), ("admit", 1, 10_000), ("admit", 0, 10_000), ("rate", 0, 10_000), ("rate", 0, 10_000),
    ]  # fmt: skip
    assert await house.value("SELECT count(*), min(at) FROM tabellion.usage_call WHERE licence_id = %s", licence) == (
        3,
        at(60),
    )
    assert await house.value("SELECT count(*) FROM tabellion.usage_call WHERE licence_id = %s", other) == 5


async def test_an_untouched_window_has_no_reset(house: Gatehouse) -> None:
    await house.licence(calls_per_minute=3, window_seconds=10, on_excess="REJECT")
    await house.licence(b"slow", calls_per_minute=3, window_seconds=10)
    verdicts = await house.ask(await house.process(), START, of_key(flags=0), of_key(b"slow", flags=0))
    assert [(each.verdict, each.remaining, each.reset_ms) for each in verdicts.values()] == [("admit", 3, 0)] * 2


async def test_slowed_down_calls_wait_their_turn_and_no_longer_than_they_may(house: Gatehouse) -> None:
    # A call every two seconds.
    licence = await house.licence(calls_per_minute=5, window_seconds=10, max_wait_seconds=4)
    process = await house.process()

    async def said(second: float, calls: int, flags: int = COUNTED) -> list[tuple[str, int, int | None, int]]:
        verdicts = await house.ask(process, at(second), *[of_key(flags=flags)] * calls)
        return [(each.verdict, each.wait_ms, each.remaining, each.reset_ms) for each in verdicts.values()]

    assert await said(0, 8, COUNTED | FINAL) == [
        ("admit", 0, 4, 2000), ("admit", 0, 3, 2000), ("admit", 0, 2, 2000), ("admit", 0, 1, 2000), ("admit", 0, 0, 2000),
        ("admit", 2000, 0, 4000), ("admit", 4000, 0, 6000), ("rate", 0, 0, 6000),
    ]  # fmt: skip
    assert await house.state(licence) == (7, 2, 1)
    assert await said(1.5, 1) == [("rate", 0, 0, 4500)]
    assert await said(2.5, 1) == [("admit", 3500, 0, 5500)]
    # The pace has been caught up with.
    assert await said(13, 1) == [("admit", 0, 2, 1000)]
    assert await said(60, 2) == [("admit", 0, 4, 2000), ("admit", 0, 3, 2000)]
    assert await house.state(licence) == (11, 3, 1)


async def test_thirds_of_a_second_are_rounded_up_and_what_floats_lose_is_nothing(house: Gatehouse) -> None:
    await house.licence(calls_per_minute=3, window_seconds=2)
    verdicts = await house.ask(await house.process(), START, *[of_key(flags=COUNTED)] * 4)
    assert [(each.wait_ms, each.remaining, each.reset_ms) for each in verdicts.values()] == [
        (0, 2, 667), (0, 1, 667), (0, 0, 667), (667, 0, 1334),
    ]  # fmt: skip


async def test_slots_are_those_of_processes_that_live(house: Gatehouse) -> None:
    licence = await house.licence(max_concurrent=2, calls_per_minute=100, on_excess="REJECT")
    one, other = await house.process(), await house.process(at(5))
    assert (await house.ask(one, START, of_key()))[1].in_flight == 1
    assert (await house.ask(other, START, of_key()))[1].in_flight == 2
    assert await house.slots(licence) == {one: 1, other: 1}
    full = await house.ask(
        one, at(1), of_key(), of_key(flags=COUNTED | SLOT | FINAL), of_key(flags=COUNTED), of_key(flags=SLOT)
    )
    assert [(each.verdict, each.in_flight) for each in full.values()] == [
        ("concurrent", 2), ("concurrent", 2), ("admit", 2), ("concurrent", 2),
    ]  # fmt: skip
    # Who is refused for that uses up no call.
    assert full[4].remaining == 97
    assert await house.state(licence) == (3, 0, 1)
    # Freed together with the question, by the one who holds it; and when the other's lease ends.
    again = await house.ask(one, at(2), of_key(), of_key(), freed={licence: 1})
    assert [(each.verdict, each.in_flight) for each in again.values()] == [("admit", 2), ("concurrent", 2)]
    assert await house.slots(licence) == {one: 1, other: 1}
    assert (await house.ask(one, at(4.999), of_key()))[1].verdict == "concurrent"
    assert (await house.ask(one, at(5), of_key()))[1].in_flight == 2
    assert await house.slots(licence) == {one: 2, other: 1}


async def test_slots_are_freed_also_where_nobody_asks_and_never_below_none(house: Gatehouse) -> None:
    asked, idle = await house.licence(max_concurrent=9), await house.licence(b"idle", max_concurrent=9)
    one, other = await house.process(), await house.process()
    for process in (one, other):
        await house.ask(process, START, *[of_key()] * 3, *[of_key(b"idle")] * 3)
    # The one who asks beside them is unknown, and counts as no licence.
    verdicts = await house.ask(one, START, of_key(), of_key(b"unknown"), freed={idle: 2, asked: 1})
    assert verdicts[1].in_flight == 6
    assert (await house.slots(asked), await house.slots(idle)) == ({one: 3, other: 3}, {one: 1, other: 3})
    # What is freed of one licence is none of another's.
    verdicts = await house.ask(one, START, of_key(flags=COUNTED), freed={idle: 1})
    assert verdicts[1].in_flight == 6
    assert (await house.slots(asked), await house.slots(idle)) == ({one: 3, other: 3}, {other: 3})
    assert await house.ask(one, START, freed={asked: 7, idle: 7}) == {}
    assert (await house.slots(asked), await house.slots(idle)) == ({other: 3}, {other: 3})
    # Also where somebody asks, and by a process that has none.
    await house.ask(one, START, of_key())
    for process in (one, await house.process()):
        await house.ask(process, START, of_key(flags=COUNTED), freed={asked: 7})
    assert await house.slots(asked) == {other: 3}
    # With a new connection what is held is entered anew, but of a licence that was deleted meanwhile.
    anew = await store.register(house.db, LEASE, [asked, idle, asked, 2**31 - 1])
    assert (await house.slots(asked), await house.slots(idle)) == ({other: 3, anew: 2}, {other: 3, anew: 1})


async def test_a_batch_of_several_licences_is_decided_for_each(house: Gatehouse) -> None:
    first = await house.licence(max_concurrent=2)
    second = await house.licence(b"second", calls_per_minute=1, on_excess="REJECT")
    process = await house.process()
    verdicts = await house.ask(process, START, of_key(b"second"), of_key(), of_key(b"second"), of_key(b"nobody"), of_key())
    assert {n: (each.licence_id, each.verdict, each.in_flight) for n, each in verdicts.items()} == {
        1: (second, "admit", 1), 2: (first, "admit", 1), 3: (second, "rate", 1), 5: (first, "admit", 2),
    }  # fmt: skip
    assert (await house.slots(first), await house.slots(second)) == ({process: 2}, {process: 1})
    freed = await house.ask(process, START, of_key(), of_key(b"second", flags=SLOT), freed={first: 2, second: 1})
    assert [(each.verdict, each.in_flight) for each in freed.values()] == [("admit", 1), ("admit", 1)]
    assert (await house.slots(first), await house.slots(second)) == ({process: 1}, {process: 1})
    assert (await house.state(first), await house.state(second)) == ((3, 0, 0), (1, 0, 0))
    # Beside those that have slots in the process, one that has none yet; each with its own calls.
    third, last = [await house.licence(key, calls_per_minute=9, on_excess="REJECT") for key in (b"third", b"last")]
    await house.ask(process, START, of_key(b"last"), of_key(), of_key(b"third"), of_key(b"third"))
    assert (await house.slots(third), await house.slots(last)) == ({process: 2}, {process: 1})
    calls = "SELECT count(*) FROM tabellion.usage_call WHERE licence_id = %s"
    assert [await house.value(calls, licence) for licence in (second, third, last)] == [1, 2, 1]


async def test_what_was_written_by_a_clock_that_is_put_back_is_as_of_now_and_nothing_else(house: Gatehouse) -> None:
    now = await house.value("SELECT clock_timestamp()")
    limits = {"calls_per_minute": 5, "window_seconds": 10, "max_wait_seconds": 4}
    ahead, calling, waiting = [await house.licence(key, **limits) for key in (b"ahead", b"calling", b"waiting")]
    second = now.timestamp()
    for licence, arrival in ((ahead, second + 3600), (calling, second - 5), (waiting, second + 14)):
        await house.db.execute("INSERT INTO tabellion.usage_state VALUES (%s, %s, '2027-03-02')", (licence, arrival))
    past, hour = now - timedelta(seconds=1), timedelta(hours=1)
    for licence, moment in ((calling, past), (calling, now + hour), (waiting, past)):
        await house.db.execute("INSERT INTO tabellion.usage_call VALUES (%s, %s)", (licence, moment))
    living, killed = await house.process(now + 1.5 * LEASE), await house.process(now + hour)

    assert await store.bring_back(house.db, LEASE) == 2

    async def arrival(licence: int) -> float:
        return await house.value("SELECT arrival FROM tabellion.usage_state WHERE licence_id = %s", licence) - second

    assert (await arrival(calling), await arrival(waiting)) == (-5, 14)
    assert 10 <= await arrival(ahead) < 20
    calls = "SELECT array_agg(at ORDER BY at) FROM tabellion.usage_call WHERE licence_id = %s"
    first, last = await house.value(calls, calling)
    assert (first, await house.value(calls, waiting)) == (past, [past])
    assert now <= last < now + timedelta(seconds=10)
    alive = "SELECT alive_until FROM tabellion.usage_process WHERE id = %s"
    assert await house.value(alive, living) == now + 1.5 * LEASE
    assert now + LEASE <= await house.value(alive, killed) < now + 2 * LEASE


@pytest.mark.parametrize(
    ("zone", "before", "midnight"),
    [("UTC", "2027-03-02T23:59:59", "2027-03-03T00:00:00"), ("Asia/Tokyo", "2027-03-02T14:59:59", "2027-03-02T15:00:00")],
)
async def test_the_days_counters_begin_anew_at_the_licences_midnight(
    zone: str, before: str, midnight: str, house: Gatehouse
) -> None:
    licence = await house.licence(time_zone=zone, calls_per_minute=1, window_seconds=1, max_wait_seconds=1)
    process = await house.process(START + timedelta(days=9))
    late, early = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (before, midnight))
    await house.ask(process, late - timedelta(seconds=30), of_key(flags=COUNTED))
    await house.ask(process, late, *[of_key(flags=COUNTED | FINAL)] * 3)
    assert await house.state(licence) == (3, 1, 1)
    await house.ask(process, early, of_key(flags=SLOT))
    assert await house.state(licence) == (0, 0, 0)
    # A clock that is put back across midnight begins anew as well.
    await house.ask(process, early + timedelta(seconds=9), of_key(flags=COUNTED))
    await house.ask(process, late, of_key(flags=SLOT))
    assert await house.state(licence) == (0, 0, 0)
