"""One document in two formats, written and read by the contract's rules and not by the product's own codecs.

Documents are dict, list, str, int, Decimal, bool and None. Answers of both formats are read into one shape, in which all
scalars are text, for XML knows no other.
"""

import json
from decimal import Decimal
from typing import Any, NamedTuple

from lxml import etree

XSI = "http://www.w3.org/2001/XMLSchema-instance"
_NIL = f"{{{XSI}}}nil"
_PLURALS = "attributes values subscriptions segmentations profiles profileTableNames interactions errors acceptedValues records customTables"
SINGULAR = {plural: plural[:-1] for plural in _PLURALS.split()} | {
    "categories": "category",
    "entities": "entity",
    "properties": "property",
}


class Style(NamedTuple):
    """How XML is written; none of it may make a difference."""

    encoding: str = "UTF-8"
    indented: bool = False
    comments: bool = False
    cdata: bool = False


PLAIN = Style()


def as_json(document: Any) -> bytes:
    """The document in JSON; numbers with as many digits, and the exponent, that they have."""
    return _json(document).encode()


def _json(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: {_json(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_json, value)) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


def as_xml(document: Any, root: str, style: Style = PLAIN) -> bytes:
    """The document in XML; a document that XML cannot tell from another one is a mistake of the test."""
    element = etree.Element(root, nsmap={"xsi": XSI})
    _fill(element, document)
    if style.indented:
        etree.indent(element)
    for part in list(element.iter()):
        _decorate(part, style)
    return etree.tostring(element, encoding=style.encoding, xml_declaration=True)


def _fill(element: Any, value: Any) -> None:
    singular = SINGULAR.get(element.tag, element.tag)
    if value is None:
        element.set(_NIL, "true")
    elif isinstance(value, dict):
        assert set(value) != {singular}, f"no XML form: {element.tag} with {value}"
        for name, member in value.items():
            _fill(etree.SubElement(element, name), member)
    elif isinstance(value, list):
        assert value == [] or element.tag in {*SINGULAR, "value"}, f"no XML form: {element.tag} with {value}"
        for item in value:
            _fill(etree.SubElement(element, singular), item)
    else:
        element.text = as_text(value)


def _decorate(element: Any, style: Style) -> None:
    text = element.text or ""
    if style.comments:
        middle = len(text) // 2
        element.insert(0, etree.Comment(" a comment "))
        element.insert(1, etree.PI("an", "instruction"))
        element.text, element[1].tail = text[:middle], text[middle:]
    elif style.cdata and style.encoding == "UTF-8" and text and "]]>" not in text and "\r" not in text:
        element.text = etree.CDATA(text)


def as_text(value: Any) -> str:
    """A scalar as XML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def read_json(content: bytes) -> Any:
    """A JSON answer in the common shape."""
    return _texts(json.loads(content, parse_float=Decimal))


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        if "segmentation" in value and value["segmentation"] == value.get("segmentations"):
            # Twice the same list in JSON, because integrations read either name; once in XML.
            value = {"segmentations": value["segmentations"]}
        return {name: _texts(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    return None if value is None else as_text(value)


def read_xml(content: bytes) -> Any:
    """An XML answer in the common shape; one that is only a list has that list as root."""
    root = etree.fromstring(content)
    return {root.tag: _read(root)} if root.tag in SINGULAR else _read(root)


def _read(element: Any) -> Any:
    if element.get(_NIL) == "true":
        return None
    children = list(element)
    if element.tag in SINGULAR:
        assert {child.tag for child in children} <= {SINGULAR[element.tag]}
        if children and "name" in children[0].attrib:
            return {child.get("name"): _read(child) for child in children}
        return [_read(child) for child in children]
    if children:
        assert not (element.text or "").strip()
        return {child.tag: _read(child) for child in children}
    return element.text or ""
