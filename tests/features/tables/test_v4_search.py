"""The searches of v4, what their values have in common with those of filters, and the references of paths."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tabellion.features.tables.filters import compile_v4_search, parse_reference
from tabellion.features.tables.filters.compile import Compiler
from tabellion.features.tables.filters.grammar import parse
from tabellion.features.tables.model import Attribute, Definition, ProfileTable
from tabellion.kit.problem import Problem
from tests.features.tables.conftest import NOW, TABLE, UTC_ZONE, expected


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
    assert {row[0] for row in await cursor.fetchall()} == expected(test)


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
