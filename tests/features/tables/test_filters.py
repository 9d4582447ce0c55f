"""The query languages: their meaning on real PostgreSQL against a plain Python reading of the same rows."""

import itertools
import re
import time
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabellion.features.tables.filters import Listing, compile_v4_search, parse_reference, row_limit
from tabellion.features.tables.filters.compile import Compiler
from tabellion.features.tables.filters.grammar import parse
from tabellion.features.tables.model import Attribute, Category, Definition, ProfileTable, Segmentation, Subscription
from tabellion.kit.problem import Problem
from tabellion.platform.http.query import Query

UTC_ZONE = ZoneInfo("UTC")
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
TABLE = ProfileTable(
    1,
    9,
    1,
    "Guests",
    1,
    Definition(
        20,
        (
            Attribute(1, "emailAddress", "EMAIL_ADDRESS", "STRING", unique=True),
            Attribute(2, "lastName", "CUSTOM", "STRING"),
            Attribute(3, "points", "CUSTOM", "INTEGER", indexed=True),
            Attribute(4, "member", "CUSTOM", "BOOLEAN"),
            Attribute(5, "born", "CUSTOM", "DATE"),
            Attribute(6, "interests", "CUSTOM", "STRING", multi_valued=True),
        ),
        (Subscription(7, "Weekly offers", "Weekly offers"),),
        (
            Segmentation(8, "Vip", "SIMPLE"),
            Segmentation(9, "Loyalty", "EXCLUSIVE", (Category(10, "Silver"), Category(11, "Gold"))),
        ),
    ),
)

NAMES = [
    None,
    "",
    "Vos",
    "vos",
    "De Vos",
    "50%_off",
    'a"b% \\c',
    "Éric ÅSTRÖM",
    "éric åström",
    "Strauß",
    "Μεγάλη οδος",
    "ΟΔΟΣ",
    "Σεισμος",
]
ROWS: list[dict[str, Any]] = [
    {
        "id": i + 1,
        "a1": f"{'ÉRIC' if i == 4 else 'user'}{i}@Example.com",
        "a2": name,
        "a3": points,
        "a4": flag,
        "a5": born,
        "a6": many,
        "s7": flag,
        "g8": True if points else None,
        "g9": 10 + (i % 2) if i % 3 else None,
    }
    for i, (name, points, flag, born, many) in enumerate(
        itertools.product(
            NAMES, [None, -1, 5], [None, True, False], [None, date(1984, 5, 12)], [None, ["SPA"], ["SPA", "GOLF"]]
        )
    )
]


@pytest.fixture
async def rows(db):
    await db.execute("CREATE SCHEMA l900900")
    await db.execute(
        'CREATE TABLE l900900.p1 (id bigint PRIMARY KEY, created_at timestamptz, updated_at timestamptz, a1 text COLLATE "C", '
        'a2 text COLLATE "C", a3 integer, a4 boolean, a5 date, a6 text[], s7 boolean, g8 boolean, g9 integer)'
    )
    async with db.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO l900900.p1 VALUES (%(id)s, %(at)s, %(at)s, %(a1)s, %(a2)s, %(a3)s, %(a4)s, %(a5)s, %(a6)s, "
            "%(s7)s, %(g8)s, %(g9)s)",
            [{**row, "at": NOW - timedelta(days=row["id"])} for row in ROWS],
        )
    return db


async def _ids(db, text: str) -> set[int]:
    condition = Compiler(TABLE, UTC_ZONE, NOW).compile(parse(text))
    cursor = await db.execute(f"SELECT t.id FROM l900900.p1 t WHERE {condition.sql}".encode(), condition.params)
    return {row[0] for row in await cursor.fetchall()}


def _expected(test) -> set[int]:
    return {row["id"] for row in ROWS if test(row)}


