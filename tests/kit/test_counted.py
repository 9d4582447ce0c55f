"""Numbers of things, for people."""

from tabellion.kit.counted import counted


def test_one_is_one_and_many_are_many() -> None:
    assert [counted(number, "seal") for number in (0, 1, 2000)] == ["0 seals", "1 seal", "2,000 seals"]
    assert [counted(number, "entry", "entries") for number in (1, 2)] == ["1 entry", "2 entries"]
