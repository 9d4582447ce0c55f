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
        (
            ["1.797,50 €", "€-7", "$\u00a01,5"],
            [step("PARSE_NUMBER", group_sign=".")],
            ["1797.50", "-7", "1.5"],
        ),
        (
            ["1 234,5", "1\u00a0234,5", "1\u202f234\u202f567"],
            [step("PARSE_NUMBER", group_sign=" ")],
            ["1234.5", "1234.5", "1234567"],
        ),
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


@pytest.mark.parametrize("text", ["1.5", "1,2,3", "e5", "1e5", "--1", "٣", "0x10", "1 2", "€", "€1€€", "1€2"])
def test_numbers_of_another_spelling_are_refused(text):
    cells, faults = done([text], step("PARSE_NUMBER"))
    assert cells == [""]
    expected = "a number with ',' before its fraction and nothing ('groupSign' names another sign) between thousands"
    assert [message for _, _, message in faults] == [f"attribute 'birthDate' expects {expected}, not '{text}'"]


@pytest.mark.parametrize(
    ("country", "text", "number"),
    [
        ("DE", "0171 1234567", "+491711234567"),
        ("DE", " (0)171/123-45.67 ", "+491711234567"),
        ("DE", "0171\u00a01234567", "+491711234567"),
        # A spreadsheet took the zero; or the plus.
        ("DE", "1711234567", "+491711234567"),
        ("DE", "491711234567", "+491711234567"),
        ("DE", "49 171 1234567", "+491711234567"),
        ("DE", "+49 (0)171 1234567", "+491711234567"),
        ("DE", "0049 171 1234567", "+491711234567"),
        ("DE", "+32 470 12 34 56", "+32470123456"),
        ("US", "0032470123456", "+32470123456"),
        ("FR", "06 12 34 56 78", "+33612345678"),
        ("BE", "0470 12 34 56", "+32470123456"),
        # In Italy the zero is a part of the number, and those of mobile phones have none; some begin as the country's code does.
        ("IT", "06 6982 1234", "+390669821234"),
        ("IT", "392 123 4567", "+393921234567"),
        ("IT", "390 905 7445", "+393909057445"),
        ("IT", "39 392 123 4567", "+393921234567"),
        # It may have been +49 2112345, or 04921 12345.
        ("DE", "492112345", "+492112345"),
        ("DE", "04921 12345", "+49492112345"),
        # 48 is Poland's code, and that of Radom in it; numbers have no zero there.
        ("PL", "48 308 10 98", "+48483081098"),
        ("PL", "48 600 123 456", "+48600123456"),
        ("US", "(650) 253-2222", "+16502532222"),
        ("US", "1 650 253 2222", "+16502532222"),
        ("RU", "8 (912) 345-67-89", "+79123456789"),
    ],
)
def test_phone_numbers_are_read_as_people_of_the_country_write_them(country, text, number):
    assert done(["", text, text], step("PARSE_PHONE", country=country)) == (["", number, number], [])


@pytest.mark.parametrize(
    "text",
    ["4,91711E+11", "0171 1234567 ext. 3", "0171 1234567; 030 1234567", "0171", "112", "x", "+", "9" * 300, "1-800-FLOWERS"],
)
def test_what_is_no_phone_number_is_told(text):
    cells, faults = done([text], step("PARSE_PHONE", country="DE"))
    assert cells == [""]
    expected = "a phone number of DE, or an international one such as +32470123456"
    assert [message for _, _, message in faults] == [f"attribute 'birthDate' expects {expected}, not '{text[:60]}'"]