MEANINGS = [
    ('lastName = "Vos"', lambda r: r["a2"] == "Vos"),
    ('lastName != "Vos"', lambda r: r["a2"] is not None and r["a2"] != "Vos"),
    ('not lastName = "Vos"', lambda r: r["a2"] != "Vos"),
    ('not lastName != "Vos"', lambda r: r["a2"] is None or r["a2"] == "Vos"),
    ("lastName = ''", lambda r: r["a2"] == ""),
    ("lastName is null", lambda r: r["a2"] is None),
    ("lastName is not null", lambda r: r["a2"] is not None),
    ('lastName contains "VOS"', lambda r: r["a2"] is not None and "vos" in r["a2"].lower()),
    ('not lastName contains "VOS"', lambda r: r["a2"] is None or "vos" not in r["a2"].lower()),
    ('lastName startsWith "de "', lambda r: r["a2"] is not None and r["a2"].lower().startswith("de ")),
    ('lastName contains "ÅstR"', lambda r: r["a2"] is not None and "åstr" in r["a2"].lower()),
    ('lastName startsWith "é"', lambda r: r["a2"] is not None and r["a2"].lower().startswith("é")),
    ('lastName contains "AUß"', lambda r: r["a2"] == "Strauß"),
    # Greek, with its two small letters for one capital.
    ('lastName contains "ΟΔΟΣ"', lambda r: r["a2"] in {"Μεγάλη οδος", "ΟΔΟΣ"}),
    ('lastName contains "οδος"', lambda r: r["a2"] in {"Μεγάλη οδος", "ΟΔΟΣ"}),
    ('lastName contains "Σεισμος"', lambda r: r["a2"] == "Σεισμος"),
    ('lastName startsWith "σεισμοσ"', lambda r: r["a2"] == "Σεισμος"),
    ('lastName contains "%_"', lambda r: r["a2"] is not None and "%_" in r["a2"]),
    ("lastName = 'a\"b% \\c'", lambda r: r["a2"] == 'a"b% \\c'),
    ("lastName contains 'A\"B%'", lambda r: r["a2"] == 'a"b% \\c'),
    ("lastName contains ' \\'", lambda r: r["a2"] == 'a"b% \\c'),
    ("lastName startsWith '%'", lambda r: False),
    ("lastName startsWith 'v_'", lambda r: False),
    ('emailAddress startsWith "USER3"', lambda r: r["a1"].startswith("user3")),
    ('emailAddress startsWith "user_"', lambda r: False),
    ('emailAddress startsWith "éric"', lambda r: r["id"] == 5),
    ('emailAddress contains "%"', lambda r: False),
    ("points > 0", lambda r: r["a3"] is not None and r["a3"] > 0),
    ("not points > 0", lambda r: r["a3"] is None or r["a3"] <= 0),
    ("points in (5, -1)", lambda r: r["a3"] in {5, -1}),
    ("points not in (5)", lambda r: r["a3"] is not None and r["a3"] != 5),
    ("member = true", lambda r: r["a4"] is True),
    ("member != true", lambda r: r["a4"] is False),
    ("born = 1984-05-12", lambda r: r["a5"] == date(1984, 5, 12)),
    ("born < now(-30d)", lambda r: r["a5"] is not None),
    ("updateMoment >= now(-10d)", lambda r: r["id"] <= 10),
    ('interests = "GOLF"', lambda r: "GOLF" in (r["a6"] or [])),
    ('interests != "GOLF"', lambda r: bool(r["a6"]) and "GOLF" not in r["a6"]),
    ('interests > "G"', lambda r: bool(r["a6"])),
    ('interests > "GOLF"', lambda r: bool(r["a6"])),
    ('interests >= "SPA"', lambda r: bool(r["a6"])),
    ('interests > "SPA"', lambda r: False),
    ('interests < "SPA"', lambda r: "GOLF" in (r["a6"] or [])),
    ('interests <= "GOLF"', lambda r: "GOLF" in (r["a6"] or [])),
    ('interests < "GOLF"', lambda r: False),
    ('not interests = "GOLF"', lambda r: "GOLF" not in (r["a6"] or [])),
    ('interests in ("GOLF", "X")', lambda r: "GOLF" in (r["a6"] or [])),
    ('interests not in ("GOLF")', lambda r: bool(r["a6"]) and "GOLF" not in r["a6"]),
    ('interests contains "pa"', lambda r: "SPA" in (r["a6"] or [])),
    ('subscriptions."Weekly offers" = true', lambda r: r["s7"] is True),
    ('subscriptions."Weekly offers" != true', lambda r: r["s7"] is False),
    ('not subscriptions."Weekly offers" != true', lambda r: r["s7"] is not False),
    ('subscriptions."Weekly offers" in (true)', lambda r: r["s7"] is True),
    ('subscriptions."Weekly offers" not in (true)', lambda r: r["s7"] is False),
    ('not subscriptions."Weekly offers" not in (true)', lambda r: r["s7"] is not False),
    ('subscriptions."weekly OFFERS" is null', lambda r: r["s7"] is None),
    ('subscriptions."weekly OFFERS" is not null', lambda r: r["s7"] is not None),
    ("segmentations.Vip = false", lambda r: r["g8"] is None),
    ("segmentations.Vip != false", lambda r: r["g8"] is True),
    ("segmentations.Vip in (true, false)", lambda r: True),
    ("segmentations.Vip not in (true)", lambda r: r["g8"] is None),
    ("segmentations.Vip is null", lambda r: False),
    ("segmentations.Vip is not null", lambda r: True),
    ('segmentations.Loyalty != "gold"', lambda r: r["g9"] == 10),
    ('not segmentations.Loyalty != "gold"', lambda r: r["g9"] != 10),
    ('segmentations.Loyalty in ("Silver", "gold")', lambda r: r["g9"] is not None),
    ('segmentations.Loyalty not in ("gold")', lambda r: r["g9"] == 10),
    ('not segmentations.Loyalty not in ("gold")', lambda r: r["g9"] != 10),
    ("segmentations.Loyalty is null", lambda r: r["g9"] is None),
    ("segmentations.Loyalty is not null", lambda r: r["g9"] is not None),
    ('segmentations.Loyalty = "gold"', lambda r: r["g9"] == 11),
    ('not segmentations.Loyalty = "Gold"', lambda r: r["g9"] != 11),
    ('emailAddress = "USER3@example.COM"', lambda r: r["id"] == 4),
    ('emailAddress in ("USER3@example.COM", "ÉRIC4@example.com")', lambda r: r["id"] in {4, 5}),
    ('emailAddress not in ("USER3@example.COM", "ÉRIC4@example.com")', lambda r: r["id"] not in {4, 5}),
    ("points = 5 and member = true or born is null", lambda r: (r["a3"] == 5 and r["a4"] is True) or r["a5"] is None),
    ("points = 5 AND (member = true OR born is null)", lambda r: r["a3"] == 5 and (r["a4"] is True or r["a5"] is None)),
    ("not not points = 5", lambda r: r["a3"] == 5),
    ("profileId in (1, 2)", lambda r: r["id"] in {1, 2}),
]


