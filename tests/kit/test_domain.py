"""One form of a domain, whatever somebody wrote."""

import time

import pytest

from tabellion.kit.domain import domain_name, in_ascii, readable

NAME = "xn--exmple-cua.com"


@pytest.mark.parametrize(
    "written",
    ["exämple.com", "EXÄMPLE.COM", "ExÄmple.Com", "exa\u0308mple.com", "exämple。com", NAME, NAME.upper(), f" {NAME} "],
)
def test_all_spellings_of_a_domain_have_one_name(written: str) -> None:
    assert domain_name(written) == NAME


@pytest.mark.parametrize(
    "written",
    [
        "ä" * 64 + ".com", ".".join(["ä" * 20] * 12), "ä..com", ".ä", "ä" * 500_000, "ä\u200e.com", "\ud800.com", "a.\u0627a.com", "ä b.com",
        "ä@b.com", "x\t\u00ad", "ä＠b.com",
    ],
)  # fmt: skip
def test_what_has_no_name_in_ascii_is_compared_as_it_is(written: str) -> None:
    began = time.perf_counter()
    assert in_ascii(written) is None
    assert domain_name(written.upper()) == written.lower()
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize("written", ["xn--a.com", "xn--.com", "xn--99999999999.com", "a..b", "-", "", "*", "example.com."])
def test_what_is_in_ascii_stays_whatever_it_means(written: str) -> None:
    assert (in_ascii(written), domain_name(written.upper()), readable(written)) == (written, written, written)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("straße.de", "xn--strae-oqa.de"), ("STRASSE.de", "strasse.de"), ("βόλος.com", "xn--nxasmm1c.com"),
        ("نامه\u200cای.com", "xn--mgba3gch31f060k.com"), ("😀.ws", "xn--e28h.ws"),
    ],
)  # fmt: skip
def test_names_are_those_that_browsers_and_registries_know(written: str, name: str) -> None:
    assert domain_name(written) == name


def test_a_name_is_never_taken_for_a_neighbour() -> None:
    # The older IDNA knows the sign, and makes strasse of it.
    assert in_ascii("straße😀.ws") is None


def test_people_see_the_letters_that_they_know() -> None:
    assert readable(NAME) == readable(NAME.upper()) == "exämple.com"
    assert readable("Example.COM") == "Example.COM"
    assert readable("xn--strae-oqa.de") == "straße.de"
