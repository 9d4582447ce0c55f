"""Headers that name a state or a call, as they come from clients and what lies between."""

import pytest

from tabellion.kit.problem import Invalid
from tabellion.platform.http import etag
from tabellion.platform.http.idempotency import MAX_KEY_LENGTH, read_key
from tabellion.platform.http.problems import EtagMismatch


@pytest.mark.parametrize(
    ("header", "current", "matches"),
    [
        (None, None, True),
        (None, "1-a", True),
        ('"1-a"', "1-a", True),
        ("1-a", "1-a", True),
        (' "0-b" , "1-a" ,', "1-a", True),
        ("*", "1-a", True),
        ("*", None, False),
        ('"1-a"', None, False),
        ('"0-b"', "1-a", False),
        ('W/"1-a"', "1-a", False),
        ('W/"1-a", "1-a"', "1-a", True),
        ("", "1-a", False),
        ("", "", False),
    ],
)
def test_if_match(header: str | None, current: str | None, *, matches: bool) -> None:
    if matches:
        etag.require_match(header, current)
        return
    with pytest.raises(EtagMismatch) as refusal:
        etag.require_match(header, current)
    assert ("weak tag" in str(refusal.value)) == ("W/" in (header or ""))


@pytest.mark.parametrize(
    ("header", "known", "every"),
    [
        (None, False, False),
        ("", False, False),
        ('"1-a"', True, False),
        ('W/"1-a"', True, False),
        ('"0-b"', False, False),
        ('"0-b", W/"1-a"', True, False),
        ("*", True, True),
        ('"0-b", *', True, True),
    ],
)
def test_if_none_match(header: str | None, *, known: bool, every: bool) -> None:
    assert (etag.is_known(header, "1-a"), etag.names_any(header)) == (known, every)


@pytest.mark.parametrize(
    "header", [None, "", "*", '"a"', 'W/"a"', '"1-a", , W/"b"', "l7f", "7f-0a", "1-2-3f", '""', '"what?"']
)
def test_a_list_of_tags_is_one(header: str | None) -> None:
    etag.check(header)


@pytest.mark.parametrize(
    "header", ["a", "7f", "l", "l7g", "7f-", "W/1-a", '"a', '"a" "b"', "**", 'w/"a"', f'"a", {"x" * 80}']
)
def test_what_is_no_list_of_tags_is_named(header: str) -> None:
    with pytest.raises(Invalid) as refusal:
        etag.check(header)
    (fault,) = refusal.value.errors
    assert fault.code == "parameter.invalid"
    assert fault.field == "If-Match"
    assert "x" * 61 not in fault.message


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("abc", "abc"), (' "abc" ', "abc"), ('"a"b"', 'a"b'), ('"abc', '"abc'), ('abc"', 'abc"'), ('"', '"'), ("é b", "é b"),
        ("k" * MAX_KEY_LENGTH, "k" * MAX_KEY_LENGTH), (f'"{"k" * MAX_KEY_LENGTH}"', "k" * MAX_KEY_LENGTH),
    ],
)  # fmt: skip
def test_a_key_of_idempotency_may_stand_in_quotes(header: str, key: str) -> None:
    assert read_key(header) == key


@pytest.mark.parametrize("header", ["", "  ", '""', "a\tb", "k" * (MAX_KEY_LENGTH + 1), f'"{"k" * (MAX_KEY_LENGTH + 1)}"'])
def test_what_is_no_key_of_idempotency_is_refused(header: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read_key(header)
    assert [(fault.field, fault.code) for fault in refusal.value.errors] == [("Idempotency-Key", "parameter.invalid")]
