"""E-mail addresses are one whatever the case of A to Z: in every way of asking, in order, and by their index."""

import base64
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import psycopg
import pytest

from tabellion.features.audiences.conditions import canonical_key, condition_of
from tabellion.features.audiences.model import Keys, Target
from tabellion.features.profiles.sql import sql_of
from tabellion.features.tables.filters import Condition, Listing, compile_filter, compile_v4_search
from tabellion.features.tables.model import Attribute, Definition, ProfileTable
from tabellion.platform.http.query import Query
from tests.support.postgres import Cluster, database_name

Db = psycopg.AsyncConnection[tuple[Any, ...]]
UTC_ZONE, NOW = ZoneInfo("UTC"), datetime(2027, 3, 1, 12, tzinfo=UTC)


def table_of(*, unique: bool = False) -> ProfileTable:
    email = Attribute(1, "emailAddress", "EMAIL_ADDRESS", "STRING", unique=unique)
    return ProfileTable(2, 900901, 1, "People", 1, Definition(9, (email, Attribute(2, "lastName", "CUSTOM", "STRING"))))


TABLE = table_of()
ADDRESSES = [
    "Ann@Example.com", "ann@example.com", None, "", "ANN@EXAMPLE.COM", "anna@example.com", "Bob@example.com", "bob@Example.com",
    "Éric@example.com", "éric@example.com", "ÉRIC@Example.com", "50%_off@example.com", "Zoe@example.com", None, "a'b@example.com",
]  # fmt: skip


def small(text: str | None) -> str | None:
    """As addresses are compared."""
    return None if text is None else "".join(letter.lower() if letter.isascii() else letter for letter in text)


ROWS = {i: (address, ("Vos", "Bos", None)[i % 3]) for i, address in enumerate(ADDRESSES, 1)}


SCHEMA = (
    "CREATE SCHEMA l900901; CREATE TABLE l900901.p2 (id bigint PRIMARY KEY, created_at timestamptz, updated_at timestamptz, "
    'a1 text COLLATE "C", a2 text COLLATE "C")'
)
INSERT = "INSERT INTO l900901.p2 VALUES (%s, %s, %s, %s, %s)"
FIRST_WITH_LOCALES = 170000


@pytest.fixture(params=["C", "C.UTF-8"], scope="module")
def people_url(request: Any, cluster: Cluster) -> Iterator[str]:
    """The rows in a database in byte order, as ours is, and in one whose `lower()` knows all capitals."""
    name = database_name("addresses")
    with psycopg.connect(cluster.superuser("postgres"), autocommit=True) as admin:
        if admin.info.server_version < FIRST_WITH_LOCALES:
            pytest.skip("PostgreSQL 16 has no locales of its own")
        provider = f"LOCALE_PROVIDER builtin BUILTIN_LOCALE '{request.param}'"
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' {provider}".encode())
    with psycopg.connect(cluster.superuser(name), autocommit=True) as db:
        db.execute(SCHEMA)
        db.cursor().executemany(INSERT, [(i, NOW, NOW, *values) for i, values in ROWS.items()])
    yield cluster.superuser(name)
    cluster.drop(name)


@pytest.fixture
async def people(people_url: str) -> AsyncIterator[Db]:
    """A connection to those rows."""
    async with await psycopg.AsyncConnection.connect(people_url, autocommit=True) as db:
        yield db


async def ids(db: Db, condition: Condition) -> set[int]:
    cursor = await db.execute(f"SELECT t.id FROM l900901.p2 t WHERE {condition.sql}".encode(), condition.params)
    return {row[0] for row in await cursor.fetchall()}


def of(test: Callable[[str], bool]) -> set[int]:
    """Those that have an address, which passes the test."""
    return {i for i, (address, _) in ROWS.items() if address is not None and test(address)}


