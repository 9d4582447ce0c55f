"""Addresses and query strings as they come."""

import pytest

from tabellion.kit.problem import Invalid
from tabellion.platform.http.paths import LEGACY_V4, LEGACY_V5, decode_segment, normalise, split_matrix
from tabellion.platform.http.query import Query


@pytest.mark.parametrize(
    ("raw", "family", "path"),
    [
        ("/v4/entity", "", "/v4/entity"),
        ("", "", "/"),
        ("//v4///entity//", "", "/v4/entity"),
        ("/v4/entity%20", "", "/v4/entity"),
        ("/v4/entity%20%20 /", "", "/v4/entity"),
        ("/v4/entity/%20/ /", "", "/v4/entity"),
        ("/%20", "", "/"),
        ("/v4/a%20b/c", "", "/v4/a%20b/c"),
        ("/v4/a%20/c", "", "/v4/a%20/c"),
        ("/ActitoWebServices/ws/v4/entity", LEGACY_V4, "/v4/entity"),
        ("/ActitoWebServices/v4/entity", "", "/ActitoWebServices/v4/entity"),
        ("/actito-publicapi/v5/x", LEGACY_V5, "/v5/x"),
        ("/profiles/v4/x", "/profiles", "/v4/x"),
        ("/profiles/v4", "/profiles", "/v4"),
        ("/profiles/v6/x", "", "/profiles/v6/x"),
        ("/others/v4/x", "", "/others/v4/x"),
        ("/profiles/profiles/v4/x", "", "/profiles/profiles/v4/x"),
    ],
)
def test_addresses_lose_one_family(raw: str, family: str, path: str) -> None:
    assert normalise(raw.encode()) == (family, path)


@pytest.mark.parametrize(
    ("raw", "text"),
    [("a+b", "a+b"), ("a%2Bb", "a+b"), ("a%2fb%3B", "a/b;"), ("é".encode().decode("latin-1"), "é"), ("%C3%A9", "é"),
     ("100%", "100%"), ("%4", "%4"), ("%zz%41", "%zzA"), ("%2541", "%41"), ("%FF", "\ufffd")],
)  # fmt: skip
def test_segments_are_decoded_once(raw: str, text: str) -> None:
    assert decode_segment(raw) == text


@pytest.mark.parametrize(
    ("raw", "name", "matrix"),
    [
        ("VIP", "VIP", {}),
        ("VIP%20x;category=Gold%2B+", "VIP x", {"category": "Gold++"}),
        ("VIP;category=", "VIP", {"category": ""}),
        ("VIP%3Bcategory=Gold", "VIP;category=Gold", {}),
        ("VIP;colour=red", "VIP;colour=red", {}),
        ("a;category=b;category=c", "a", {"category": "b;category=c"}),
    ],
)
def test_a_category_stands_behind_a_semicolon(raw: str, name: str, matrix: dict[str, str]) -> None:
    assert split_matrix(raw) == (name, matrix)


@pytest.mark.parametrize(
    ("raw", "pairs"),
    [
        (b"", []),
        (b"??a=1", [("a", "1")]),
        (b"&a=1&&b=2&", [("a", "1"), ("b", "2")]),
        (b"=1&a", [("a", "")]),
        (b"a=b=c&a=2&A=3", [("a", "b=c"), ("a", "2"), ("A", "3")]),
        (b"a+b=c+d%2Be", [("a b", "c d+e")]),
        (b"%61=%C3%A9%", [("a", "é%")]),
    ],
)
def test_a_query_is_read_leniently(raw: bytes, pairs: list[tuple[str, str]]) -> None:
    query = Query.parse(raw)
    assert list(query.pairs) == pairs
    assert query.all("a") == [value for name, value in pairs if name == "a"]
    assert query.first("a") == next((value for name, value in pairs if name == "a"), None)


@pytest.mark.parametrize("default", [True, False])
@pytest.mark.parametrize(
    ("raw", "flag"),
    [
        (b"a=true", True),
        (b"a=+TRUE+", True),
        (b"a=1", True),
        (b"a=False", False),
        (b"a=0", False),
        (b"a=", None),
        (b"", None),
    ],
)
def test_a_flag_is_a_word_or_a_digit(raw: bytes, flag: bool | None, *, default: bool) -> None:
    assert Query.parse(raw).flag("a", default=default) is (default if flag is None else flag)


@pytest.mark.parametrize("raw", [b"a=yes", b"a=2", b"a=+"])
def test_a_flag_is_nothing_else(raw: bytes) -> None:
    with pytest.raises(Invalid) as refusal:
        Query.parse(raw).flag("a", default=True)
    assert [(fault.field, fault.code) for fault in refusal.value.errors] == [("a", "parameter.invalid")]
