"""XML by itself: encodings, what is no document of ours, and what answers look like."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from tabellion.kit.problem import Invalid, Malformed, Problem
from tabellion.platform.http.shapes import reader
from tabellion.platform.http.xml_codec import DoctypeRefused, decode, encode, parse, text


class Note(msgspec.Struct, omit_defaults=True):
    """An element of lists."""

    name: str
    value: Any = None
    detail: "Note | None" = None


class Notes(msgspec.Struct):
    """A document of several members."""

    title: str | None
    records: list[Note] = []
    properties: dict[str, Note | str | None] = {}
    later: str | UnsetType = UNSET
    kind: str = "plain"
    first: Note | None = None


class Records(msgspec.Struct):
    """A document that is only a list."""

    records: list[Note]


HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        ("<a>é</a>".encode(), None),
        ("<a>é</a>".encode(), "utf-8"),
        ("\ufeff<a>é</a>".encode(), None),
        ("<a>é</a>".encode("latin-1"), "iso-8859-1"),
        ('<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'.encode("latin-1"), None),
        ("\n<?xml version='1.0'\tencoding = 'latin1' standalone='yes'?>\n<a>é</a>".encode("latin-1"), None),
        # What the header says counts: it may have been changed on the way, and the declaration not.
        ('<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'.encode(), "utf8"),
        ('<?xml version="1.0"?><a>é</a>'.encode(), None),
        ('<?xml version="1.0" encoding="UTF-8"?><!-- x --><?y z?><a>é</a>'.encode(), None),
    ],
)
def test_texts_are_read_in_the_encoding_that_is_said(body: bytes, charset: str | None) -> None:
    assert parse(body, charset).text == "é"


@pytest.mark.parametrize(
    ("body", "charset", "kind", "words"),
    [
        (b"\n<a>\n\xe9</a>", None, Malformed, "line 3: the body is not valid UTF-8"),
        ("<a>é</a>".encode(), "us-ascii", Malformed, "line 1: the body is not valid US-ASCII"),
        (b"<a/>", "ebcdic", Malformed, "the encoding 'ebcdic' is not read; send UTF-8 or ISO-8859-1"),
        ("<a/>".encode("utf-16"), None, Malformed, "the encoding 'utf-16' is not read"),
        ("<a/>".encode("utf-16-be"), "utf-8", Invalid, "a text holds U+0000"),
        (b"\xfe\xff\0<\0a\0/\0>", "utf-8", Malformed, "the encoding 'utf-16' is not read"),
        (b"<a>\0</a>", None, Invalid, "a text holds U+0000"),
        (b"<a>\n  </b>", None, Malformed, "line 2, column 5: mismatched tag"),
        (b' {"a": 1}', None, Malformed, "this looks like JSON"),
        (b"[1]", None, Malformed, "this looks like JSON"),
        (b"<!DOCTYPE a><a/>", None, DoctypeRefused, ": a DOCTYPE is not allowed"),
        (b"<a xmlns:b='c'><b:d/><e:f/></a>", None, Malformed, "line 1, column "),
    ],
)
def test_what_is_no_document_is_refused_in_words(body: bytes, charset: str | None, kind: type[Problem], words: str) -> None:
    with pytest.raises(kind) as refusal:
        parse(body, charset)
    assert type(refusal.value) is kind
    assert words in str(refusal.value)
    assert ("looks like JSON" in str(refusal.value)) == (b"1" in body)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("<notes><title>x</title></notes>", {"title": "x"}),
        ("<notes><!-- x --><title>a<!-- x -->b<?y z?>c</title><?y z?></notes>", {"title": "abc"}),
        ("<notes xmlns='urn:x'><title>x</title></notes>", {"title": "x"}),
        ("<notes xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:nil='true'/>", None),
        ("<notes xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:nil='TRUE'/>", {}),
        ("<notes nil='true'/>", {}),
        (
            "<notes><properties><property name='a'>b</property><property><name>c</name></property></properties></notes>",
            {"properties": {"a": "b", "": {"name": "c"}}},
        ),
        ("<notes><first/><records><record/></records></notes>", {"first": {}, "records": [{}]}),
        ("<notes><records>x<record/></records></notes>", {"records": [{}]}),
        ("<notes><records><record/><other/></records></notes>", {"records": {"record": "", "other": ""}}),
        ("<notes><details>x</details></notes>", {"details": "x"}),
        ("<notes><others><other>1</other><other/></others></notes>", {"others": {"other": ""}}),
        ("<notes><details><detail>1</detail><detail/></details></notes>", {"details": ["1", ""]}),
        ("<notes><details> </details><other> </other></notes>", {"details": [], "other": " "}),
    ],
)
def test_a_document_is_read_by_its_members(body: str, found: object) -> None:
    assert decode(body.encode(), Notes, "notes", None) == found


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("<note/>", "the root element is <note>, <notes> was expected"),
        ("<notes><title/>\n<title/></notes>", "line 2: <title> stands twice in <notes>"),
        ("<notes>\n<properties><records/></properties></notes>", "line 2: <properties> holds <property>, not <records>"),
    ],
)
def test_what_stands_in_the_wrong_place_is_named(body: str, words: str) -> None:
    with pytest.raises(Malformed) as refusal:
        decode(body.encode(), Notes, "notes", None)
    assert str(refusal.value) == words


def test_a_text_for_a_list_is_told_the_element_that_is_expected() -> None:
    class Marks(msgspec.Struct):
        categories: list[str]
        title: str = ""

    with pytest.raises(Invalid, match="'categories' expects a list: elements <category>"):
        reader(Marks).read(decode(b"<marks><categories>x</categories></marks>", Marks, "marks", None), from_xml=True)


def test_a_document_that_is_only_a_list_has_the_list_as_its_root() -> None:
    assert decode(b"<records><record><name>a</name></record></records>", Records, "records", None) == {
        "records": [{"name": "a"}]
    }
    assert encode(Records([Note("a"), Note("b", 1)]), "records").decode() == (
        HEAD + "<records><record><name>a</name></record><record><name>b</name><value>1</value></record></records>"
    )
    # And only then.
    assert encode(Records([]), "note").decode() == HEAD + "<note><records></records></note>"
    assert encode(Note("a", 1), "name").decode() == HEAD + "<name><name>a</name><value>1</value></name>"


def test_an_answer_holds_what_there_is() -> None:
    notes = [Note("<&>", "a\r\n\x00\ud800\ufffe"), Note('"', None, Note("x", value=False)), Note("", Decimal("1E+3"))]
    document = Notes(None, notes, {"a\"<'\x00": "b", "none": None, "note": Note("y", value=True)})
    assert encode(document, "notes").decode() == (
        HEAD + '<notes xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><title xsi:nil="true"/><records>'
        "<record><name>&lt;&amp;&gt;</name><value>a&#13;\n\ufffd\ufffd\ufffd</value></record>"
        '<record><name>"</name><detail><name>x</name><value>false</value></detail></record>'
        "<record><name></name><value>1000</value></record></records>"
        '<properties><property name="a&quot;&lt;\'\ufffd">b</property>'
        '<property name="none" xsi:nil="true"/><property name="note"><name>y</name><value>true</value></property></properties>'
        '<kind>plain</kind><first xsi:nil="true"/></notes>'
    )
    assert encode(Notes("x", first=Note("a")), "notes").decode() == (
        HEAD + "<notes><title>x</title><records></records><properties></properties><kind>plain</kind>"
        "<first><name>a</name></first></notes>"
    )


def test_a_number_is_written_without_an_exponent() -> None:
    assert [text(value) for value in (Decimal("1E-7"), Decimal("2.50"), 10, True)] == ["0.0000001", "2.50", "10", "true"]
