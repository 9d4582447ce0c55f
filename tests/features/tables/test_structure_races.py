"""Structure changes among others: whoever comes at the same time, and whatever dies, catalogue and table stay together."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from tabellion.kit.problem import Problem
from tests.support.structure import Bench, Connection, attribute


async def relation(bench: Bench) -> str:
    return f"l{bench.licence_id}.p{(await bench.read())['id']}"


@asynccontextmanager
async def held(bench: Bench, statement: str) -> AsyncIterator[Connection]:
    """Another session's transaction, open after a statement."""
    async with bench.connection() as db, db.transaction(force_rollback=True):
        await db.execute(statement)
        yield db


async def until_waiting(bench: Bench, query: str) -> int:
    """Wait until a session of the licence's database waits for a lock in a statement like this one; its process id."""
    for _ in range(1000):
        cursor = await bench.db.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
            "AND query LIKE %s",
            (query,),
        )
        if row := await cursor.fetchone():
            return row[0]
        await asyncio.sleep(0.005)
    raise AssertionError(f"nobody waits in {query}")


async def test_concurrent_changes_follow_one_another_and_none_is_lost(guests: Bench) -> None:
    async def add(name: str) -> int:
        async with guests.connection() as db:
            return (await guests.change(attribute(name), db=db)).status

    names = [f"n{i}" for i in range(12)]
    assert await asyncio.gather(*map(add, names)) == [200] * 12

    attributes = (await guests.read("structure.v4.get"))["attributes"]
    assert set(names) <= set(attributes)
    version, columns = await guests.row(
        "SELECT version, (SELECT count(*) FROM information_schema.columns c WHERE c.table_schema = %s "
        "AND c.table_name = 'p' || t.id) FROM tabellion.profile_table t WHERE licence_id = %s",
        f"l{guests.licence_id}",
        guests.licence_id,
    )
    # id, two moments, two subscriptions of four columns, two segmentations.
    assert (version, columns) == (13, 3 + len(attributes) + 8 + 2)


@pytest.mark.parametrize(
    "operation", [attribute("same"), {"operation": "rename", "name": "Same"}], ids=["attribute", "table"]
)
async def test_of_two_who_want_the_same_name_one_gets_it(guests: Bench, operation: dict[str, Any]) -> None:
    await guests.create({"name": "Staff", "attributes": []})

    async def change(table: str) -> str:
        async with guests.connection() as db:
            try:
                await guests.change(operation, db=db, t=table)
            except Problem as refusal:
                return refusal.code
            return "changed"

    tables = ("Guests", "Staff") if operation["operation"] == "rename" else ("Guests", "Guests")
    outcomes = await asyncio.gather(*map(change, tables))

    loser = "name.used" if operation["operation"] == "rename" else "structure.nameTaken"
    assert sorted(outcomes) == sorted(["changed", loser])


async def test_two_creations_of_one_name_make_one_table(bench: Bench) -> None:
    async def create(_: int) -> str:
        async with bench.connection() as db:
            try:
                await bench.create({"name": "Guests", "attributes": []}, db=db)
            except Problem as refusal:
                return refusal.code
            return "made"

    outcomes = await asyncio.gather(*map(create, range(4)))

    assert sorted(outcomes) == ["made", *["name.used"] * 3]
    assert len((await bench.read("structure.v5.list"))["profileTables"]) == 1


async def test_a_change_that_cannot_get_its_lock_gives_up_and_changes_nothing(guests: Bench) -> None:
    before = await guests.physical()

    async with held(guests, f"SELECT count(*) FROM {await relation(guests)}"), guests.connection() as db:
        with pytest.raises(Problem) as refusal:
            await guests.change(attribute("room"), db=db)
        assert (refusal.value.status, refusal.value.code) == (503, "unavailable")
        assert int(refusal.value.headers["Retry-After"]) > 0
        assert "nothing was changed" in refusal.value.message
        with pytest.raises(Problem) as refusal:
            await guests.call("structure.v5.delete", db=db)
        assert refusal.value.code == "unavailable"
        # The connection goes back to the pool as it was.
        cursor = await db.execute("SHOW lock_timeout")
        assert await cursor.fetchone() == ("5s",)

    assert await guests.physical() == before
    assert (await guests.change(attribute("room"))).status == 200


async def test_checks_and_unique_indexes_do_not_wait_for_readers(guests: Bench) -> None:
    async with held(guests, f"SELECT count(*) FROM {await relation(guests)}"), guests.connection() as db:
        answer = await guests.change(
            {
                "operation": "updateAttribute",
                "name": "lastName",
                "changes": {"unique": True, "valueRestriction": {"maxLength": 9}},
            },
            {"operation": "rename", "name": "Visitors"},
            db=db,
        )
        assert answer.status == 200


async def test_a_change_that_waits_on_the_catalogue_gives_up_as_well(guests: Bench) -> None:
    table_id = (await guests.read())["id"]
    lock = f"SELECT FROM tabellion.profile_table WHERE id = {int(table_id)} FOR UPDATE"

    async with held(guests, lock), guests.connection() as db:
        with pytest.raises(Problem) as refusal:
            await guests.change(attribute("room"), db=db)

    assert refusal.value.code == "unavailable"


