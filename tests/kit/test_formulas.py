import pytest

from tabellion.kit.formulas import as_meant, as_text


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=", "'=1", "''-1"])
def test_what_begins_a_formula_is_a_text_and_can_be_told_from_what_was_one(cell: str) -> None:
    assert as_text(cell) == f"'{cell}"
    assert as_meant(as_text(cell)) == cell


@pytest.mark.parametrize("cell", ["", "a=1", " =1", "1+1", "'", "'a=1", "o'neil@example.com", "ann@example.com"])
def test_everything_else_stays(cell: str) -> None:
    assert as_text(cell) == as_meant(cell) == cell
