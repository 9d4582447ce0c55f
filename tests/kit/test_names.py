"""Names of things: what they may be."""

import pytest

from tabellion.kit.names import MAX_NAME, SIGNS_OF_ADDRESSES, name_fault


@pytest.mark.parametrize("name", ["a", "Spring offer", "été", "x" * MAX_NAME, "50% / more;"])
def test_names(name: str) -> None:
    assert name_fault(name) is None


@pytest.mark.parametrize("name", ["", " a", "a ", "a\nb", "a\u200b", "x" * (MAX_NAME + 1)])
def test_what_is_no_name(name: str) -> None:
    assert name_fault(name) == "1 to 100 printable characters without blanks at its ends"


def test_signs_that_it_may_not_have() -> None:
    assert name_fault("a.b", SIGNS_OF_ADDRESSES) is None
    for name in ("a/b", "a;b", "#a"):
        assert name_fault(name, SIGNS_OF_ADDRESSES) == "1 to 100 printable characters without # / ; and blanks at its ends"
