"""Several things in a sentence, for people."""

from tabellion.kit.enumerated import enumerated, first_few


def test_the_last_two_are_joined_by_and() -> None:
    assert [enumerated("abc"[:number]) for number in range(4)] == ["", "a", "a and b", "a, b and c"]


def test_of_many_the_first_are_named_and_the_others_counted() -> None:
    assert [first_few("abcd", most) for most in (1, 3, 4, 9)] == [
        "a and 3 more",
        "a, b, c and 1 more",
        "a, b, c, d",
        "a, b, c, d",
    ]
    assert [first_few("abcd", most, "; ") for most in (2, 4)] == ["a; b; and 2 more", "a; b; c; d"]
