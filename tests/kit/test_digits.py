"""Numbers in addresses: what names a row, and what can name none."""

import pytest

from tabellion.kit.digits import BIGINT, INTEGER, number_of


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0), ("7", 7), ("007", 7), (str(BIGINT), BIGINT), (str(BIGINT + 1), None), ("9" * 5000, None), ("", None),
        ("-1", None), ("+1", None), ("1.0", None), (" 1", None), ("1\n", None), ("1_0", None), ("\u0661", None), ("\u00b2", None),
    ],
)  # fmt: skip
def test_ids(text: str, number: int | None) -> None:
    assert number_of(text) == number


def test_smaller_columns() -> None:
    assert number_of("2147483647", INTEGER) == INTEGER
    assert number_of("2147483648", INTEGER) is None
