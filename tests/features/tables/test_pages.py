"""Pages of a list: each row once and in order, cursors, limits; the indexes that serve them and filters."""

import re
from typing import Any

import pytest

from tabellion.features.tables.filters import Listing, compile_v4_search, row_limit
from tabellion.features.tables.filters.compile import Compiler
from tabellion.features.tables.filters.grammar import parse
from tabellion.kit.problem import Problem
from tabellion.platform.http.query import Query
from tests.features.tables.conftest import NOW, TABLE, UTC_ZONE


@pytest.mark.parametrize(
    "sort",
    [
        "",
        "lastName",
        "-lastName,points",
        "born,-points,lastName",
        "-updateMoment",
        "member,-born",
        "updateMoment,points",
        "-profileId",
        "profileId,lastName",
        "lastName,-profileId,points",
        "points",
        "-points",
        "-points,lastName,-points",
    ],
)
@pytest.mark.parametrize("limit", [7, 100])
async def test_pages_show_every_row_once_and_in_order(sort: str, limit: int, rows) -> None:
    names = {
        "lastName": "a2", "points": "a3", "born": "a5", "member": "a4", "updateMoment": "updated_at", "profileId": "id",
    }  # fmt: skip
    keys = [part for part in sort.split(",") if part]
    seen: list[int] = []
    cursor = ""
    while True:
        listing = Listing.of(TABLE, Query([("sort", sort), ("limit", str(limit)), ("cursor", cursor)]), UTC_ZONE, NOW)
        columns = ", ".join(["t.id", *(f"t.{names[k.lstrip('-')]}" for k in keys)])
        found = []
        for part in listing.parts:
            text = f"SELECT {columns} FROM l900900.p1 t WHERE {part.condition.sql} ORDER BY {part.order} LIMIT %s"
            values = (*part.condition.params, listing.limit - len(found))
            found += await (await rows.execute(text.encode(), values)).fetchall()
        seen += [row[0] for row in found]
        if len(found) < listing.limit:
            break
        cursor = listing.cursor_after(found[-1][1:], found[-1][0])
    order = ", ".join([*(f"{names[k.lstrip('-')]} {'DESC' if k[0] == '-' else 'ASC'} NULLS LAST" for k in keys), "id"])
    whole = await (await rows.execute(f"SELECT id FROM l900900.p1 ORDER BY {order}".encode())).fetchall()
    assert seen == [row[0] for row in whole]


@pytest.fixture
async def indexed(rows):
    """The rows with the indexes that a table has, and one that a custom table may have; no other way than these is liked."""
    await rows.execute("CREATE UNIQUE INDEX ON l900900.p1 (lower(a1))")
    await rows.execute("CREATE INDEX ON l900900.p1 (a3)")
    await rows.execute("CREATE INDEX ON l900900.p1 USING brin (created_at, updated_at) WITH (pages_per_range = 1)")
    await rows.execute("SET LOCAL enable_seqscan = off")
    return rows


async def _plan(db, what: str, condition, order: str = "") -> str:
    cursor = await db.execute(
        f"EXPLAIN SELECT {what} FROM l900900.p1 t WHERE {condition.sql} {order}".encode(), condition.params
    )
    return "\n".join(row[0] for row in await cursor.fetchall())


@pytest.mark.parametrize(
    "text",
    [
        'emailAddress = "user3@example.com"',
        'emailAddress in ("user3@example.com", "user5@example.com")',
        "points in (4, 5)",
        "points > 4",
        "profileId in (3, 5)",
        "profileId >= 3",
        "updateMoment >= now(-1h)",
        "creationMoment < 2020-01-01 and points = 5",
    ],
)
async def test_an_index_serves_a_comparison(text: str, indexed) -> None:
    condition = Compiler(TABLE, UTC_ZONE, NOW).compile(parse(text))
    assert "Index Cond" in await _plan(indexed, "count(*)", condition)