@pytest.mark.parametrize("blocked", ["change", "delete", "create"])
async def test_a_session_killed_in_the_middle_leaves_everything_as_it_was(guests: Bench, blocked: str) -> None:
    before = await guests.physical()
    # Every structure call waits here in its last statement but one: columns, indexes and catalogue are done by then.
    lock = f"SELECT FROM tabellion.licence WHERE id = {guests.licence_id} FOR NO KEY UPDATE"

    async with held(guests, lock), guests.connection() as db:
        calls = {
            "change": lambda: guests.change(attribute("room", unique=True), {"operation": "removeAttribute", "name": "lastName"}, db=db),
            "delete": lambda: guests.call("structure.v5.delete", db=db),
            "create": lambda: guests.create({"name": "Staff", "attributes": [{"name": "x", "valueType": "LONG"}]}, db=db),
        }  # fmt: skip
        task = asyncio.ensure_future(calls[blocked]())
        pid = await until_waiting(guests, "UPDATE tabellion.licence%")
        await guests.db.execute("SELECT pg_terminate_backend(%s)", (pid,))
        with pytest.raises(psycopg.OperationalError):
            await task

    assert await guests.physical() == before


async def test_a_cancelled_call_leaves_everything_as_it_was(guests: Bench) -> None:
    before = await guests.physical()
    lock = f"SELECT FROM tabellion.licence WHERE id = {guests.licence_id} FOR UPDATE"

    async with held(guests, lock), guests.connection() as db:
        task = asyncio.ensure_future(guests.change(attribute("room"), db=db))
        await until_waiting(guests, "UPDATE tabellion.licence%")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert await guests.physical() == before


@asynccontextmanager
async def overtaken(bench: Bench, call: Awaitable[Any], change: Awaitable[Any]) -> AsyncIterator[Any]:
    """A call that came while a change was under way: it waits for the table, and goes on when the change is committed."""
    async with bench.connection() as holder:
        async with holder.transaction():
            await holder.execute("SELECT FROM tabellion.licence WHERE id = %s FOR NO KEY UPDATE", (bench.licence_id,))
            changing = asyncio.ensure_future(change)
            await until_waiting(bench, "UPDATE tabellion.licence%")
            calling = asyncio.ensure_future(call)
            await until_waiting(bench, f"%l{bench.licence_id}.p%")
        await changing
        yield calling


async def test_a_write_that_waited_for_a_change_is_judged_by_the_new_structure(guests: Bench) -> None:
    restriction = {"acceptedValues": ["Maes"]}
    operation = {"operation": "updateAttribute", "name": "lastName", "changes": {"valueRestriction": restriction}}
    body = {"key": {"emailAddress": "late@example.com"}, "attributes": {"lastName": "Vos"}}

    async with guests.connection() as first, guests.connection() as second:
        write, change = guests.call("profiles.v5.put", body, db=second), guests.change(operation, db=first)
        async with overtaken(guests, write, change) as writing:
            with pytest.raises(Problem) as refusal:
                await writing

    assert refusal.value.code == "attribute.value"
    assert await guests.row(f"SELECT count(*) FROM {await relation(guests)}") == (0,)


async def test_a_write_to_a_column_that_is_going_is_judged_by_the_new_structure(guests: Bench) -> None:
    operation = {"operation": "removeAttribute", "name": "points"}
    body = {"key": {"emailAddress": "late@example.com"}, "attributes": {"lastName": "Vos", "points": 3}}

    async with guests.connection() as first, guests.connection() as second:
        write, change = guests.call("profiles.v5.put", body, db=second), guests.change(operation, db=first)
        async with overtaken(guests, write, change) as writing:
            with pytest.raises(Problem) as refusal:
                await writing

    assert refusal.value.code == "attribute.unknown"


async def test_a_read_of_a_column_that_is_going_is_answered_by_the_new_structure(guests: Bench) -> None:
    await guests.profile("ann@example.com", points=3)
    operation = {"operation": "removeAttribute", "name": "points"}

    async with guests.connection() as first, guests.connection() as second:
        read = guests.read("profiles.v5.get", db=second, p="emailAddress=ann@example.com")
        async with overtaken(guests, read, guests.change(operation, db=first)) as reading:
            profile = await reading

    assert "points" not in profile["attributes"]
    assert profile["attributes"]["lastName"] == "Vos"


async def test_a_call_that_cannot_go_on_by_the_new_structure_is_to_be_repeated(guests: Bench) -> None:
    await guests.call("audiences.v5.create", {"name": "Rich", "targetTable": "Guests", "filter": "points > 3"})
    operation = {"operation": "removeAttribute", "name": "points"}

    async with guests.connection() as first, guests.connection() as second:
        sample = guests.call("audiences.v5.sample", db=second, audience="Rich")
        async with overtaken(guests, sample, guests.change(operation, db=first)) as sampling:
            with pytest.raises(Problem) as refusal:
                await sampling

    assert (refusal.value.status, refusal.value.code) == (503, "unavailable")


async def test_a_write_to_a_table_that_is_going_finds_no_table(guests: Bench) -> None:
    body = {"key": {"emailAddress": "late@example.com"}, "attributes": {"lastName": "Vos"}}

    async with guests.connection() as first, guests.connection() as second:
        write, delete = guests.call("profiles.v5.put", body, db=second), guests.call("structure.v5.delete", db=first)
        async with overtaken(guests, write, delete) as writing:
            with pytest.raises(Problem) as refusal:
                await writing

    assert (refusal.value.status, refusal.value.code) == (404, "table.unknown")


async def test_a_change_waits_for_writes_under_way_and_sees_their_rows(guests: Bench) -> None:
    table = await relation(guests)
    async with guests.connection() as first, guests.connection() as writer:
        async with writer.transaction():
            await writer.execute(f"INSERT INTO {table} (created_at, updated_at, a1) VALUES (now(), now(), 'x@example.com')")
            changing = asyncio.ensure_future(guests.change(attribute("needed", mandatory=True), db=first))
            await until_waiting(guests, "LOCK TABLE%")
        with pytest.raises(Problem) as refusal:
            await changing

    assert refusal.value.code == "structure.dataConflict"
