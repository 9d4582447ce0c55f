import pytest

from tabellion.kit.formulas import as_text


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "="])
def test_what_begins_a_formula_is_a_text(cell: str) -> None:
    assert as_text(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "a=1", " =1", "1+1", "'=1", "ann@example.com"])
def test_everything_else_stays(cell: str) -> None:
    assert as_text(cell) == cell
