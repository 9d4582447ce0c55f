"""XML as people and libraries write it, next to its JSON twin: byte by byte, where a generated document would not get."""

from typing import NamedTuple

import pytest

from tests.support.formats import XSI
from tests.support.twins import ENTITY, KNOWN_ID, Twins

PROFILES = ENTITY + "/table/{t}/profile"
_KNOWN = '{"name": "emailAddress", "value": "known@example.com"}'
_KNOWN_XML = "<attribute><name>emailAddress</name><value>known@example.com</value></attribute>"


class Case(NamedTuple):
    """Two bodies that are one document, and what becomes of it. `code` is empty for success."""

    name: str
    json: str
    xml: str | bytes
    code: str = ""


def _text(name: str, json: str, xml: str) -> Case:
    """A value of the attribute `oneSTRING`, as it stands in both formats."""
    return Case(
        name,
        f'{{"attributes": [{_KNOWN}, {{"name": "oneSTRING", "value": {json}}}]}}',
        f"<profile><attributes>{_KNOWN_XML}<attribute><name>oneSTRING</name>{xml}</attribute></attributes></profile>",
    )


def _number(name: str, number: str, code: str) -> Case:
    """A value of the attribute `oneNUMBER`, written the same in both formats."""
    return Case(
        name,
        f'{{"attributes": [{_KNOWN}, {{"name": "oneNUMBER", "value": {number}}}]}}',
        f"<profile><attributes>{_KNOWN_XML}<attribute><name>oneNUMBER</name><value>{number}</value></attribute></attributes></profile>",
        code,
    )


def _flag(flag: str, code: str = "") -> Case:
    """A choice for a subscription and a BOOLEAN, written the same in both formats."""
    return Case(
        f"the flag {flag}",
        (
            f'{{"attributes": [{_KNOWN}, {{"name": "oneBOOLEAN", "value": {flag}}}],'
            f' "subscriptions": [{{"name": "Newsletter", "subscribe": {flag}}}]}}'
        ),
        (
            f"<profile><attributes>{_KNOWN_XML}<attribute><name>oneBOOLEAN</name><value>{flag}</value></attribute></attributes>"
            f"<subscriptions><subscription><name>Newsletter</name><subscribe>{flag}</subscribe></subscription></subscriptions>"
            "</profile>"
        ),
        code,
    )


def _many(name: str, json: str, xml: str) -> Case:
    """The `values` or the `value` of the attribute `manySTRING`."""
    return Case(
        name,
        f'{{"attributes": [{_KNOWN}, {{"name": "manySTRING", {json}}}]}}',
        f"<profile><attributes>{_KNOWN_XML}<attribute><name>manySTRING</name>{xml}</attribute></attributes></profile>",
    )


def _nested(levels: int, code: str) -> Case:
    """A value that makes the document so many levels deep; the body, its list and the attribute are the first three."""
    inner = levels - 3
    return _text(
        f"{levels} levels", "[" * inner + "1" + "]" * inner, "<value>" * (inner + 1) + "1" + "</value>" * (inner + 1)
    )._replace(code=code)


