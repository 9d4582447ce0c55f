"""JSON that is well-formed and yet cannot be read."""

import pytest

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
