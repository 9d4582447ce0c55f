"""Values of attributes: what each type takes, what it refuses, how it is shown."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabellion.features.tables.model import Attribute
from tabellion.features.tables.types.base import BadValue
from tabellion.features.tables.types.predefined import COUNTRIES, LANGUAGES, PREDEFINED
from tabellion.features.tables.types.registry import (
    VALUE_TYPES,
    attribute_type,
    parse_single,
    parse_value,
    render_value,
    value_type,
)

BRUSSELS = ZoneInfo("Europe/Brussels")


def attribute(type_: str, *, multi_valued: bool = False) -> Attribute:
    """An attribute of a value type or of a predefined type."""
    predefined = PREDEFINED.get(type_)
    kind, base = (type_, predefined.value_type.name) if predefined else ("CUSTOM", type_)
    return Attribute(number=1, name="x", type=kind, value_type=base, multi_valued=multi_valued)


def parse(type_: str, value: Any, *, multi_valued: bool = False) -> Any:
    return parse_value(attribute(type_, multi_valued=multi_valued), value, BRUSSELS)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


TAKEN = [
    ("STRING", "ann", "ann"),
    ("STRING", "", ""),
    ("STRING", None, None),
    ("STRING", 42, "42"),
    ("STRING", Decimal("3.50"), "3.50"),
    ("STRING", True, "true"),
    ("STRING", "x" * 255, "x" * 255),
    ("STRING", "\U0001f600" * 255, "\U0001f600" * 255),
    ("TEXT", "x" * 65_535, "x" * 65_535),
    ("INTEGER", "42", 42),
    ("INTEGER", Decimal("42.0"), 42),
    ("INTEGER", " 42 ", 42),
    ("INTEGER", "", None),
    ("INTEGER", "1e3", 1000),
    ("INTEGER", 2**31 - 1, 2**31 - 1),
    ("INTEGER", -(2**31), -(2**31)),
    ("LONG", 2**63 - 1, 2**63 - 1),
    ("LONG", str(-(2**63)), -(2**63)),
    ("NUMBER", "3.50", Decimal("3.5")),
    ("NUMBER", Decimal("1E+29"), Decimal("1E+29")),
    ("NUMBER", "0." + "0" * 19 + "1", Decimal("1E-20")),
    ("NUMBER", Decimal("0E-1000000"), Decimal(0)),
    ("NUMBER", Decimal("2." + "0" * 100_000), Decimal(2)),
    ("NUMBER", "2." + "0" * 100_000, Decimal(2)),
    ("NUMBER", "0" * 100 + "2", Decimal(2)),
    ("NUMBER", "-.5", Decimal("-0.5")),
    ("BOOLEAN", True, True),
    ("BOOLEAN", "TRUE", True),
    ("BOOLEAN", "0", False),
    ("BOOLEAN", 1, True),
    ("BOOLEAN", Decimal("0.0"), False),
    ("BOOLEAN", "0.0", False),
    ("BOOLEAN", "1.0", True),
    ("BOOLEAN", " ", None),
    ("DATE", "2027-03-01", date(2027, 3, 1)),
    ("DATE", "01/03/2027", date(2027, 3, 1)),
    ("DATE", "2027-03-01T23:59:59-11:00", date(2027, 3, 1)),
    ("DATE", "2028-02-29", date(2028, 2, 29)),
    ("DATE", "0001-01-01", date(1, 1, 1)),
    ("DATE", "9999-12-31", date(9999, 12, 31)),
    ("DATE", "", None),
    ("TIMESTAMP", "2027-03-01T08:15:00Z", utc(2027, 3, 1, 8, 15)),
    ("TIMESTAMP", "2027-03-01T08:15:00.1239+01:00", utc(2027, 3, 1, 7, 15, 0, 123_000)),
    ("TIMESTAMP", "2027-03-01T08:15:00+0130", utc(2027, 3, 1, 6, 45)),
    ("TIMESTAMP", "2027-07-01 08:15:00", utc(2027, 7, 1, 6, 15)),
    ("TIMESTAMP", "01/03/2027 08:15:00", utc(2027, 3, 1, 7, 15)),
    ("TIMESTAMP", "2027-03-01", utc(2027, 2, 28, 23)),
    ("TIMESTAMP", "2027-03-01T24:00:00Z", utc(2027, 3, 2)),
    ("TIMESTAMP", "2016-12-31T23:59:60Z", utc(2016, 12, 31, 23, 59, 59)),
    ("TIMESTAMP", "2027-03-28 02:30:00", utc(2027, 3, 28, 1, 30)),  # skipped by summer time
    ("TIMESTAMP", "2027-10-31 02:30:00", utc(2027, 10, 31, 0, 30)),  # occurs twice
    ("EMAIL_ADDRESS", "Ann.Vos+x@Example.com", "Ann.Vos+x@Example.com"),
    ("EMAIL_ADDRESS", "o'brien@mail.example.co.uk", "o'brien@mail.example.co.uk"),
    ("EMAIL_ADDRESS", "jörg@bücher.example", "jörg@bücher.example"),
    ("EMAIL_ADDRESS", "", None),
    ("GSM_NUMBER", "+32 470 12.34.56", "+32470123456"),
    ("GSM_NUMBER", "0032470123456", "+32470123456"),
    ("GSM_NUMBER", "32470123456", "+32470123456"),
    ("GSM_NUMBER", "+32 (0)470/12 34 56", "+32470123456"),
    ("SEX", "f", "F"),
    ("MOTHER_LANGUAGE", "nl", "NL"),
    ("PERSON_TITLE", "Mrs", "Mrs"),
    ("ADDRESS_COUNTRY", "be", "BE"),
    ("ADDRESS_COUNTRY", " ", None),
    ("BIRTHDATE", "12/05/1984", date(1984, 5, 12)),
    ("LASTNAME", "", ""),
]


@pytest.mark.parametrize(("type_", "value", "expected"), TAKEN, ids=lambda v: repr(v)[:40])
def test_taken(type_: str, value: Any, expected: Any) -> None:
    found = parse(type_, value)

    assert found == expected
    assert type(found) is type(expected)


REFUSED = [
    ("STRING", "x" * 256, "attribute.value"),
    ("STRING", [], "attribute.type"),
    ("STRING", {"a": 1}, "attribute.type"),
    ("STRING", "a\x00b", "text.invalid"),
    ("STRING", "\ud800", "text.invalid"),
    ("TEXT", "x" * 65_536, "attribute.value"),
    ("INTEGER", 2**31, "attribute.value"),
    ("INTEGER", "42.5", "attribute.type"),
    ("INTEGER", "4 2", "attribute.type"),
    ("INTEGER", "1_000", "attribute.type"),
    ("INTEGER", "٤٢", "attribute.type"),
    ("INTEGER", True, "attribute.type"),
    ("INTEGER", Decimal("1E+999999999"), "attribute.value"),
    ("INTEGER", "1" * 100_000, "attribute.value"),
    ("INTEGER", "1e99999", "attribute.value"),
    ("INTEGER", "1e" + "9" * 100, "attribute.type"),
    ("LONG", 2**63, "attribute.value"),
    ("NUMBER", "3,50", "attribute.type"),
    ("NUMBER", "NaN", "attribute.type"),
    ("NUMBER", "Infinity", "attribute.type"),
    ("NUMBER", Decimal("NaN"), "attribute.type"),
    ("NUMBER", Decimal("1E+30"), "attribute.value"),
    ("NUMBER", Decimal("1E+9999999"), "attribute.value"),
    ("NUMBER", Decimal("1E-9999999"), "attribute.value"),
    ("NUMBER", "1." + "0" * 28 + "1", "attribute.value"),
    ("NUMBER", [1], "attribute.type"),
    ("BOOLEAN", "yes", "attribute.type"),
    ("BOOLEAN", 2, "attribute.type"),
    ("BOOLEAN", "2", "attribute.type"),
    ("BOOLEAN", [True], "attribute.type"),
    ("DATE", "2027-02-29", "attribute.type"),
    ("DATE", "0000-01-01", "attribute.type"),
    ("DATE", "2027-3-1", "attribute.type"),
    ("DATE", "03/13/2027", "attribute.type"),
    ("DATE", "2027-03-01T10:00+99:00", "attribute.type"),
    ("DATE", 20270301, "attribute.type"),
    ("TIMESTAMP", "2027-03-01T24:00:01Z", "attribute.type"),
    ("TIMESTAMP", "2027-03-01T08:60:00Z", "attribute.type"),
    ("TIMESTAMP", "2027-03-01T08:15:00+19:00", "attribute.type"),
    ("TIMESTAMP", "0001-01-01T00:00:00+01:00", "attribute.value"),
    ("TIMESTAMP", "9999-12-31T24:00:00Z", "attribute.value"),
    ("TIMESTAMP", "2027-03-01 " + " " * 100_000 + "x", "attribute.type"),
    ("EMAIL_ADDRESS", "ann", "attribute.value"),
    ("EMAIL_ADDRESS", "ann@example", "attribute.value"),
    ("EMAIL_ADDRESS", "ann@example..com", "attribute.value"),
    ("EMAIL_ADDRESS", "ann@exa_mple.com", "attribute.value"),
    ("EMAIL_ADDRESS", "ann@-example.com", "attribute.value"),
    ("EMAIL_ADDRESS", "ann@192.168.1.1", "attribute.value"),
    ("EMAIL_ADDRESS", "a.@example.com", "attribute.value"),
    ("EMAIL_ADDRESS", "ann@example.com\nBcc: x@example.com", "attribute.value"),
    ("EMAIL_ADDRESS", "ann\u200b@example.com", "attribute.value"),
    ("EMAIL_ADDRESS", "ann\x9b@example.com", "attribute.value"),
    ("EMAIL_ADDRESS", "x" * 65 + "@example.com", "attribute.value"),
    ("EMAIL_ADDRESS", "ann@" + "a.@" * 60 + "b.com", "attribute.value"),
    ("GSM_NUMBER", "0470123456", "attribute.value"),
    ("GSM_NUMBER", "+3247", "attribute.value"),
    ("GSM_NUMBER", "+1234567890123456", "attribute.value"),
    ("GSM_NUMBER", "call me", "attribute.value"),
    ("GSM_NUMBER", "+٣٢٤٧٠١٢٣٤٥٦", "attribute.value"),
    ("SEX", "X", "attribute.value"),
    ("PERSON_TITLE", "Dr", "attribute.value"),
    ("MOTHER_LANGUAGE", "dutch", "attribute.value"),
    ("ADDRESS_COUNTRY", "UK", "attribute.value"),
]


@pytest.mark.parametrize(("type_", "value", "code"), REFUSED, ids=lambda v: repr(v)[:40])
def test_refused(type_: str, value: Any, code: str) -> None:
    with pytest.raises(BadValue) as refusal:
        parse(type_, value)

    assert refusal.value.code == code


def test_multi_valued() -> None:
    assert parse("STRING", ["SPA", None, "GOLF"], multi_valued=True) == ["SPA", "GOLF"]
    assert parse("STRING", "SPA", multi_valued=True) == ["SPA"]
    assert parse("INTEGER", ["1", 2], multi_valued=True) == [1, 2]
    assert parse("STRING", [], multi_valued=True) is None
    assert render_value(attribute("STRING", multi_valued=True), None) == []
    assert attribute_type(attribute("STRING", multi_valued=True)).sql == 'text[] COLLATE "C"'
    with pytest.raises(BadValue):
        parse("INTEGER", list(range(1001)), multi_valued=True)
    with pytest.raises(BadValue):
        parse("INTEGER", [[1]], multi_valued=True)


def test_a_filter_compares_by_type_only_and_knows_phone_numbers() -> None:
    assert parse_single(attribute("ADDRESS_COUNTRY"), "Atlantis", BRUSSELS) == "Atlantis"
    assert parse_single(attribute("GSM_NUMBER"), "0032 470 12 34 56", BRUSSELS) == "+32470123456"


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("NUMBER", Decimal("249.50"), Decimal("249.5")),
        ("NUMBER", Decimal("1E+3"), 1000),
        ("NUMBER", Decimal("123456789012345678901234567890.12345678901234567890"), Decimal("123456789012345678901234567890.1234567890123456789")),
        ("DATE", date(27, 3, 1), "0027-03-01"),
        ("TIMESTAMP", utc(2027, 3, 1, 8, 15), "2027-03-01T08:15:00.000Z"),
        ("TIMESTAMP", utc(1, 1, 1), "0001-01-01T00:00:00.000Z"),
        ("BOOLEAN", False, False),
    ],
)  # fmt: skip
def test_shown(type_: str, value: Any, expected: Any) -> None:
    assert render_value(attribute(type_), value) == expected


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("NUMBER", Decimal("1E+3"), "1000"),
        ("NUMBER", Decimal("1E-20"), "0.00000000000000000001"),
        ("BOOLEAN", True, "true"),
        ("LONG", 2**63 - 1, "9223372036854775807"),
        ("DATE", date(2027, 3, 1), "2027-03-01"),
    ],
)
def test_as_text(type_: str, value: Any, expected: str) -> None:
    assert value_type(type_).text(value) == expected


def test_code_lists_are_those_of_the_standards() -> None:
    from importlib.resources import files

    lines = (files("tzdata") / "zoneinfo" / "iso3166.tab").read_text().splitlines()

    assert {line[:2] for line in lines if not line.startswith("#")} | {"XK"} == COUNTRIES
    assert len(LANGUAGES) == 185
    assert {"NL", "FR", "DE", "EN"} < LANGUAGES


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text() | st.from_regex(r"[0-9/: T.+eEZ-]{1,30}"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=5,
)


@given(type_=st.sampled_from([*VALUE_TYPES, *PREDEFINED]), value=ANYTHING, multi_valued=st.booleans())
@settings(max_examples=1500, deadline=None)
def test_anything_is_taken_or_refused_and_what_is_shown_is_taken_again(type_: str, value: Any, multi_valued: bool) -> None:
    of = attribute(type_, multi_valued=multi_valued)
    try:
        parsed = parse_value(of, value, BRUSSELS)
    except BadValue:
        return
    assert parse_value(of, render_value(of, parsed), UTC) == parsed


STORED = {
    "STRING": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=255),
    "LONG": st.integers(-(2**63), 2**63 - 1),
    "NUMBER": st.decimals(allow_nan=False, allow_infinity=False, places=20, min_value=Decimal("-9e29"), max_value=Decimal("9e29")),
    "DATE": st.dates().map(date.isoformat),
    "TIMESTAMP": st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)).map(datetime.isoformat),
}  # fmt: skip


@pytest.mark.parametrize("type_", list(STORED))
def test_the_database_gives_back_what_it_got(type_: str, worker_database_url: str) -> None:
    kind = value_type(type_)
    with psycopg.connect(worker_database_url, options="-c timezone=UTC") as db:

        @given(value=STORED[type_])
        @settings(max_examples=100, deadline=None)
        def check(value: Any) -> None:
            parsed = kind.parse(value, UTC)
            row = db.execute(f"SELECT %s::{kind.cast}", (parsed,)).fetchone()
            assert row is not None
            assert row[0] == parsed
            assert kind.parse(kind.text(row[0]), UTC) == parsed

        check()
