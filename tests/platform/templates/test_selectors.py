"""What selectors weigh, and what they may be about."""

import time

import pytest

from tabellion.platform.templates.selectors import is_of_doing, selectors_of, subject, weight


@pytest.mark.parametrize(
    ("selector", "weighs"),
    [
        ("*", (0, 0, 0)), ("td a", (0, 0, 2)), (".a.b", (0, 2, 0)), ("#t > p.a", (1, 1, 1)), ("a[href='x.y#z']", (0, 1, 1)),
        ("a:hover::after", (0, 1, 2)), ("p:first-line", (0, 0, 2)), ("p:not(.a)", (0, 1, 1)), ("li:nth-child(2n+1)", (0, 1, 1)),
        ("u + .body .x", (0, 2, 1)), ("", (0, 0, 0)),
    ],
)  # fmt: skip
def test_ids_weigh_more_than_classes_and_these_more_than_elements(selector: str, weighs: tuple[int, int, int]) -> None:
    assert weight(selector) == weighs


def test_commas_part_selectors_where_they_are_no_part_of_one() -> None:
    assert selectors_of(" a , .b:is(c,d) , e[f='g,h'] ,, ") == ["a", ".b:is(c,d)", "e[f='g,h']"]
    assert [is_of_doing(each) for each in ("a:hover", "a:hover, a:focus", "a, a:hover", ".hover", "")] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert [subject(each) for each in ("td > A.Btn#i:hover", "[x] :hover", "a:not(.c):hover")] == [
        {"a", ".btn", "#i"}, frozenset(), {"a"},
    ]  # fmt: skip


def test_long_ones_take_no_time() -> None:
    began_at = time.process_time()
    for part in ("(", "[", "'", '"', ",", ":is(", ":", ".", "#", " a", "a,", "::", ")("):
        for each in selectors_of(part * 30_000)[:1]:
            weight(each)
            subject(each)
        is_of_doing(part * 30_000)
    assert time.process_time() - began_at < 5
