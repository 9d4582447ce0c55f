"""JSON that is well-formed and yet cannot be read."""

import time

import pytest

from tabellion.kit.problem import Invalid
from tabellion.platform.http import json_codec


@pytest.mark.parametrize("number", ["1" * 5000, "-" + "1" * 5000, "1e" + "9" * 30, "1E-" + "9" * 30], ids=lambda n: n[:8])
def test_a_number_beyond_all_measure_is_a_fault_of_the_body(number: str) -> None:
    with pytest.raises(json_codec.JsonSyntax, match="too many digits"):
        json_codec.decode(f'{{"value": {number}}}'.encode())


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "9" * 5000, "1e" + "9" * 30], ids=lambda n: n[:9])
def test_what_is_no_number_is_found_by_line_and_column(number: str) -> None:
    with pytest.raises(json_codec.JsonSyntax) as refusal:
        json_codec.decode(f'{{"text": "NaN \\" Infinity",\n  "value": {number}}}'.encode())
    assert (refusal.value.line, refusal.value.column) == (2, 12)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'"' + b'\\"' * 500_000 + b"[" * 70, "no closing quote"),
        (b"[" + (b"1" * 4300 + b",") * 200 + b"1" * 5000 + b"]", "too many digits"),
        (b"[" + b'"' + b'\\"' * 400_000 + b'", NaN]', "NaN is no JSON number"),
    ],
    ids=["quotes", "digits", "NaN"],
)
def test_the_time_for_a_hostile_body_grows_with_its_length_only(body: bytes, said: str) -> None:
    begun = time.process_time()
    with pytest.raises(json_codec.JsonSyntax, match=said):
        json_codec.decode(body)
    assert time.process_time() - begun < 2


def test_a_long_name_is_not_repeated_at_each_of_its_values() -> None:
    begun = time.process_time()
    body = b'{"' + b"n" * 1_000_000 + b'": [' + b'"\\u0000",' * 60_000 + b"1]}"
    with pytest.raises(Invalid) as refusal:
        json_codec.decode(body)
    assert (len(refusal.value.errors), refusal.value.errors[0].field) == (1000, "n" * 100 + "[0]")
    assert time.process_time() - begun < 2
