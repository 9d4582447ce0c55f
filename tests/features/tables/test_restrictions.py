"""Restrictions of values: what makes sense, their canonical form, and patterns that cannot be abused."""

import time
from datetime import UTC
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tabellion.features.tables.model import Attribute, ValueRestriction
from tabellion.features.tables.types.base import BadValue
from tabellion.features.tables.types.pattern import BadPattern, compile_pattern
from tabellion.features.tables.types.predefined import PREDEFINED
from tabellion.features.tables.types.registry import parse_value
from tabellion.features.tables.types.restriction import Fault, canonical


def attribute(type_: str, **limits: Any) -> Attribute:
    predefined = PREDEFINED.get(type_)
    kind, base = (type_, predefined.value_type.name) if predefined else ("CUSTOM", type_)
    made = Attribute(number=1, name="x", type=kind, value_type=base)
    restriction = canonical(made, ValueRestriction(**limits), ZoneInfo("Europe/Brussels"))
    assert isinstance(restriction, ValueRestriction), restriction
    return Attribute(number=1, name="x", type=kind, value_type=base, restriction=restriction)


@pytest.mark.parametrize(
    ("type_", "limits", "good", "bad"),
    [
        ("STRING", {"min_length": 2, "max_length": 3}, ["ab", "abc", "\U0001f600\U0001f600"], ["a", "abcd", ""]),
        ("STRING", {"accepted_values": ("SPA", "")}, ["SPA", ""], ["spa", "GOLF"]),
        ("STRING", {"pattern": "[A-Z]{2}\\d+"}, ["BE1"], ["xBE1", "BE1x", "BE1\n", ""]),
        ("STRING", {"pattern": "[Éà].\\pL"}, ["Été", "à🌊é"], ["Ete", "Étée", "É\u00a0\u00a0"]),
        ("INTEGER", {"min": 1, "max": "10"}, [1, 10, "5"], [0, 11]),
        ("NUMBER", {"accepted_values": (Decimal("2.50"), "1")}, ["2.5", 1], ["2.51"]),
        ("DATE", {"min": "01/03/2027"}, ["2027-03-01"], ["2027-02-28"]),
        ("TIMESTAMP", {"max": "2027-03-01 01:00:00"}, ["2027-03-01T00:00:00Z"], ["2027-03-01T00:00:01Z"]),
        ("BOOLEAN", {"accepted_values": ("true",)}, [True], [False]),
        ("MOTHER_LANGUAGE", {"accepted_values": ("nl", "FR")}, ["NL", "fr"], ["EN"]),
        ("GSM_NUMBER", {"accepted_values": ("0032470123456",)}, ["+32 470 12 34 56"], ["+32470123457"]),
    ],
)
def test_values_are_judged(type_: str, limits: dict[str, Any], good: list[Any], bad: list[Any]) -> None:
    of = attribute(type_, **limits)

    for value in good:
        parse_value(of, value, UTC)
    for value in bad:
        with pytest.raises(BadValue) as refusal:
            parse_value(of, value, UTC)
        assert refusal.value.code == "attribute.value"
    assert parse_value(of, None, UTC) is None


def test_the_canonical_form_is_what_values_look_like() -> None:
    assert attribute("TIMESTAMP", min="01/03/2027 08:00:00").restriction == ValueRestriction(min="2027-03-01T07:00:00.000Z")
    assert attribute("INTEGER", max="10").restriction == ValueRestriction(max=10)
    assert attribute("SEX", accepted_values=("f",)).restriction == ValueRestriction(accepted_values=("F",))
    assert attribute("DATE", accepted_values=("01/03/2027",)).restriction == ValueRestriction(
        accepted_values=("2027-03-01",)
    )
    # What leaves one value, or a text without length, is narrow and no nonsense.
    assert attribute("INTEGER", min=3, max="3").restriction == ValueRestriction(min=3, max=3)
    assert attribute("STRING", min_length=0, max_length=0).restriction == ValueRestriction(min_length=0, max_length=0)


@pytest.mark.parametrize(
    ("type_", "limits", "members"),
    [
        ("INTEGER", {"min_length": 1, "pattern": "x"}, ["minLength", "pattern"]),
        ("INTEGER", {"pattern": "("}, ["pattern"]),
        ("STRING", {"min": "a"}, ["min"]),
        ("BOOLEAN", {"max": True}, ["max"]),
        ("STRING", {"min_length": 3, "max_length": 2}, [""]),
        ("STRING", {"max_length": -1}, [""]),
        ("INTEGER", {"min": 3, "max": 2}, [""]),
        ("INTEGER", {"min": "", "max": "x"}, ["min", "max"]),
        ("INTEGER", {"accepted_values": (1, None, "", "x", [1])}, [f"acceptedValues[{i}]" for i in (1, 2, 3, 4)]),
        ("STRING", {"accepted_values": ()}, ["acceptedValues"]),
        ("STRING", {"accepted_values": tuple(range(5001))}, ["acceptedValues"]),
        ("ADDRESS_COUNTRY", {"accepted_values": ("BE", "ZZ")}, ["acceptedValues[1]"]),
        ("STRING", {"pattern": "("}, ["pattern"]),
        ("STRING", {"pattern": "(a)\\1"}, ["pattern"]),
        ("STRING", {"pattern": "(?=a)a"}, ["pattern"]),
        ("STRING", {"pattern": "((a{100}){100}){100}"}, ["pattern"]),
        ("STRING", {"pattern": "x" * 501}, ["pattern"]),
    ],
)
def test_nonsense_is_refused_with_its_place(type_: str, limits: dict[str, Any], members: list[str]) -> None:
    predefined = PREDEFINED.get(type_)
    of = Attribute(1, "x", type_ if predefined else "CUSTOM", predefined.value_type.name if predefined else type_)

    faults = canonical(of, ValueRestriction(**limits), UTC)

    assert isinstance(faults, list)
    assert [fault.member for fault in faults] == members
    assert all(isinstance(fault, Fault) and fault.message for fault in faults)


def test_a_pattern_is_refused_in_words() -> None:
    with pytest.raises(BadPattern, match=r"^not a regular expression: invalid perl operator: \(\?="):
        compile_pattern("(?=a)a")


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(a|aa)+$b", "(.*)*x", "([a-z]+)*\\d", "(a?){200}a{200}"])
def test_a_hostile_pattern_costs_no_more_than_the_length_of_the_value(pattern: str) -> None:
    matches = compile_pattern(pattern)
    long = "a" * 65_535

    began = time.process_time()
    assert not matches(long + "!")
    # A backtracking engine would need longer than the universe is old; the bound leaves room for a busy machine.
    assert time.process_time() - began < 5


def test_a_bad_pattern_says_why() -> None:
    with pytest.raises(BadPattern, match="regular expression"):
        compile_pattern("[z-a]")
