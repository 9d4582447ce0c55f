"""Cells that need no second look are what the parser of their kind makes of them, to the letter."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from tabellion.features.bulk.imports.columns import Column, plan
from tabellion.features.bulk.imports.copying import copy_text
from tabellion.features.bulk.imports.model import Order
from tabellion.features.bulk.imports.plain import test_of as plain_test
from tabellion.features.tables.model import Attribute, Definition, ProfileTable, ValueRestriction
from tabellion.features.tables.types.predefined import PREDEFINED

ZONE = ZoneInfo("Europe/Brussels")
_LABEL = "x" * 63
# With `.com` the longest address.
_LONGEST = f"{'x' * 64}@{_LABEL}.{_LABEL}.{'x' * 57}"
# What each kind takes without a second look, at its limits.
PLAIN = {
    "STRING": ["x" * 255, "é" * 127, " x ", "NULL"],
    "TEXT": ["x" * 65_535],
    "INTEGER": ["0", "-7", "999999999"],
    "LONG": ["999999999999999999", "-1"],
    "NUMBER": ["0", "-1.5", "999999999999999.0000000001", "-0.0000000001", "10"],
    "BOOLEAN": ["true", "false", "1", "0"],
    "DATE": ["2028-02-29", "1000-01-01"],
    "TIMESTAMP": ["2027-03-01T23:59:59Z", "2028-02-29T00:00:00.1Z", "2027-03-01T08:15:00.123Z"],
    "EMAIL_ADDRESS": ["a.b+c@example.com", f"{_LONGEST}.com", f"x@{_LABEL}.museum", "A@b.co"],
    "GSM_NUMBER": ["+123456", "+123456789012345"],
    "SEX": ["M", "F"],
    "PERSON_TITLE": ["Mr", "Mrs", "Ms"],
    "MOTHER_LANGUAGE": ["NL", "SH"],
    "ADDRESS_COUNTRY": ["BE", "XK"],
}
# What is nearly so; some of it is good enough for a parser, which makes another text of it.
NEARLY = [
    "x" * 256, "é" * 128, "x" * 65_536, "x\x00", "-0", "00", "+7", "7.0", "1e3", "9999999999", "2147483648", "9999999999999999999",
    "1.50", "-0.0", "0.00000000001", "1234567890123456.5", ".5", "TRUE", "y", "on", "2027-02-29", "0000-01-01", "2027-3-1", "01/03/2027",
    "2027-02-30T00:00:00Z", "2027-03-01T24:00:00Z", "2027-03-01T29:00:00Z", "2027-03-01T23:59:60Z", "2027-03-01T08:15:00.123456Z",
    "2027-03-01T08:15:00", "2027-03-01T08:15:00+01:00", f"{'x' * 65}@example.com", f"a@{_LABEL}x.com", f"a@example.{_LABEL}x", "a@b",
    f"{_LONGEST}x.com", "a..b@example.com", "a@-b.com", "+12345", "+1234567890123456", "+0123456",
    "0032470123456", "+32470123456\n", "m", "mr", "nl", "be", "UK", "XX", "NULL\n",
]  # fmt: skip


def column(type_: str, *, unique: bool = False, multi: bool = False, limits: ValueRestriction | None = None) -> Column:
    known = PREDEFINED.get(type_)
    kind, base = (type_, known.value_type.name) if known else ("CUSTOM", type_)
    attribute = Attribute(1, "x", kind, base, unique=unique, multi_valued=multi, restriction=limits)
    table = ProfileTable(1, 9, 1, "Guests", 1, Definition(2, (attribute,)))
    return plan(table, ["x"], Order(), ZONE).columns[0]


def plain(column: Column, texts: list[str]) -> set[str]:
    test = plain_test(column)
    if test is None:
        return set()
    cells = pl.Series(texts, dtype=pl.String)
    return set(cells.filter(pl.select(test(pl.lit(cells))).to_series().fill_null(value=False)))


def test_what_needs_no_second_look_is_what_the_parser_makes_of_it() -> None:
    texts = [*NEARLY, *(text for each in PLAIN.values() for text in each)]
    # As the database reads them.
    read: dict[str, Any] = {"BOOLEAN": lambda text: text in {"true", "1"}, "TIMESTAMP": datetime.fromisoformat}
    for type_, mine in PLAIN.items():
        each = column(type_)
        found = plain(each, texts)
        assert set(mine) <= found, type_
        for text in found:
            value = each.parse(text)
            assert read[type_](text) == value if type_ in read else copy_text(value) == text, (type_, text[:80])


def test_what_has_several_spellings_or_values_is_looked_at_twice() -> None:
    for type_, mine in PLAIN.items():
        assert plain(column(type_, multi=True), mine) == set()
        assert plain(column(type_, unique=True), mine) == (set() if type_ in {"BOOLEAN", "TIMESTAMP"} else set(mine))


def test_restrictions_are_kept_without_a_second_look() -> None:
    def found(type_: str = "STRING", **limits: Any) -> set[str]:
        return plain(column(type_, limits=ValueRestriction(**limits)), ["é", "éé", "ééé", "Vos", "1"])

    assert found(min_length=2) == {"éé", "ééé", "Vos"}
    assert found(max_length=2) == {"é", "éé", "1"}
    assert found(accepted_values=("Vos", "éé"), max_length=2) == {"éé"}
    assert found(pattern="é+") == set()
    assert found("INTEGER", min=1) == found("INTEGER", max=1) == found("INTEGER", accepted_values=(1,)) == set()