ANN, BOB, ERIC = "ann@example.com", "bob@example.com", "éric@example.com"
SAYINGS = [
    ("= 'aNN@example.com'", of(lambda a: small(a) == ANN)),
    ("!= 'aNN@example.com'", of(lambda a: small(a) != ANN)),
    ("= 'ÉRIC@EXAMPLE.com'", of(lambda a: small(a) == "Éric@example.com")),
    ("= 'éric@EXAMPLE.com'", of(lambda a: small(a) == ERIC)),
    ("!= 'ÉRIC@EXAMPLE.com'", of(lambda a: small(a) != "Éric@example.com")),
    ("in ('ANN@example.com', 'bob@EXAMPLE.com', 'ÉRIC@x.com')", of(lambda a: small(a) in {ANN, BOB})),
    ("in ('ÉRIC@example.com', 'x@y.com')", of(lambda a: small(a) == "Éric@example.com")),
    ("not in ('ANN@example.com', 'éric@EXAMPLE.com')", of(lambda a: small(a) not in {ANN, ERIC})),
    ("is null", {i for i, (address, _) in ROWS.items() if address is None}),
    ("is not null", of(lambda a: True)),
    ("= ''", of(lambda a: a == "")),
    ("> 'ANNA@example.com'", of(lambda a: (small(a) or "") > "anna@example.com")),
    ("<= 'ANNA@example.com'", of(lambda a: (small(a) or "") <= "anna@example.com")),
    ("startsWith 'AN'", of(lambda a: (small(a) or "").startswith("an"))),
    ("startsWith 'éR'", of(lambda a: a.lower().startswith("ér"))),
    ("startsWith '50%_'", of(lambda a: a.startswith("50%_"))),
    ("startsWith '5_%'", set()),
    ("contains 'NN@EX'", of(lambda a: "nn@ex" in a.lower())),
    ("contains 'Ér'", of(lambda a: "ér" in a.lower())),
]


async def test_a_v5_filter_and_a_target_take_addresses_whatever_their_case(people: Db) -> None:
    for saying, expected in SAYINGS:
        text = f"emailAddress {saying}"
        assert await ids(people, compile_filter(TABLE, text, UTC_ZONE, NOW)) == expected, saying
        assert await ids(people, condition_of(TABLE, Target(filter=text), UTC_ZONE, NOW)) == expected, saying
        assert await ids(people, condition_of(TABLE, Target(exclude=text), UTC_ZONE, NOW)) == set(ROWS) - expected, saying


SEARCHES = [
    ("=aNN@example.com", of(lambda a: small(a) == ANN)),
    ("!=aNN@example.com", of(lambda a: small(a) != ANN)),
    ("=ÉRIC@example.com", of(lambda a: small(a) == "Éric@example.com")),
    (">ANNA@example.com", of(lambda a: (small(a) or "") > "anna@example.com")),
    ("~NN@EX", of(lambda a: "nn@ex" in a.lower())),
    ("~éR", of(lambda a: "ér" in a.lower())),
    ("=", {i for i, (address, _) in ROWS.items() if address is None}),
    ("!=", of(lambda a: True)),
]


async def test_a_v4_search_takes_addresses_whatever_their_case(people: Db) -> None:
    for search, expected in SEARCHES:
        assert await ids(people, compile_v4_search(TABLE, [f"emailAddress{search}"], [], UTC_ZONE)) == expected, search


async def test_keys_of_an_audience_are_addresses_whatever_their_case(people: Db) -> None:
    keys = Keys(("ANN@example.com", "ÉRIC@example.com"), "emailAddress")
    found = await ids(people, condition_of(table_of(unique=True), Target(keys=keys), UTC_ZONE, NOW))
    assert found == of(lambda a: small(a) in {ANN, "Éric@example.com"})
    assert canonical_key(TABLE.attributes[0], "ÉRIC@Example.com", UTC_ZONE) == "Éric@example.com"


async def test_a_profile_is_recognised_by_its_address_whatever_its_case(people: Db) -> None:
    table = table_of(unique=True)
    statement = sql_of(table).find([table.attributes[0]])
    for address in ("ANN@example.com", "ÉRIC@EXAMPLE.com", "éRIC@example.com", "50%_OFF@example.com", "nobody@example.com"):
        rows = await (await people.execute(statement, {"k0": address})).fetchall()
        assert {row[0] for row in rows} == {i for i, (known, _) in ROWS.items() if small(known) == small(address)}, address


async def page(db: Db, listing: Listing) -> list[tuple[int, Any]]:
    """Rows of a list: ids and values of its keys."""
    columns = {"emailAddress": "t.a1", "lastName": "t.a2", "profileId": "t.id"}
    wanted = ", ".join(columns[key.name] for key in listing.keys)
    found: list[tuple[int, Any]] = []
    for part in listing.parts:
        text = f"SELECT t.id, {wanted} FROM l900901.p2 t WHERE {part.condition.sql} ORDER BY {part.order} LIMIT %s"
        cursor = await db.execute(text.encode(), [*part.condition.params, listing.limit - len(found)])
        found += [(row[0], row[1:]) for row in await cursor.fetchall()]
    return found


async def pages(db: Db, sort: str, limit: int, cursor: str = "") -> list[int]:
    seen: list[int] = []
    while True:
        query = Query([("sort", sort), ("limit", str(limit)), ("cursor", cursor)])
        listing = Listing.of(TABLE, query, UTC_ZONE, NOW)
        rows = await page(db, listing)
        seen += [id_ for id_, _ in rows]
        if len(rows) < limit:
            return seen
        cursor = listing.cursor_after(rows[-1][1], rows[-1][0])