async def test_a_filter_means_what_the_guide_says(rows) -> None:
    assert [text for text, test in MEANINGS if await _ids(rows, text) != _expected(test)] == []


@pytest.mark.parametrize(
    ("text", "code", "position"),
    [
        ("lastName =", "filter.syntax", 11),
        ("lastName = Vos", "filter.syntax", 12),
        ('nothing = "x"', "attribute.unknown", 1),
        ('points = "x"', "attribute.type", 10),
        ('lastName = "x', "filter.syntax", 12),
        ("(points = 5", "filter.syntax", 12),
        ('segmentations.Loyalty = "Lead"', "segmentation.category", 25),
        ('"x" = lastName', "filter.syntax", 1),
        ("points = 5 points = 5", "filter.syntax", 12),
        ("member > true", "filter.syntax", 1),
        ("lastName = 5", "attribute.type", 12),
        ('lastName contains "a\x00"', "text.invalid", 19),
        ('emailAddress startsWith "\x00"', "text.invalid", 25),
        ('interests contains "\x00"', "text.invalid", 20),
        ("born < now(+999999999d)", "filter.syntax", 8),
    ],
)
def test_a_wrong_filter_is_told_with_its_place(text: str, code: str, position: int) -> None:
    with pytest.raises(Problem) as refusal:
        Compiler(TABLE, UTC_ZONE, NOW).compile(parse(text))
    assert refusal.value.code == code
    assert f"(at character {position})" in refusal.value.message


