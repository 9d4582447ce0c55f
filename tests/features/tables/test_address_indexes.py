"""The address that mails go to has an index, also where several profiles may have it: made, kept and used."""

from typing import Any

import psycopg
import pytest
from msgspec.structs import replace

from tabellion.features.delivery import reached
from tabellion.features.profiles.sql import sql_of
from tabellion.features.tables import ProfileTable, profile_tables
from tabellion.features.tables.filters import Condition
from tabellion.kit.letters import capitals
from tabellion.platform.database.migrate import migrate
from tabellion.platform.database.schema import load_migrations
from tests.support.structure import Bench, update

PEOPLE: dict[str, Any] = {
    "name": "People",
    "attributes": [
        {"type": "EMAIL_ADDRESS", "name": "emailAddress", "unique": False},
        {"type": "CUSTOM", "name": "number", "valueType": "INTEGER"},
    ],
    "subscriptions": [{"name": "News"}],
}
ADDRESSES = [
    "vos@example.com", "VOS@Example.com", "bos@example.com", "vos@exämple.com", "Vos@EXÄMPLE.com", "vos@xn--exmple-cua.com",
    "ÉLAN@example.com", "élan@Example.com", "elan@example.com", "иван@почта.рф", "ИВАН@Почта.рф", None,
    "великолепныйадрес@почта.рф", "ВЕЛИКОЛЕПНЫЙАДРЕС@почта.рф",
]  # fmt: skip


@pytest.fixture
async def people(bench: Bench) -> ProfileTable:
    """A table in which several may have one address: some who do, and ten thousand others, as nobody has counted them yet."""
    await bench.create(PEOPLE)
    (table,) = await profile_tables.load(bench.db, bench.licence_id)
    insert = f"INSERT INTO {table.schema}.{table.relation} (created_at, updated_at, a1, s3) "
    async with bench.db.cursor() as cursor:
        await cursor.executemany(f"{insert} VALUES (now(), now(), %s, true)".encode(), [(each,) for each in ADDRESSES])
    others = f"{insert} SELECT now(), now(), 'Person' || n / 2 || '@Example.com', true FROM generate_series(1, 10000) n"
    await bench.db.execute(others.encode())
    return table


async def indexes(bench: Bench) -> list[str]:
    """What the indexes of addresses are on."""
    query = (
        "SELECT indexname || ' ' || regexp_replace(indexdef, '.*USING btree ', '') FROM pg_indexes "
        "WHERE schemaname = %s AND indexdef ~ '\\(a1\\)' ORDER BY 1"
    )
    cursor = await bench.db.execute(query, (f"l{bench.licence_id}",))
    return [row[0] for row in await cursor.fetchall()]


async def test_the_index_goes_with_the_attribute(bench: Bench, people: ProfileTable) -> None:
    plain, unique = f"i{people.id}_a1 (lower(a1))", f"u{people.id}_a1 (lower(a1))"
    assert await indexes(bench) == [plain]
    await bench.db.execute(f"DELETE FROM {people.schema}.{people.relation} WHERE id <= 14 OR id % 2 = 0".encode())
    named = {"t": "People"}
    await bench.change(update("emailAddress", unique=True), **named)
    assert await indexes(bench) == [unique]
    await bench.change(update("emailAddress", unique=False, mandatory=False), **named)
    assert await indexes(bench) == [plain]
    # The planner knows at once how many have one address.
    seen = f"SELECT n_distinct FROM pg_stats WHERE schemaname = 'l{bench.licence_id}' AND tablename = 'i{people.id}_a1'"
    assert await (await bench.db.execute(seen.encode())).fetchone() == (-1,)
    await bench.change(update("emailAddress", mandatory=False), **named)
    assert await indexes(bench) == [plain]
    await bench.change({"operation": "removeAttribute", "name": "emailAddress"}, **named)
    assert await indexes(bench) == []
    email = {"type": "EMAIL_ADDRESS", "name": "mail", "unique": False, "mandatory": False}
    await bench.change({"operation": "addAttribute", "attribute": email}, **named)
    (made,) = await profile_tables.load(bench.db, bench.licence_id)
    found = f"SELECT indexdef FROM pg_indexes WHERE schemaname = '{made.schema}' AND indexname = 'i{made.id}_a4'"
    assert (await bench.row(found))[0].endswith("btree (lower(a4))")


def whole(table: ProfileTable, condition: Condition) -> str:
    """The statement by which unsubscribing looks for the others at an address."""
    return f"{sql_of(table).select}t.s3 IS TRUE AND {condition.sql} ORDER BY t.id LIMIT 1000"


