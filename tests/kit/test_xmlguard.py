"""What attacks a parser of XML is refused before a tree is built: a DOCTYPE whatever is in it, and what is too deep or too wide."""

import time

import pytest

from tabellion.kit.xmlguard import MAX_ATTRIBUTES, MAX_DEPTH, MAX_ELEMENTS, XmlRefused, check

LAUGHS = b"".join(b"<!ENTITY a%d '&a%d;&a%d;'>" % (number + 1, number, number) for number in range(30))


def nested(levels: int) -> bytes:
    return b"<a>" * levels + b"</a>" * levels


@pytest.mark.parametrize(
    "declared",
    [
        b"x",
        b"x []",
        b"x [<!ENTITY a 'b'>]",
        b"x SYSTEM 'file:///etc/passwd'",
        b"x PUBLIC '-//X//EN' 'http://127.0.0.1:1/x'",
        b"x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]",
        b"x [<!ENTITY % e SYSTEM 'http://127.0.0.1:1/x'> %e;]",
        b"x [<!ENTITY a0 'ha'>" + LAUGHS + b"]",
        b"x [<!ENTITY a '" + b"a" * 100_000 + b"'>]",
        b"x [<!ATTLIST x y CDATA 'z'>]",
    ],
)
def test_a_doctype_is_refused_at_once_whatever_is_in_it(declared: bytes) -> None:
    began = time.process_time()
    with pytest.raises(XmlRefused) as refused:
        check(b"<?xml version='1.0'?>\n<!DOCTYPE " + declared + b"><x>" + b"&a;&a30;" * 1000 + b"</x>")
    assert refused.value.doctype
    assert refused.value.line == 2
    assert time.process_time() - began < 0.1


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"<a>" * 100_000, "levels"),
        (b"<a>" + b"<b/>" * MAX_ELEMENTS + b"</a>", "elements"),
        (b"<a " + b" ".join(b"b%d='1'" % number for number in range(MAX_ATTRIBUTES + 1)) + b"/>", "attributes"),
        (b"<a>&b;</a>", "entity"),
        (b"<a>", "no element|not well-formed|unclosed"),
    ],
)
def test_what_is_too_deep_or_too_wide_or_broken_is_refused(document: bytes, words: str) -> None:
    with pytest.raises(XmlRefused, match=words) as refused:
        check(document)
    assert not refused.value.doctype


def test_what_is_just_within_is_taken() -> None:
    check(b"<a>" * MAX_DEPTH + b"</a>" * MAX_DEPTH)
    check(b"<a>" + b"<b/>" * (MAX_ELEMENTS - 1) + b"</a>")
    check(b"<a " + b" ".join(b"b%d='1'" % number for number in range(MAX_ATTRIBUTES)) + b"/>")
    # Levels are elements that hold elements, and siblings none.
    check(nested(MAX_DEPTH + 1))
    check(b"<a>" + nested(MAX_DEPTH) * 3 + b"</a>")
    check(b"<a>&lt;&#233;<![CDATA[<!DOCTYPE a>]]><!-- <!DOCTYPE a> --><?b c?></a>")


@pytest.mark.parametrize(
    ("document", "words", "place"),
    [
        (nested(MAX_DEPTH + 2), "more than 64 levels of nesting", (1, 3 * (MAX_DEPTH + 1) + 1)),
        (b"<a><b/><b/>\n" + nested(MAX_DEPTH + 1), "more than 64 levels of nesting", (2, 3 * MAX_DEPTH + 1)),
        (b"<a>\n</b>", "mismatched tag", (2, 3)),
        (b"<a>&b;</a>", "undefined entity", (1, 4)),
        (b"", "no element found", (1, 1)),
        (b"<a/><b/>", "junk after document element", (1, 5)),
    ],
)
def test_a_refusal_tells_the_place(document: bytes, words: str, place: tuple[int, int]) -> None:
    with pytest.raises(XmlRefused) as refused:
        check(document)
    assert (str(refused.value), (refused.value.line, refused.value.column)) == (words, place)