def in_order(sort: str, fold: Callable[[str | None], str | None] = small) -> list[int]:
    """The ids as a list has them: stable sorts from the last key to the first, nulls last."""
    order = sorted(ROWS)
    for key in reversed(sort.split(",")):
        place = 0 if key.endswith("emailAddress") else 1
        values = {i: fold(ROWS[i][0]) if place == 0 else ROWS[i][1] for i in ROWS}
        order.sort(key=lambda i: (values[i] or "").encode(), reverse=key.startswith("-"))
        order.sort(key=lambda i: values[i] is None)
    return order


@pytest.mark.parametrize(
    "sort", ["emailAddress", "-emailAddress", "lastName,emailAddress", "-lastName,-emailAddress", "emailAddress,-lastName"]
)
async def test_pages_by_address_show_everybody_once_with_equal_addresses_beside_each_other(people: Db, sort: str) -> None:
    for limit in (1, 2, 3, 100):
        assert await pages(people, sort, limit) == in_order(sort)


@pytest.mark.parametrize("sort", ["emailAddress", "-emailAddress", "lastName,emailAddress"])
async def test_a_cursor_from_when_lists_went_by_how_addresses_are_written_goes_on_in_that_order(
    people: Db, sort: str
) -> None:
    whole = in_order(sort, fold=lambda text: text)
    assert whole != in_order(sort)
    scope = msgspec.json.encode([TABLE.licence_id, TABLE.relation, "", sort, []])
    for place, id_ in enumerate(whole):
        address, name = ROWS[id_]
        values = [name, address] if sort.startswith("last") else [address]
        raw = hashlib.sha256(scope).digest()[:12] + msgspec.json.encode([values, id_])
        cursor = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        assert await pages(people, sort, 4, cursor) == whole[place + 1 :]


async def plan(db: Db, what: str, condition: Condition, order: str = "") -> str:
    text = f"EXPLAIN SELECT {what} FROM l900901.p2 t WHERE {condition.sql} {order}"
    cursor = await db.execute(text.encode(), condition.params)
    return "\n".join(row[0] for row in await cursor.fetchall())


@pytest.fixture
async def many(db: Db) -> Db:
    """Twenty thousand rows with the index that such a table has."""
    await db.execute(SCHEMA)
    await db.execute("CREATE INDEX i2_a1 ON l900901.p2 (lower(a1))")
    await db.execute(
        "INSERT INTO l900901.p2 SELECT n, %s, %s, 'Person' || n / 2 || '@Example.com' FROM generate_series(1, 20000) n",
        (NOW, NOW),
    )
    await db.execute("ANALYZE l900901.p2")
    return db


async def test_the_index_of_addresses_serves_filters(many: Db) -> None:
    for saying in (
        "= 'PERSON77@example.com'", "in ('PERSON77@example.com', 'x@y.com')", "startsWith 'Person77'", "> 'PERSON9998@'",
    ):  # fmt: skip
        condition = compile_filter(TABLE, f"emailAddress {saying}", UTC_ZONE, NOW)
        for order in ("", "ORDER BY t.id LIMIT 101"):
            assert "i2_a1" in await plan(many, "t.a2", condition, order), (saying, order)
        found = await ids(many, condition)
        async with many.transaction(force_rollback=True):
            await many.execute("DROP INDEX l900901.i2_a1")
            assert found == await ids(many, condition) != set()


async def test_the_index_of_addresses_serves_a_v4_search(many: Db) -> None:
    condition = compile_v4_search(TABLE, ["emailAddress=PERSON77@example.com"], [], UTC_ZONE)
    assert "i2_a1" in await plan(many, "t.a2", condition, "ORDER BY t.id LIMIT 100")


@pytest.mark.parametrize("sort", ["emailAddress", "-emailAddress"])
async def test_a_page_by_address_begins_where_the_last_one_ended(many: Db, sort: str) -> None:
    first = Listing.of(TABLE, Query([("sort", sort)]), UTC_ZONE, NOW)
    cursor = first.cursor_after(["Person5000@Example.com"], 10001)
    second = Listing.of(TABLE, Query([("sort", sort), ("cursor", cursor)]), UTC_ZONE, NOW)
    sign = "<=" if sort[0] == "-" else ">="
    for listing, begins in ((first, "IS NOT NULL"), (second, f"{sign} 'person5000@example.com'")):
        valued, empty = listing.parts
        text = await plan(many, "t.a2", valued.condition, f"ORDER BY {valued.order} LIMIT 101")
        assert "Presorted Key: (lower(a1))" in text
        assert f"Index Cond: (lower(a1) {begins}" in text
        assert "Index Cond: (lower(a1) IS NULL)" in await plan(many, "t.a2", empty.condition, "LIMIT 101")