@pytest.mark.parametrize("text", ["now(+\t1\n d)", "now( 1d)", "now(1d)"])
def test_blanks_within_now_are_nothing_and_a_raw_plus_is_none(text: str) -> None:
    """A query makes a blank of it."""
    assert Compiler(TABLE, UTC_ZONE, NOW).compile(parse(f"updateMoment > {text}")).params == (NOW + timedelta(days=1),)


@pytest.mark.parametrize(("zone", "hours"), [("Europe/Brussels", 69_888_443), ("America/New_York", -17_760_971)])
def test_a_day_that_the_calendar_of_the_licence_does_not_have_is_refused(zone: str, hours: int) -> None:
    assert 1 <= (NOW + timedelta(hours=hours)).year <= 9999
    with pytest.raises(Problem) as refusal:
        Compiler(TABLE, ZoneInfo(zone), NOW).compile(parse(f"born = now({hours:+d}h)"))
    assert refusal.value.code == "filter.syntax"


@settings(max_examples=400, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    st.text(max_size=60)
    | st.lists(
        st.sampled_from(
            [
                "lastName",
                "points",
                "(",
                ")",
                "not",
                "and",
                "or",
                "=",
                "!=",
                "in",
                '"zz"',
                "5",
                "is",
                "null",
                ",",
                ".",
                "subscriptions",
                "now()",
                "'",
            ]
        ),
        max_size=25,
    ).map(" ".join)
)
def test_whatever_the_text_the_parser_refuses_in_words(text: str) -> None:
    try:
        condition = Compiler(TABLE, UTC_ZONE, NOW).compile(parse(text))
    except Problem:
        return
    assert condition.sql.count("%s") == len(condition.params)
    assert "zz" not in condition.sql


@pytest.mark.parametrize("text", ["not " * 2000 + "points = 5", "(" * 49 + "points = 5" + ")" * 49])
def test_long_chains_do_not_blow_the_stack(text: str) -> None:
    assert Compiler(TABLE, UTC_ZONE, NOW).compile(parse(text)).params == (5,)


@pytest.mark.parametrize("text", ["(" * 60 + "points = 5" + ")" * 60, " or ".join(["points = 5"] * 501), "x" * 9000])
def test_what_is_too_much_is_refused(text: str) -> None:
    with pytest.raises(Problem):
        Compiler(TABLE, UTC_ZONE, NOW).compile(parse(text))


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


@pytest.mark.parametrize(
    ("searches", "test"),
    [
        (["lastName=Vos"], lambda r: r["a2"] == "Vos"),
        (["lastName="], lambda r: r["a2"] is None),
        (["lastName!="], lambda r: r["a2"] is not None),
        (["points>=5", "member=1"], lambda r: r["a3"] == 5 and r["a4"] is True),
        (["lastName~vos"], lambda r: r["a2"] and "vos" in r["a2"].lower()),
        (["emailAddress=user3@example.com"], lambda r: r["id"] == 4),
        (["lastName=a=b"], lambda r: False),
    ],
)
async def test_a_v4_search_means_what_the_guide_says(searches: list[str], test, rows) -> None:
    condition = compile_v4_search(TABLE, searches, [], UTC_ZONE)
    cursor = await rows.execute(f"SELECT t.id FROM l900900.p1 t WHERE {condition.sql}".encode(), condition.params)
    assert {row[0] for row in await cursor.fetchall()} == _expected(test)


@pytest.mark.parametrize(("text", "expected"), [(None, 100), ("", 100), ("5", 5), ("1001", 1000), ("9" * 30, 1000)])
def test_row_limits(text: str | None, expected: int) -> None:
    assert row_limit(text, "number") == expected


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "\u0661"])
def test_wrong_row_limits(text: str) -> None:
    with pytest.raises(Problem):
        row_limit(text, "number")


def test_references() -> None:
    assert parse_reference(TABLE, "1042", UTC_ZONE) == (None, 1042)
    assert parse_reference(TABLE, "PROFILEID=1042", UTC_ZONE) == (None, 1042)
    assert parse_reference(TABLE, "emailAddress=a=b@example.com", UTC_ZONE).value == "a=b@example.com"
    for segment, code in (
        ("lastName=Vos", "key.notUnique"),
        ("nothing=1", "profile.unknown"),
        ("9" * 25, "profile.unknown"),
        ("x", "profile.unknown"),
        ("", "profile.unknown"),
        ("-1", "profile.unknown"),
    ):
        with pytest.raises(Problem) as refusal:
            parse_reference(TABLE, segment, UTC_ZONE)
        assert refusal.value.code == code


