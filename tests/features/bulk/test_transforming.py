"""Transformations: whole columns, and what is wrong with which cell."""

import polars as pl
import pytest

from tabellion.features.bulk.imports.model import Operation, Transformation
from tabellion.features.bulk.imports.transforming import transform


def done(cells, *steps):
    result = transform(pl.Series("a1", cells, dtype=pl.String), steps, header="born", subject="attribute 'birthDate'")
    return result.cells.to_list(), [(place, fault.column, fault.message) for place, fault in result.faults]


def step(operation, **members):
    return Transformation(operation=Operation(operation), **members)


@pytest.mark.parametrize(
    ("cells", "steps", "expected"),
    [
        ([" a ", "\u00a0b\t", ""], [step("TRIM")], ["a", "b", ""]),
        (["Straße", "É", ""], [step("UPPERCASE")], ["STRASSE", "É", ""]),
        (["ANN@X.COM", "É"], [step("LOWERCASE")], ["ann@x.com", "é"]),
        (["", "x"], [step("DEFAULT", value="BE")], ["BE", "x"]),
        (["", "x"], [step("CONSTANT", value="BE")], ["BE", "BE"]),
        (["1", "2", "3", ""], [step("MAP_VALUES", values={"1": "Silver", "2": None})], ["Silver", "", "3", ""]),
        (["1", "3", ""], [step("MAP_VALUES", values={"1": "Silver"}, otherwise=None)], ["Silver", "", ""]),
        (["1", "3", ""], [step("MAP_VALUES", values={"1": "a", "": "none"}, otherwise="b")], ["a", "b", "none"]),
        (["01.03.2027", "", "29.02.2028"], [step("PARSE_DATE", pattern="dd.MM.yyyy")], ["2027-03-01", "", "2028-02-29"]),
        (["01.03.2027 09:15"], [step("PARSE_DATE", pattern="dd.MM.yyyy HH:mm")], ["2027-03-01T09:15:00"]),
        (["1.234,50", "-7", ""], [step("PARSE_NUMBER", group_sign=".")], ["1234.50", "-7", ""]),
        (["1'234.5"], [step("PARSE_NUMBER", decimal_sign=".", group_sign="'")], ["1234.5"]),
        ([" A1 "], [step("TRIM"), step("LOWERCASE"), step("MAP_VALUES", values={"a1": "x"})], ["x"]),
        ([], [step("TRIM"), step("CONSTANT", value="x"), step("PARSE_NUMBER")], []),
    ],
)
def test_what_cells_become(cells, steps, expected):
    assert done(cells, *steps) == (expected, [])


def test_what_cannot_be_read_is_told_with_its_place_and_left_empty():
    cells, faults = done(["31.02.2027", "01.03.2027", "x"], step("PARSE_DATE", pattern="dd.MM.yyyy"), step("UPPERCASE"))
    assert cells == ["", "2027-03-01", ""]
    assert faults == [
        (0, "born", "attribute 'birthDate' expects a date written as dd.MM.yyyy, not '31.02.2027'"),
        (2, "born", "attribute 'birthDate' expects a date written as dd.MM.yyyy, not 'x'"),
    ]


@pytest.mark.parametrize("text", ["1.5", "1,2,3", "e5", "1e5", "--1", "٣", "0x10", "1 2"])
def test_numbers_of_another_spelling_are_refused(text):
    cells, faults = done([text], step("PARSE_NUMBER"))
    assert cells == [""]
    expected = "a number with ',' before its fraction and nothing ('groupSign' names another sign) between thousands"
    assert [message for _, _, message in faults] == [f"attribute 'birthDate' expects {expected}, not '{text}'"]
