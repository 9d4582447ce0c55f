"""The short way of a write does what the whole statement does, whoever comes at the same time."""

import asyncio

import pytest

from tabellion.features.profiles.sql import Shape, sql_of
from tabellion.features.tables import Table, find_table
from tests.support.structure import Bench

ANN = "ann@example.com"


async def relation(bench: Bench) -> str:
    return f"l{bench.licence_id}.p{(await bench.read())['id']}"


async def rows(bench: Bench) -> list[tuple[object, ...]]:
    """Address, last name and card of all profiles."""
    cursor = await bench.db.execute(f"SELECT a1, a2, a3 FROM {await relation(bench)} ORDER BY id")
    return await cursor.fetchall()


async def audited(bench: Bench) -> int:
    query = "SELECT count(*) FROM tabellion.audit WHERE licence_id = %s AND route = 'profiles.v5.put'"
    return (await bench.row(query, bench.licence_id))[0]


async def until_somebody_waits(bench: Bench) -> None:
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
        "AND query LIKE '%%guard%%' || %s || '%%'"
    )
    for _ in range(1000):
        if (await bench.row(query, await relation(bench)))[0]:
            return
        await asyncio.sleep(0.005)
    raise AssertionError("nobody waits")


@pytest.mark.parametrize(
    ("meanwhile", "status", "left", "told"),
    [
        ("UPDATE {} SET a3 = 'C-1'", 200, [(ANN, "Peeters", "C-1")], 1),
        ("UPDATE {} SET a2 = 'Peeters'", 200, [(ANN, "Peeters", None)], 0),
        ("UPDATE {} SET a1 = 'x@example.com'", 201, [("x@example.com", "Vos", None), (ANN, "Peeters", None)], 1),
        ("DELETE FROM {}", 201, [(ANN, "Peeters", None)], 1),
    ],
    ids=["another-column", "the-same-value", "the-key", "deletion"],
)
async def test_a_write_that_waited_goes_by_what_it_finds_then(
    meanwhile: str, status: int, left: list[tuple[object, ...]], told: int, guests: Bench
) -> None:
    await guests.profile(ANN)
    before = await audited(guests)
    async with guests.connection() as other, guests.connection() as db:
        body = {"key": {"emailAddress": ANN}, "attributes": {"lastName": "Peeters"}}
        async with other.transaction():
            await other.execute(meanwhile.format(await relation(guests)))
            call = asyncio.create_task(guests.call("profiles.v5.put", body, db=db))
            await until_somebody_waits(guests)
        answer = await call
    assert answer.status == status
    assert await rows(guests) == left
    assert await audited(guests) - before == told


async def test_each_change_is_later_than_the_one_before(guests: Bench) -> None:
    await guests.profile(ANN)
    for change in ({"lastName": "Peeters"}, {"subscriptions": {"Newsletter": True}}):
        future = await guests.row(
            f"UPDATE {await relation(guests)} SET updated_at = now() + interval '1 hour' RETURNING updated_at"
        )
        await guests.profile(ANN, **change)
        assert (await guests.row(f"SELECT updated_at > %s FROM {await relation(guests)}", *future))[0]


@pytest.fixture
async def table(guests: Bench) -> Table:
    incoming = await guests.incoming("profiles.v5.put", {"key": {"emailAddress": ANN}})
    return await find_table(incoming, "hotels", "Guests")


async def test_only_a_plain_change_of_one_row_goes_this_way(table: Table) -> None:
    plain = Shape((1,), False, (1, 2), (), (), (), True, True, False)
    assert sql_of(table).short(plain) is not None
    assert sql_of(table).short(plain._replace(matches=(), by_id=True)) is not None
    for more in (
        plain._replace(matches=(1, 3)),
        plain._replace(by_id=True),
        plain._replace(choices=(1,)),
        plain._replace(may_update=False),
        plain._replace(expected=True),
        plain._replace(values=()),
    ):
        assert sql_of(table).short(more) is None


async def test_where_somebody_listens_the_whole_statement_tells(table: Table) -> None:
    plain = Shape((1,), False, (1, 2), (), (), (), True, True, False)
    assert sql_of(table).short(plain, frozenset({"UPDATE"})) is None
    assert sql_of(table).short(plain, frozenset({"DELETE"})) is not None


async def test_a_deletion_leaves_nothing_of_choices_that_were_made_while_it_waited(guests: Bench) -> None:
    await guests.profile(ANN)
    id_ = (await guests.read("profiles.v5.get", p=f"emailAddress={ANN}"))["profileId"]
    choice = {"key": {"emailAddress": ANN}, "subscriptions": {"Newsletter": True}}
    await guests.call("profiles.v5.put", choice)
    async with guests.connection() as other, guests.connection() as db:
        async with other.transaction():
            await guests.call("profiles.v5.put", choice | {"subscriptions": {"Newsletter": False}}, db=other)
            call = asyncio.create_task(guests.call("profiles.v5.delete", p=str(id_), db=db))
            await until_somebody_waits(guests)
        await call
    assert await rows(guests) == []
    query = f"SELECT count(*) FROM l{guests.licence_id}.consent"
    assert await guests.row(query) == (0,)