_CODES = ProfileTable(
    1,
    9,
    1,
    "Guests",
    1,
    Definition(
        20, (Attribute(1, "language", "MOTHER_LANGUAGE", "STRING"), Attribute(2, "country", "ADDRESS_COUNTRY", "STRING"))
    ),
)


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ('language = "fr"', ("FR",)),
        ('language = " FR "', ("FR",)),
        ('country in ("be", "Lu")', (["BE", "LU"],)),
        ('country = "Atlantis"', ("Atlantis",)),  # nobody's, and no reason to refuse
        ('country startsWith "b"', ("b%",)),
        ('country > "b"', ("b",)),
    ],
)
def test_codes_are_compared_as_they_are_kept(text: str, params: tuple[Any, ...]) -> None:
    assert Compiler(_CODES, UTC_ZONE, NOW).compile(parse(text)).params == params


def test_codes_are_compared_as_they_are_kept_in_v4_too() -> None:
    assert compile_v4_search(_CODES, ["language=fr", "country!=be"], [], UTC_ZONE).params == ("FR", "BE")


@pytest.mark.parametrize("text", ["2027-03-01T10:15:00 01:00", "2027-03-01T10:15:00 0100", "2027-03-01T10:15:00+01:00"])
def test_a_raw_plus_of_an_offset_is_no_blank(text: str) -> None:
    condition = compile_v4_search(TABLE, [], [f"updateMoment>={text}"], UTC_ZONE)
    assert condition.params == (datetime(2027, 3, 1, 9, 15, tzinfo=UTC),)
    for literal in (text, f"'{text}'"):
        sent = Compiler(TABLE, UTC_ZONE, NOW, of_query=True).compile(parse(f"updateMoment>={literal}"))
        assert sent.params == condition.params


def test_a_raw_plus_of_a_number_stands_in_front() -> None:
    phones = ProfileTable(1, 9, 1, "Guests", 1, Definition(20, (Attribute(1, "gsm", "GSM_NUMBER", "STRING"),)))
    for text in (" 32475000001", "+32 475 00 00 01"):
        assert compile_v4_search(phones, [f"gsm={text}"], [], UTC_ZONE).params == ("+32475000001",)
        sent = Compiler(phones, UTC_ZONE, NOW, of_query=True).compile(parse(f"gsm='{text}'"))
        assert sent.params == ("+32475000001",)
    assert compile_v4_search(phones, ["gsm~ 32475"], [], UTC_ZONE).params == ("%+32475%",)


def test_a_blank_of_a_body_is_a_blank() -> None:
    assert Compiler(TABLE, UTC_ZONE, NOW).compile(parse("emailAddress contains 'a b'")).params == ("%a b%",)
    with pytest.raises(Problem, match="expects a moment"):
        Compiler(TABLE, UTC_ZONE, NOW).compile(parse("updateMoment > 2027-03-01T10:15:00 01:00"))


def test_a_refused_search_names_the_attribute() -> None:
    for search, name in (
        ("profileId=abc", "profileId"),
        ("UPDATEMOMENT>abc", "updateMoment"),
        ("points=abc", "points"),
        ("lastName~\x00", "lastName"),
    ):
        with pytest.raises(Problem) as refusal:
            compile_v4_search(TABLE, [search], [], UTC_ZONE)
        assert f"'{name}'" in refusal.value.message


def test_blanks_of_a_search_cost_no_time() -> None:
    begun = time.process_time()
    blanks = " " * 60_000
    for text in (f"{blanks}lastName", f"lastName{blanks}", f"{blanks}lastName{blanks}!"):
        with pytest.raises(Problem, match="operator"):
            compile_v4_search(TABLE, [text], [], UTC_ZONE)
    with pytest.raises(Problem, match="a value was expected"):
        parse(f"born = now({' ' * 8000}x")
    assert time.process_time() - begun < 1
    assert compile_v4_search(TABLE, [f"{blanks}lastName{blanks}=Vos"], [], UTC_ZONE).params == ("Vos",)