@pytest.mark.parametrize(
    ("address", "others"),
    [
        ("vos@example.com", {1, 2}),
        ("VOS@xn--exmple-cua.com", {4, 5, 6}),
        ("éLan@example.com", {7, 8}),
        ("ИВАН@xn--80a1acny.xn--p1ai", {10, 11}),
        ("nobody@example.com", set()),
    ],
)
async def test_whom_an_address_reaches_is_found_by_the_index(
    bench: Bench, people: ProfileTable, address: str, others: set[int]
) -> None:
    condition = reached(people, 500, address)
    rows = await (await bench.db.execute(whole(people, condition).encode(), condition.params)).fetchall()
    assert {row[0] for row in rows} == others | {500}
    for counted in (False, True):
        # Two thousand spellings are looked up where a table is larger than this one.
        await bench.db.execute(f"SET enable_seqscan = {'on' if others != {10, 11} else 'off'}".encode())
        if counted:
            await bench.db.execute(f"ANALYZE {people.schema}.{people.relation}".encode())
        cursor = await bench.db.execute(f"EXPLAIN (ANALYZE) {whole(people, condition)}".encode(), condition.params)
        plan = "\n".join(row[0] for row in await cursor.fetchall())
        assert f"i{people.id}_a1" in plan
        assert "Seq Scan" not in plan
        assert "Rows Removed by Filter: " not in plan


async def test_an_address_with_too_many_spellings_is_found_without_the_index(bench: Bench, people: ProfileTable) -> None:
    condition = reached(people, None, "Великолепныйадрес@xn--80a1acny.xn--p1ai")
    rows = await (await bench.db.execute(whole(people, condition).encode(), condition.params)).fetchall()
    assert {row[0] for row in rows} == {13, 14}
    assert len(condition.params) == 2


def test_a_table_where_addresses_are_unique_is_not_asked(people: ProfileTable) -> None:
    email, *others = people.definition.attributes
    unique = replace(people, definition=replace(people.definition, attributes=(replace(email, unique=True), *others)))
    assert reached(unique, 7, "vos@example.com") == Condition("t.id = %s", (7,))


async def test_the_spellings_are_all_that_the_database_takes_for_one_letter(bench: Bench) -> None:
    query = (
        'SELECT c, tabellion.folded(c) FROM (SELECT chr(n) COLLATE "C" AS c FROM generate_series(128, 65535) n '
        "WHERE n NOT BETWEEN 55296 AND 57343) l WHERE tabellion.folded(c) <> c"
    )
    rows = await (await bench.db.execute(query)).fetchall()
    assert len(rows) > 500
    assert [pair for pair in rows if pair[0] not in capitals().get(pair[1], "")] == []


def test_tables_that_there_are_get_the_index(empty_database_url: str) -> None:
    until = [migration for migration in load_migrations() if migration.version <= 57]
    migrate(empty_database_url, migrations=until[:-1])
    definition = (
        '{"nextNumber": 4, "attributes": [{"number": 2, "name": "n", "type": "CUSTOM", "valueType": "STRING", "unique": false},'
        '{"number": 3, "name": "mail", "type": "EMAIL_ADDRESS", "valueType": "STRING", "unique": %s}]}'
    )
    with psycopg.connect(empty_database_url, autocommit=True) as db:
        licences = "INSERT INTO tabellion.licence (id, name, created_at) OVERRIDING SYSTEM VALUE VALUES "
        db.execute(f"{licences} (7, 'x', now()), (8, 'y', now())".encode())
        entities = "INSERT INTO tabellion.entity (id, licence_id, name, created_at) OVERRIDING SYSTEM VALUE VALUES "
        db.execute(f"{entities} (5, 7, 'x', now()), (6, 8, 'y', now())".encode())
        for licence, entity, id_, unique, rows in ((7, 5, 1, "true", 9), (7, 5, 2, "false", 1000), (8, 6, 3, "false", 0)):
            db.execute(
                "INSERT INTO tabellion.profile_table (id, licence_id, entity_id, name, definition, created_at) "
                "OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s, %s, %s::jsonb, now())",
                (id_, licence, entity, f"t{id_}", definition % unique),
            )
            db.execute(
                f"CREATE SCHEMA IF NOT EXISTS l{licence}; CREATE TABLE l{licence}.p{id_} (id bigint, a2 text, a3 text)".encode()
            )
            db.execute(
                f"INSERT INTO l{licence}.p{id_} SELECT n, 'x', n || '@x.com' FROM generate_series(1, {rows}) n".encode()
            )
        migrate(empty_database_url, migrations=until)
        found = db.execute(
            "SELECT schemaname, indexname, substring(indexdef FROM '[(].*') FROM pg_indexes "
            "WHERE schemaname IN ('l7', 'l8') AND tablename ~ '^p[0-9]' ORDER BY 1, 2"
        ).fetchall()
        assert found == [("l7", "i2_a3", "(lower(a3))"), ("l8", "i3_a3", "(lower(a3))")]
        told = db.execute("SELECT n_distinct FROM pg_stats WHERE schemaname = 'l7' AND tablename = 'i2_a3'").fetchone()
        assert told == (-1,)
