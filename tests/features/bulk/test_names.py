"""Patterns of file names."""

import time

import pytest

from tabellion.features.bulk.names import NamePattern


@pytest.mark.parametrize(
    ("pattern", "name", "is_one"),
    [
        ("orders_*.csv", "orders_1.csv", True),
        ("orders_*.csv", "ORDERS_.CSV", True),
        ("orders_*.csv", "orders_1.csv.zip", False),
        ("*", "été (1) [x] #~&-.csv", True),
        ("Été (1) [x] #~&-.csv", "été (1) [x] #~&-.csv", True),
        ("guests_$yyyyMMdd.csv", "guests_20270301.csv", True),
        ("guests_$yyyyMMdd.csv", "guests_2027031.csv", False),
        ("$d-$d*", "1-12 x", True),
        ("a.b", "axb", False),
    ],
)
def test_what_matches(pattern: str, name: str, is_one: bool) -> None:
    assert NamePattern(pattern).matches(name) is is_one


@pytest.mark.parametrize(("pattern", "name"), [("*a" * 100 + "*b", "a" * 255), ("$d" * 100 + "_", "1" * 160)])
def test_no_pattern_takes_long(pattern: str, name: str) -> None:
    begun = time.process_time()
    assert not NamePattern(pattern).matches(name)
    assert time.process_time() - begun < 1
