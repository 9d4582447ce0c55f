"""XML bodies and answers of the v4 calls: the same documents as in JSON, directed by the struct types.

A list is a wrapper named as the member, holding singular elements; a map (`dict`) is the same with a `name` attribute; null
is `xsi:nil`; a document that is only a list has the wrapper as its root.
"""

import re
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias
from xml.sax.saxutils import escape, quoteattr

import msgspec
from lxml import etree
from msgspec import UNSET, inspect

from tabellion.kit import xmlguard
from tabellion.kit.problem import Malformed, invalid
from tabellion.platform.http import shapes
from tabellion.platform.http.singular import singular

Element: TypeAlias = etree._Element  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - lxml names its elements so
_XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
_NIL: Final = f"{{{_XSI}}}nil"
_DECLARATION = re.compile(rb"""^\s*<\?xml\s[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["'][^>]*\?>""")
_ANY_DECLARATION = re.compile(r"^\s*<\?xml\s[^>]*\?>")
_ENCODINGS = {"utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "ascii", "iso-8859-1": "latin-1", "latin1": "latin-1"}
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# White space of XML 1.0; a no-break space is a text.
_BLANKS = " \t\r\n"
# What XML 1.0 cannot carry, even escaped.
_UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class DoctypeRefused(Malformed):
    """The XML has a DOCTYPE. Remove it: entities of one's own are not needed here."""

    code = "xml.doctype"


def parse(body: bytes, charset: str | None) -> Element:
    """The tree of a body, after the guard has seen it. Raises `Malformed`, `DoctypeRefused`."""
    document = _as_utf8(body, charset)
    try:
        xmlguard.check(document)
    except xmlguard.XmlRefused as error:
        message = f"line {error.line}, column {error.column}: {error}"
        if document.lstrip().startswith((b"{", b"[")):
            message += "; this looks like JSON, for which the header Content-Type is application/json"
        raise (DoctypeRefused if error.doctype else Malformed)(message) from None
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        return etree.fromstring(document, parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        raise Malformed(f"line {line}, column {column}: {error.msg}") from None


def decode(body: bytes, type_: type[msgspec.Struct], root: str, charset: str | None) -> Any:
    """The plain document that the JSON form would be. Raises `Malformed`, `DoctypeRefused`, `Invalid` (text.invalid)."""
    element = parse(body, charset)
    if local_name(element) != root:
        raise Malformed(f"the root element is <{local_name(element)}>, <{root}> was expected")
    if is_nil(element):
        return None
    info = inspect.type_info(type_)
    if _is_only_list(type_, root) and isinstance(info, inspect.StructType):
        member = next(field for field in info.fields if field.encode_name == root)
        return {root: _value(element, member.type)}
    return _value(element, info)


def encode(value: msgspec.Struct, root: str) -> bytes:
    """An answer. Characters that XML cannot carry become U+FFFD."""
    out: list[str] = []
    if _is_only_list(type(value), root):
        _write_items(out, root, getattr(value, _shown_fields(type(value))[0].attribute))
    else:
        _write_members(out, value)
    content = "".join(out)
    namespace = f' xmlns:xsi="{_XSI}"' if "xsi:nil" in content else ""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}{namespace}>{content}</{root}>'.encode()


def text(value: Any) -> str:
    """A scalar as XML text, not yet escaped."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", str(value))


def _as_utf8(body: bytes, charset: str | None) -> bytes:
    body = body.removeprefix(b"\xef\xbb\xbf")
    declared = _DECLARATION.match(body[:200])
    name = charset or (declared[1].decode().lower() if declared else "utf-8")
    if body.startswith(_UTF_16):
        name = "utf-16"
    encoding = _ENCODINGS.get(name)
    if encoding is None:
        raise Malformed(f"the encoding '{name}' is not read; send UTF-8 or ISO-8859-1, and declare it so")
    try:
        document = body.decode(encoding)
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise Malformed(f"line {line}: the body is not valid {name.upper()}") from None
    if "\x00" in document:
        raise invalid("", "text.invalid", "a text holds U+0000")
    return _ANY_DECLARATION.sub("", document, count=1).encode()


def local_name(element: Element) -> str:
    """The name of an element, whatever its namespace."""
    return etree.QName(element).localname


def is_nil(element: Element) -> bool:
    """Whether an element says that it is null."""
    return element.get(_NIL) in {"true", "1"}


def _value(element: Element, type_: inspect.Type) -> Any:
    if is_nil(element):
        return None
    inner = shapes.plain(type_)
    if isinstance(inner, inspect.UnionType):
        inner = next((t for t in map(shapes.plain, inner.types) if not isinstance(t, inspect.NoneType)), inner)
    match inner:
        case inspect.StructType() | inspect.ListType() | inspect.VarTupleType() | inspect.DictType() if _is_text(element):
            return element.text
        case inspect.StructType():
            return _struct(element, inner)
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            return [_value(child, item) for child in element] if _is_list(element) else _untyped(element)
        case inspect.DictType(value_type=item):
            return {child.get("name") or "": _value(child, item) for child in _items(element)}
        case _:
            return _untyped(element)


def _is_text(element: Element) -> bool:
    """Whether there is a text and nothing else; blanks between the tags of a wrapper are none."""
    return len(element) == 0 and bool(element.text and element.text.strip(_BLANKS))


def _is_list(element: Element) -> bool:
    wanted = singular(local_name(element))
    return all(local_name(child) == wanted for child in element)


def _items(element: Element) -> list[Element]:
    wanted = singular(local_name(element))
    for child in element:
        if local_name(child) != wanted:
            raise Malformed(f"line {child.sourceline}: <{local_name(element)}> holds <{wanted}>, not <{local_name(child)}>")
    return list(element)


def _struct(element: Element, info: inspect.Type) -> dict[str, Any]:
    if not isinstance(info, inspect.StructType):
        raise TypeError(info)
    types: dict[str, inspect.Type] = {}
    for field in info.fields:
        types[field.encode_name] = field.type
        if alias := shapes.extras(field.type).get("alias"):
            types[alias] = field.type
    document: dict[str, Any] = {}
    for child in element:
        name = local_name(child)
        if name in document:
            raise Malformed(f"line {child.sourceline}: <{name}> stands twice in <{local_name(element)}>")
        document[name] = _value(child, types[name]) if name in types else _untyped(child)
    return document


def _untyped(element: Element) -> Any:
    """Text, or a list where the element is a wrapper, or an object."""
    if is_nil(element):
        return None
    name = local_name(element)
    if len(element) == 0:
        is_wrapper = name != singular(name)
        return [] if is_wrapper and not _is_text(element) else element.text or ""
    if _is_list(element):
        return [_untyped(child) for child in element]
    return {local_name(child): _untyped(child) for child in element}


class _Field(NamedTuple):
    attribute: str
    name: str
    default: Any
    omit_default: bool


@cache
def _shown_fields(type_: type[msgspec.Struct]) -> tuple[_Field, ...]:
    info = inspect.type_info(type_)
    if not isinstance(info, inspect.StructType):
        raise TypeError(info)
    omit = type_.__struct_config__.omit_defaults
    return tuple(
        _Field(field.name, field.encode_name, field.default, omit and field.default is not msgspec.NODEFAULT)
        for field in info.fields
        if not shapes.extras(field.type).get("json_only")
    )


def _is_only_list(type_: type[msgspec.Struct], root: str) -> bool:
    """Whether a document is only a list, whose wrapper is then the root."""
    fields = _shown_fields(type_)
    return len(fields) == 1 and fields[0].name == root


def _write_members(out: list[str], value: msgspec.Struct) -> None:
    for field in _shown_fields(type(value)):
        member = getattr(value, field.attribute)
        if member is UNSET or (field.omit_default and member == field.default):
            continue
        _write(out, field.name, member)


def _write(out: list[str], name: str, value: Any, attribute: str = "") -> None:
    if value is None:
        out.append(f'<{name}{attribute} xsi:nil="true"/>')
    elif isinstance(value, msgspec.Struct):
        out.append(f"<{name}{attribute}>")
        _write_members(out, value)
        out.append(f"</{name}>")
    elif isinstance(value, list | tuple | dict):
        out.append(f"<{name}{attribute}>")
        _write_items(out, name, value)
        out.append(f"</{name}>")
    else:
        content = escape(text(value)).replace("\r", "&#13;")
        out.append(f"<{name}{attribute}>{content}</{name}>")


def _write_items(out: list[str], name: str, items: Any) -> None:
    item_name = singular(name)
    if isinstance(items, dict):
        for key, item in items.items():  # pyright: ignore[reportUnknownVariableType] - maps of any values
            _write(out, item_name, item, f" name={quoteattr(text(key))}")
        return
    for item in items:
        _write(out, item_name, item)