@pytest.mark.parametrize("search", ["updateMoment>=2027-03-01", "updateMoment<2020-01-01"])
async def test_an_index_serves_a_date_filter(search: str, indexed) -> None:
    assert "Index Cond" in await _plan(indexed, "count(*)", compile_v4_search(TABLE, [], [search], UTC_ZONE))


async def test_the_newest_profiles_come_without_sorting_all(indexed) -> None:
    listing = Listing.of(TABLE, Query([("sort", "-profileId"), ("limit", "7")]), UTC_ZONE, NOW)
    (part,) = listing.parts
    plan = await _plan(indexed, "t.a2", part.condition, f"ORDER BY {part.order} LIMIT 7")
    assert "Sort" not in plan


@pytest.mark.parametrize("sort", ["points", "-points"])
async def test_a_page_by_an_indexed_attribute_begins_where_the_last_one_ended(sort: str, indexed) -> None:
    await indexed.execute("UPDATE l900900.p1 SET a3 = id WHERE a3 IS NOT NULL")
    await indexed.execute("ANALYZE l900900.p1")
    first = Listing.of(TABLE, Query([("sort", sort)]), UTC_ZONE, NOW)
    second = Listing.of(TABLE, Query([("sort", sort), ("cursor", first.cursor_after([150], 150))]), UTC_ZONE, NOW)
    for listing, begins in ((first, r"\(a3 IS NOT NULL\)"), (second, r"\(a3 [<>]= 150\)")):
        valued, empty = listing.parts
        plan = await _plan(indexed, "t.a2", valued.condition, f"ORDER BY {valued.order} LIMIT 7")
        assert "Presorted Key" in plan
        assert re.search(f"Index Cond: {begins}", plan)
        assert "Index Cond: (a3 IS NULL)" in await _plan(indexed, "count(*)", empty.condition)
    last = Query([("sort", sort), ("cursor", first.cursor_after([None], 3))])
    assert len(Listing.of(TABLE, last, UTC_ZONE, NOW).parts) == 1


def test_a_cursor_of_another_list_is_refused() -> None:
    one = Listing.of(TABLE, Query([("sort", "lastName")]), UTC_ZONE, NOW).cursor_after(["Vos"], 3)
    for query in (
        [("sort", "points"), ("cursor", one)],
        [("sort", "lastName"), ("filter", "points = 5"), ("cursor", one)],
        [("sort", "lastName"), ("cursor", one[:-3])],
        [("cursor", "x" * 40)],
        [("cursor", "\u00e9")],
    ):
        with pytest.raises(Problem) as refusal:
            Listing.of(TABLE, Query(query), UTC_ZONE, NOW)
        assert refusal.value.code == "cursor.invalid"


@pytest.mark.parametrize(
    ("sort", "value"),
    [
        ("points", 2**40),
        ("points", 1.5),
        ("profileId", -(2**70)),
        ("lastName", "a\x00"),
        ("lastName", 1),
        ("born", ""),
        ("member", "x"),
        ("updateMoment", "x"),
    ],
)
def test_a_cursor_that_was_altered_is_refused(sort: str, value: Any) -> None:
    made = Listing.of(TABLE, Query([("sort", sort)]), UTC_ZONE, NOW).cursor_after([value], 3)
    with pytest.raises(Problem) as refusal:
        Listing.of(TABLE, Query([("sort", sort), ("cursor", made)]), UTC_ZONE, NOW)
    assert refusal.value.code == "cursor.invalid"


@pytest.mark.parametrize(("text", "expected"), [(None, 100), ("", 100), ("5", 5), ("1001", 1000), ("9" * 30, 1000)])
def test_row_limits(text: str | None, expected: int) -> None:
    assert row_limit(text, "number") == expected


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "\u0661"])
def test_wrong_row_limits(text: str) -> None:
    with pytest.raises(Problem):
        row_limit(text, "number")
