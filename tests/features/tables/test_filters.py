"""The filter language: its meaning on real PostgreSQL against a plain Python reading of the same rows."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabellion.features.tables.filters.compile import Compiler
from tabellion.features.tables.filters.grammar import parse
from tabellion.kit.problem import Problem
from tests.features.tables.conftest import NOW, TABLE, UTC_ZONE, expected


async def _ids(db, text: str) -> set[int]:
    condition = Compiler(TABLE, UTC_ZONE, NOW).compile(parse(text))
    cursor = await db.execute(f"SELECT t.id FROM l900900.p1 t WHERE {condition.sql}".encode(), condition.params)
    return {row[0] for row in await cursor.fetchall()}


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
    assert [text for text, test in MEANINGS if await _ids(rows, text) != expected(test)] == []


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
