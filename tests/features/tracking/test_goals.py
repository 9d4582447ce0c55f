"""Parameters that a campaign's links carry: what may be said, and that addresses lead where they led."""

import random
import string
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from tabellion.features import tracking
from tabellion.features.campaigns.goals import BadGoals, complete, read
from tabellion.features.delivery import Document, for_header
from tabellion.features.delivery.addresses import with_parameters
from tabellion.features.delivery.composing import counted_address
from tabellion.platform import secrets
from tests.features.delivery.conftest import DOCUMENT

GOALS = (("utm_source", "example.com"), ("utm_campaign", "Spring & more"))
ADDED = "utm_source=example.com&utm_campaign=Spring%20%26%20more"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://a.example", f"https://a.example?{ADDED}"),
        ("https://a.example/x#top", f"https://a.example/x?{ADDED}#top"),
        ("https://a.example/x?", f"https://a.example/x?{ADDED}"),
        ("https://a.example/x?#", f"https://a.example/x?{ADDED}#"),
        ("https://a.example/x?a=1", f"https://a.example/x?a=1&{ADDED}"),
        ("https://a.example/x?a=1&", f"https://a.example/x?a=1&{ADDED}"),
        ("https://a.example/x?a=b?c#d?e#f", f"https://a.example/x?a=b?c&{ADDED}#d?e#f"),
        ("https://a.example/#/route?x=1", f"https://a.example/?{ADDED}#/route?x=1"),
        # What the author has said stays, however it is spelt.
        ("https://a.example/?utm_source=own", "https://a.example/?utm_source=own&utm_campaign=Spring%20%26%20more"),
        ("https://a.example/?UTM%5Fsource=own", "https://a.example/?UTM%5Fsource=own&utm_campaign=Spring%20%26%20more"),
        ("https://a.example/?utm_source&utm_campaign", "https://a.example/?utm_source&utm_campaign"),
        ("https://a.example/?sig=a%2Bb%3D&x=%zz&y=é", f"https://a.example/?sig=a%2Bb%3D&x=%zz&y=é&{ADDED}"),
        ("https://user:p@a.example:8443//x;v=1?a", f"https://user:p@a.example:8443//x;v=1?a&{ADDED}"),
    ],
)
def test_parameters_stand_behind_those_that_are_there(address: str, expected: str) -> None:
    assert with_parameters(address, GOALS) == expected


def test_hostile_addresses_stay_what_they_are() -> None:
    rng = random.Random(11)
    alphabet = string.printable + "éß漢\u202e\x00\x7f%%%%&&&&====????####;;++//"
    for _ in range(20_000):
        address = "https://a.example" + "".join(rng.choice(alphabet) for _ in range(rng.randrange(40)))
        made = with_parameters(address, GOALS)
        before, _, fragment = address.partition("#")
        start, _, end = made.partition("#")
        assert end == fragment
        assert start.startswith(before.rstrip("?") if before.endswith("?") else before)
        assert start[len(before.rstrip("?")) :].isascii()
        # For a header: one line of ASCII, and nothing but encoding has changed.
        header = for_header(made)
        assert header.isascii()
        assert header.isprintable()
        assert " " not in header
        assert unquote(header, errors="replace") == unquote(made, errors="replace")


def test_what_arrives_is_what_was_said() -> None:
    goals = read("utm_campaign=Spring+%26+more&g=%E6%BC%A2&empty=")
    assert goals == (("utm_campaign", "Spring & more"), ("g", "漢"), ("empty", ""))
    query = urlsplit(with_parameters("https://a.example/?a=1", goals)).query
    assert parse_qsl(query, keep_blank_values=True) == [("a", "1"), *goals]


def test_a_word_alone_names_the_campaign_and_what_is_usual_is_filled_in() -> None:
    assert read("Spring 2027") == (("utm_campaign", "Spring 2027"),)
    assert complete(read("Spring"), "news@example.com") == (
        ("utm_source", "example.com"),
        ("utm_medium", "email"),
        ("utm_campaign", "Spring"),
    )
    assert complete(read("utm_medium=mail&utm_id=1"), "n@example.com")[0] == ("utm_source", "example.com")
    assert complete(read("ref=mail"), "n@example.com") == (("ref", "mail"),)
    assert read(None) == read("  ") == ()


@pytest.mark.parametrize(
    "text",
    ["a=1&b", "a b=1", "=1", "a=1&a=2", "a=1&A=2", "a=%0d%0aX", "é=1", "a=%ff", "x=" + "y" * 600, "a\n=1",
     "&".join(f"p{i}=1" for i in range(30))],
)  # fmt: skip
def test_what_cannot_be_put_into_addresses_is_refused(text: str) -> None:
    with pytest.raises(BadGoals):
        read(text)


@pytest.mark.parametrize("length", [100, 4_900, 5_900, 20_000])
def test_a_link_leads_where_it_says_however_long_it_is(length: int, tmp_path: Path) -> None:
    """By the server, as far as addresses may be that long on their way; by itself beyond that."""
    secrets.use_key("of the tests", tmp_path)
    link = f"https://a.example/?q={'x' * length}"
    document = Document(entity_id=1, table_id=1, tracking="https://mail.example", goals=GOALS, **DOCUMENT)
    address = counted_address(document, 1, 1, 0, link)
    if address.startswith("https://mail.example/t/c/"):
        token, _, sealed = address.removeprefix("https://mail.example/t/c/").partition("/")
        assert len(sealed) <= 8000
        address = tracking.target_of(token, sealed) or ""
    else:
        assert length > 5_000
    assert address == f"{link}&{ADDED}"