WRITTEN = [
    _text("character data", '"a < b & c"', "<value><![CDATA[a < b & c]]></value>"),
    _text("pieces of character data", '"a]]>b"', "<value><![CDATA[a]]]]><![CDATA[>b]]></value>"),
    _text("comments inside a text", '"ab c"', "<value>a<!-- x -->b<?an instruction?> c</value>"),
    _text("comments around it", '"ab"', "<!-- x --><value>ab</value><!-- y -->"),
    _text("entities", '"<&>\\"\'"', "<value>&lt;&amp;&gt;&quot;&apos;</value>"),
    _text("numbered characters", '"a\\nb\\r\\tc\\u00e9\\ud83d\\ude00"', "<value>a&#10;b&#13;&#x9;c&#xe9;&#128512;</value>"),
    _text("line ends are one character", '"a\\nb\\nc"', "<value>a\r\nb\rc</value>"),
    _text("blanks are kept", '" \\n x \\t"', "<value> \n x \t</value>"),
    _text("blanks alone", '"  "', "<value>  </value>"),
    _text("empty text", '""', "<value/>"),
    _text("empty text, two tags", '""', "<value></value>"),
    _text("empty character data", '""', "<value><![CDATA[]]></value>"),
    _text("nil", "null", f'<value xmlns:xsi="{XSI}" xsi:nil="true"/>'),
    _text("nil as a number, another prefix", "null", f'<value xmlns:i="{XSI}" i:nil="1"/>'),
    _text("not nil", '""', f'<value xmlns:xsi="{XSI}" xsi:nil="false"/>'),
    _text("attributes mean nothing", '"x"', '<value lang="nl">x</value>'),
    _many("a list of one", '"values": ["a"]', "<values><value>a</value></values>"),
    _many("a list of one under value", '"value": ["a"]', "<value><value>a</value></value>"),
    _many("an empty list", '"values": []', "<values/>"),
    _many("an empty list with a comment", '"values": []', "<values><!-- none --></values>"),
    _many("an empty list on two lines", '"values": []', "<values>\n  </values>"),
    _many("a scalar for a list", '"values": "a"', "<values>a</values>"),
    _many("a text without a list", '"value": "a"', "<value>a</value>"),
    _many("an empty text in a list", '"values": [""]', "<values><value/></values>"),
    _many(
        "null in a list", '"values": ["a", null]', f'<values xmlns:i="{XSI}"><value>a</value><value i:nil="true"/></values>'
    ),
    Case(
        "a default namespace",
        f'{{"attributes": [{_KNOWN}]}}',
        f'<profile xmlns="urn:x"><attributes>{_KNOWN_XML}</attributes></profile>',
    ),
    Case(
        "a member twice",
        '{"attributes": [], "attributes": []}',
        "<profile><attributes/><attributes/></profile>",
        "request.malformed",
    ),
    _number("an exponent", "1e3", ""),
    _number("many digits", "1" * 61, "attribute.value"),
    _number("many digits after the point", "0." + "1" * 61, "attribute.value"),
    _number("many zeros after the point", "2." + "0" * 61, ""),
    _number("a large exponent", "1e9999", "attribute.value"),
    *(_flag(flag) for flag in ("true", "false", "1", "0", "1.0", "0.0", "10e-1")),
    *(_flag(flag, "member.type") for flag in ("2", "1.5", "-1", "1e9999")),
    Case(
        "numbers for texts",
        (
            f'{{"attributes": [{_KNOWN}], "subscriptions": [{{"name": "Newsletter", "subscribe": 0}}],'
            ' "segmentations": [{"name": "Floor", "category": 2}, {"belongs": 1, "segmentation": {"name": "Vip", "category": true}}],'
            ' "dataCollectionInformation": {"source": 12, "way": 2.50}}'
        ),
        (
            f"<profile><attributes>{_KNOWN_XML}</attributes>"
            "<subscriptions><subscription><name>Newsletter</name><subscribe>0</subscribe></subscription></subscriptions>"
            "<segmentations><segmentation><name>Floor</name><category>2</category></segmentation><segmentation><belongs>1</belongs>"
            "<segmentation><name>Vip</name><category>true</category></segmentation></segmentation></segmentations>"
            "<dataCollectionInformation><source>12</source><way>2.50</way></dataCollectionInformation></profile>"
        ),
    ),
    Case(
        "numbers for names",
        '{"attributes": [{"name": 12, "value": 1}], "segmentations": [{"name": 1e3}]}',
        (
            "<profile><attributes><attribute><name>12</name><value>1</value></attribute></attributes>"
            "<segmentations><segmentation><name>1000</name></segmentation></segmentations></profile>"
        ),
        "attribute.mandatory",
    ),
    _nested(64, "attribute.type"),
    _nested(65, "request.malformed"),
    Case("a text for a document", '"x"', "<profile>x</profile>", "member.type"),
    Case("a text for a list", '{"attributes": "x"}', "<profile><attributes>x</attributes></profile>", "member.type"),
    Case(
        "a no-break space for a list",
        '{"attributes": "\u00a0"}',
        "<profile><attributes>&#160;</attributes></profile>",
        "member.type",
    ),
    Case(
        "a text for an object in a list",
        '{"attributes": ["x"]}',
        "<profile><attributes><attribute>x</attribute></attributes></profile>",
        "member.type",
    ),
    Case(
        "a text for an object",
        f'{{"attributes": [{_KNOWN}], "dataCollectionInformation": "x"}}',
        (
            f"<profile><attributes>{_KNOWN_XML}</attributes>"
            "<dataCollectionInformation><![CDATA[x]]></dataCollectionInformation></profile>"
        ),
        "member.type",
    ),
    Case(
        "an object for a list",
        '{"attributes": {"emailAddress": "known@example.com"}}',
        "<profile><attributes><emailAddress>known@example.com</emailAddress></attributes></profile>",
        "member.type",
    ),
    Case(
        "ISO-8859-1",
        '{"attributes": [{"name": "emailAddress", "value": "known@example.com"}, {"name": "lastName", "value": "Zoë"}]}',
        (
            '<?xml version="1.0" encoding="ISO-8859-1"?>'
            f"<profile><attributes>{_KNOWN_XML}<attribute><name>lastName</name><value>Zoë</value></attribute></attributes></profile>"
        ).encode("latin-1"),
    ),
    Case(
        "a byte-order mark",
        f'\ufeff{{"attributes": [{_KNOWN}]}}',
        f"\ufeff<profile><attributes>{_KNOWN_XML}</attributes></profile>",
    ),
]


@pytest.mark.parametrize("case", WRITTEN, ids=lambda case: case.name)
def test_xml_is_read_as_its_json_twin(case: Case, pair: Twins) -> None:
    before = pair.state()
    xml = case.xml if isinstance(case.xml, bytes) else case.xml.encode()

    answer = pair.write_raw("POST", PROFILES, case.json.encode(), xml)

    assert answer.status == (400 if case.code else 200), answer
    after = pair.state()
    if case.code:
        assert answer.body["code"] == case.code
        assert after == before


NOTHING = [
    ("nothing", "", ""),
    ("blanks", " \n", " \n"),
    ("null", "null", f'<subscription xmlns:xsi="{XSI}" xsi:nil="true"/>'),
    ("an empty list", "[]", "<subscription/>"),
    ("an empty object, written wide", "{ }", "<subscription>\n</subscription>"),
]


@pytest.mark.parametrize(("json", "xml"), [case[1:] for case in NOTHING], ids=[case[0] for case in NOTHING])
def test_a_body_that_says_nothing_is_no_body(json: str, xml: str, pair: Twins) -> None:
    answer = pair.write_raw("POST", f"{PROFILES}/{KNOWN_ID}/subscription/Weekly%20offers", json.encode(), xml.encode())

    assert answer.status == 200, answer
    assert answer.body["subscribe"] == "true"
    pair.state()
