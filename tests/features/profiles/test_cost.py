"""A budget, not a wish: a read costs the gate and one statement, a write the gate and one, or two where it has a short way in vain."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import psycopg
import pytest

from tabellion.features import licences as use
from tabellion.features.profiles.endpoints import CALLS as PROFILE_CALLS
from tabellion.features.profiles.news import EVENT_TYPES
from tabellion.features.profiles.sql import Shape, sql_of
from tabellion.features.tables import tables_of_licence
from tabellion.features.tables.endpoints import CALLS as TABLE_CALLS
from tabellion.kit.clock import utc_now
from tabellion.kit.problem import Invalid
from tabellion.platform import outbox
from tabellion.platform.database.pool import Pool
from tabellion.platform.http import shapes
from tabellion.platform.http.call import Answer, Incoming
from tabellion.platform.http.caller import Caller, EntityRef
from tabellion.platform.http.query import Query
from tests.support.tenant import ANN, TABLE

CALLS = {call.id: call for call in (*PROFILE_CALLS, *TABLE_CALLS)}


class CountingCursor(psycopg.AsyncCursor[Any]):
    """Counts what the server is asked."""

    statements = 0

    async def execute(self, *args: Any, **options: Any) -> Any:
        CountingCursor.statements += 1
        return await super().execute(*args, **options)


class Bench:
    """Runs handlers on a counting connection, as the pipeline does."""

    def __init__(self, db: psycopg.AsyncConnection[Any], caller: Caller) -> None:
        self.db = db
        self.caller = caller

    async def run(self, call_id: str, body: Any = None, **path: str) -> tuple[Answer, int]:
        """The answer and the number of statements."""
        call = CALLS[call_id]
        document = None if body is None else shapes.reader(call.body).read(body)[0]
        CountingCursor.statements = 0
        names = {"e": "hotels", "t": "Guests", **path}
        incoming = Incoming(call, self.caller, names, {}, Query([]), {}, document, self.db, utc_now(), "TEST")
        answer = await call.handler(incoming)
        return answer, CountingCursor.statements

    def hear(self, version: int) -> None:
        """The gate tells of a newer catalogue."""
        self.caller = msgspec.structs.replace(self.caller, catalogue_version=version)


@pytest.fixture
async def bench(database_url: str, pool: Pool) -> AsyncIterator[Bench]:
    async with pool.connection() as db:
        now = datetime.now(UTC)
        licence = await use.create_licence(db, "harbour", now, preset="unlimited")
        entity = await use.create_entity(db, "harbour", "hotels", now)
        await use.create_user(db, "harbour", "website", now)
    rights = dict.fromkeys(use.MODULES, "rw")
    caller = Caller(
        licence.id, "harbour", ZoneInfo("UTC"), 1, "website", rights, (EntityRef(entity.id, "hotels"),), frozenset(), 1, 1
    )
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True, cursor_factory=CountingCursor) as db:
        bench = Bench(db, caller)
        await bench.run("structure.v5.create", TABLE)
        bench.hear(100)
        await bench.run("profiles.v5.put", ANN)
        yield bench


@pytest.mark.parametrize("reference", ["emailAddress=ann@example.com", "1", "profileId=1"])
async def test_a_read_is_one_statement(reference: str, bench: Bench) -> None:
    assert (await bench.run("profiles.v4.get", p=reference))[1] == 1
    assert (await bench.run("profiles.v5.get", p=reference))[1] == 1


async def test_a_write_is_one_statement(bench: Bench) -> None:
    body = {
        "attributes": [{"name": "emailAddress", "value": "new@example.com"}, {"name": "lastName", "value": "New"}],
        "subscriptions": [{"name": "Newsletter", "subscribe": True}],
        "segmentations": [{"name": "Loyalty", "category": "Gold"}],
    }
    created, first = await bench.run("profiles.v4.save", body)
    updated, second = await bench.run("profiles.v4.save", body)
    assert (created.status, updated.status, first, second) == (201, 200, 1, 1)
    assert (await bench.run("profiles.v5.patch", {"attributes": {"points": 1}}, p="1"))[1] == 1
    assert (await bench.run("profiles.v4.delete", p="1"))[1] == 1


async def test_a_plain_write_is_one_statement_for_a_known_profile_and_two_for_a_new_one(bench: Bench) -> None:
    by_key: dict[str, Any] = {"key": {"emailAddress": "x@example.com"}, "attributes": {"lastName": "X"}}
    created, first = await bench.run("profiles.v5.put", by_key)
    unchanged, second = await bench.run("profiles.v5.put", by_key)
    by_key["attributes"] = {"lastName": "Y"}
    updated, third = await bench.run("profiles.v5.put", by_key)
    assert (created.status, unchanged.status, updated.status) == (201, 200, 200)
    assert (first, second, third) == (2, 1, 1)


async def test_an_equal_row_of_an_old_definition_is_no_answer(bench: Bench) -> None:
    golden, royal = (ANN | {"segmentations": {"Loyalty": name}} for name in ("Gold", "Royal"))

    async def rename(old: str, new: str) -> None:
        renamed = {"operation": "updateSegmentation", "name": "Loyalty", "changes": {"renameCategories": {old: new}}}
        await bench.run("structure.v5.change", {"operations": [renamed]})

    assert (await bench.run("profiles.v5.put", golden))[0].status == 200
    await rename("Gold", "Royal")
    # This process has not heard of it, and the profile is in the category that was called Gold.
    with pytest.raises(Invalid, match="Royal"):
        await bench.run("profiles.v5.put", golden)
    # Nor is a row changed or deleted by an old definition, before another one is read.
    await rename("Royal", "Noble")
    with pytest.raises(Invalid, match="Noble"):
        await bench.run("profiles.v5.put", royal | {"subscriptions": {"Newsletter": True}})
    assert (await bench.run("profiles.v5.get", p="1"))[0].body.subscriptions["Newsletter"] is None
    await rename("Noble", "Gold")
    assert (await bench.run("profiles.v5.delete", p="1"))[0].status == 204


async def test_a_write_that_somebody_listens_to_is_still_one_statement(bench: Bench) -> None:
    table_id = (await (await bench.db.execute("SELECT id FROM tabellion.profile_table")).fetchone() or (0,))[0]
    wanted = [outbox.Interest("PROFILE_TABLE", str(table_id), type_) for type_ in EVENT_TYPES]
    await outbox.declare(bench.db, bench.caller.licence_id, wanted)
    bench.hear(101)
    by_key = {
        "key": {"emailAddress": "x@example.com"},
        "attributes": {"lastName": "X"},
        "subscriptions": {"Newsletter": True},
    }
    await bench.run("profiles.v5.put", by_key)
    by_key["attributes"] = {"lastName": "Y"}
    assert (await bench.run("profiles.v5.put", by_key))[1] == 1
    assert (await bench.run("profiles.v4.delete", p="1"))[1] == 1
    cursor = await bench.db.execute("SELECT array_agg(event_type ORDER BY id) FROM tabellion.outbox_event")
    assert await cursor.fetchone() == (["CREATE", "UPDATED_SUBSCRIPTION", "UPDATE", "DELETE"],)


async def test_a_write_that_nobody_listens_to_is_the_statement_it_was(bench: Bench) -> None:
    (table,) = await tables_of_licence(bench.db, bench.caller.licence_id, 100)
    shape = Shape((1,), False, (1, 2), (), (), (), True, True, False)
    silent = sql_of(table).write(shape)
    assert b"outbox" not in silent
    assert sql_of(table).write(shape, frozenset({"DELETE", "UPDATED_SEGMENT"})) == silent
    assert b"outbox" in sql_of(table).write(shape, frozenset({"UPDATE"}))


async def test_a_structure_in_the_cache_costs_nothing(bench: Bench) -> None:
    await bench.run("structure.v5.get")
    assert (await bench.run("structure.v5.get"))[1] == 0


async def test_the_catalogue_version_of_the_gate_makes_a_structure_known(bench: Bench) -> None:
    operation = {"operation": "addSubscription", "subscription": {"name": "Events"}}
    await bench.run("structure.v5.change", {"operations": [operation]})
    bench.hear(101)
    answer, statements = await bench.run("structure.v5.get")
    assert "Events" in [s.name for s in answer.body.subscriptions]
    assert statements == 1


async def test_a_write_with_an_old_definition_is_repeated_with_the_new_one(bench: Bench) -> None:
    # This process has not heard of the change: its write finds that out in the statement itself.
    attribute = {"name": "needed", "valueType": "STRING", "mandatory": True, "defaultValue": "x"}
    await bench.run("structure.v5.change", {"operations": [{"operation": "addAttribute", "attribute": attribute}]})
    with pytest.raises(Invalid, match="needed"):
        await bench.run("profiles.v5.put", {"key": {"emailAddress": "late@example.com"}, "attributes": {"lastName": "Late"}})
