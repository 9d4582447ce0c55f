"""From a plain document to a typed struct: every error is reported at once, unknown members are listed, or refused.

A reader is compiled once per struct type from `msgspec.inspect`. Extras in a field's `Meta(extra=...)`:
`{"alias": "other"}` a second name of the member; `{"coerce": "flag"}` booleans as integrations write them (`Flag`);
`{"coerce": "text"}` numbers and booleans taken as text (`Text`); `{"json_only": True}` left out of XML answers.

A struct that has a method `unused()` says by it which of its members, by their paths in it, are taken and have no effect: a
document may be sent as it was read. They are listed with the unknown ones.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta, inspect

from tabellion.kit.problem import FieldError, Invalid
from tabellion.platform.http.members import knows, message

Flag = Annotated[bool, Meta(extra={"coerce": "flag"})]
Text = Annotated[str, Meta(extra={"coerce": "text"})]
T = TypeVar("T", bound=msgspec.Struct)
Path = tuple[Any, ...]
_FLAGS = {"true": True, "false": False, "1": True, "0": False}
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_MAX_DIGITS = 40
_LISTS = (inspect.ListType, inspect.VarTupleType)
# Larger numbers are written with their exponent, lest a few characters become a million.
_MAX_SHOWN_DIGITS = 255
_MAX_REFUSED = 20
# What is read of a null that says nothing: the member keeps its default.
_ABSENT: Any = object()


class Unreadable(Invalid):
    """The document does not have the shape of the call; `ignored` lists its unknown members as well."""

    def __init__(self, errors: list[FieldError], ignored: list[str]) -> None:
        super().__init__(errors)
        self.ignored = tuple(ignored)


class _Context:
    __slots__ = ("echoed", "errors", "from_xml", "ignored", "merge", "refused", "strict", "type_")

    def __init__(self, type_: type, *, from_xml: bool, strict: bool, merge: bool, echoed: type | None) -> None:
        self.type_ = type_
        self.from_xml = from_xml
        self.strict = strict
        self.merge = merge
        self.echoed = echoed
        self.refused = 0
        self.errors: list[FieldError] = []
        self.ignored: list[str] = []

    def unknown(self, path: Path, name: str, known: Iterable[str]) -> None:
        here = (*path, name)
        place = text_of(here)
        # Each refusal compares names; a document of nothing but unknown members is not to cost seconds.
        if not self.strict or self.refused == _MAX_REFUSED or (self.echoed is not None and knows(self.echoed, here)):
            self.ignored.append(place)
            return
        self.refused += 1
        self.errors.append(FieldError(place, "member.unknown", message(name, text_of(path), known, self.type_)))

    def wrong(self, path: Path, expected: str) -> None:
        place = text_of(path)
        name = f"'{place}'" if place else "the document"
        self.errors.append(FieldError(place, "member.type", f"{name} expects {expected}"))


Read = Callable[[Any, Path, _Context], Any]


class Reader(Generic[T]):
    """Reads documents into structs of one type."""

    def __init__(self, type_: type[T]) -> None:
        self._type = type_
        self._read = _struct(inspect.type_info(type_))

    def read(
        self, document: Any, *, from_xml: bool = False, strict: bool = False, merge: bool = False, echoed: type | None = None
    ) -> tuple[T, list[str]]:
        """The struct, and the paths of the members that the type does not know. Raises `Unreadable`.

        `from_xml`: scalars are text, and numbers and booleans are read from it. `strict`: unknown members are errors, but
        for those that documents of the type `echoed` have. `merge`: the document is a merge patch, where null takes away.
        """
        context = _Context(self._type, from_xml=from_xml, strict=strict, merge=merge, echoed=echoed)
        value = self._read(document, (), context)
        if context.errors:
            raise Unreadable(context.errors, context.ignored)
        return value, context.ignored


@cache
def reader(type_: type[T]) -> Reader[T]:
    """The reader of a struct type."""
    return Reader(type_)


def text_of(path: Path) -> str:
    """A path as text: `attributes[2].value`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else str(part))
    return text


def extras(type_: inspect.Type) -> Mapping[str, Any]:
    """The extras of a field's type, however it is wrapped."""
    if isinstance(type_, inspect.Metadata):
        return {**extras(type_.type), **(type_.extra or {})}
    if isinstance(type_, inspect.UnionType):
        found: dict[str, Any] = {}
        for part in type_.types:
            found |= extras(part)
        return found
    return {}


def plain(type_: inspect.Type) -> inspect.Type:
    """The type without metadata."""
    return plain(type_.type) if isinstance(type_, inspect.Metadata) else type_


def _struct(info: inspect.Type) -> Read:
    if not isinstance(info, inspect.StructType):
        raise TypeError(info)
    fields = _by_name(info)
    required = [(field.name, field.encode_name) for field in info.fields if field.required]
    build = _builder(info.cls)

    def read_struct(value: Any, path: Path, context: _Context) -> Any:
        if isinstance(value, list) and not value:
            value = {}
        if not isinstance(value, dict):
            context.wrong(path, "an object")
            return None
        members: dict[str, Any] = {}
        for name, item in value.items():  # pyright: ignore[reportUnknownVariableType] - plain documents
            found = fields.get(name)  # pyright: ignore[reportUnknownArgumentType] - plain documents
            if found is None:
                context.unknown(path, name, fields)  # pyright: ignore[reportUnknownArgumentType] - plain documents
            elif (read := found[1](item, (*path, name), context)) is not _ABSENT:
                members[found[0]] = read
        for attribute, name in required:
            if attribute not in members:
                place = text_of((*path, name))
                context.errors.append(FieldError(place, "member.mandatory", f"'{place}' is missing"))
        return None if context.errors else build(members, path, context)

    return read_struct


def _by_name(info: inspect.StructType) -> dict[str, tuple[str, Read]]:
    """The attribute and the reader of each member, under all its names."""
    fields: dict[str, tuple[str, Read]] = {}
    for field in info.fields:
        fields[field.encode_name] = (field.name, _member(field))
        if alias := extras(field.type).get("alias"):
            fields[alias] = fields[field.encode_name]
    return fields


def _builder(cls: type) -> Callable[[dict[str, Any], Path, _Context], Any]:
    unused: Callable[[Any], Iterable[Path]] | None = getattr(cls, "unused", None)

    def build(members: dict[str, Any], path: Path, context: _Context) -> Any:
        made = cls(**members)
        if unused is not None:
            context.ignored += [text_of((*path, *place)) for place in unused(made)]
        return made

    return build


def _compile(type_: inspect.Type) -> Read:  # noqa: C901, PLR0912 - one branch a kind of type
    coerce = extras(type_).get("coerce")
    inner = plain(type_)
    if coerce == "flag":
        return _flag(nullable=_nullable(inner))
    match inner:
        case inspect.AnyType():
            return _anything
        case inspect.UnionType(types=types):
            return _union(types, coerce)
        case inspect.StructType():
            return _struct(inner)
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            return _list(_compile(item))
        case inspect.DictType(value_type=item):
            return _dict(_compile(item))
        case inspect.StrType():
            return _text_coerced if coerce == "text" else _text
        case inspect.BoolType():
            return _bool
        case inspect.IntType():
            return _int
        case inspect.DecimalType():
            return _decimal
        case inspect.FloatType():
            return _float
        case inspect.LiteralType(values=values):
            return _literal(tuple(str(value) for value in values))
        case inspect.NoneType():
            return _null
        case _:
            raise TypeError(f"no reader for {inner}")


def _member(field: inspect.Field) -> Read:
    read = _compile(field.type)
    if field.required or takes_null(field.type):
        return read
    is_list = isinstance(plain(field.type), _LISTS)

    # Clients that write all the members of their classes say null of those that they have nothing for.
    def read_member(value: Any, path: Path, context: _Context) -> Any:
        if value is not None or (context.merge and not is_list):
            return read(value, path, context)
        return _ABSENT

    return read_member


def takes_null(type_: inspect.Type) -> bool:
    """Whether null is a value of a member, which may mean something else than no value."""
    inner = plain(type_)
    return isinstance(inner, inspect.AnyType | inspect.NoneType) or _nullable(inner)


def _nullable(type_: inspect.Type) -> bool:
    return isinstance(type_, inspect.UnionType) and type_.includes_none


def _union(types: tuple[inspect.Type, ...], coerce: str | None) -> Read:
    nullable = any(isinstance(plain(t), inspect.NoneType) for t in types)
    others = [t for t in types if not isinstance(plain(t), inspect.NoneType)]
    if len(others) != 1:
        raise TypeError(f"no reader for a union of {others}")
    read = _text_coerced if coerce == "text" else _compile(others[0])
    if not nullable:
        return read

    def read_or_null(value: Any, path: Path, context: _Context) -> Any:
        return None if value is None else read(value, path, context)

    return read_or_null


def _list(read_item: Read) -> Read:
    def read_list(value: Any, path: Path, context: _Context) -> Any:
        if not isinstance(value, list):
            context.wrong(path, _list_for(value, context))
            return []
        return [read_item(item, (*path, index), context) for index, item in enumerate(value)]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - plain documents

    return read_list


def _list_for(value: Any, context: _Context) -> str:
    if context.from_xml:
        return "a list: elements named in the singular"
    if value and isinstance(value, dict) and all(str(name).isdecimal() for name in value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - plain documents
        return (
            "a list, not an object with numbers for names, which PHP makes of arrays with gaps (array_values() closes them)"
        )
    return "a list"


def _dict(read_item: Read) -> Read:
    def read_dict(value: Any, path: Path, context: _Context) -> Any:
        if isinstance(value, list) and not value:
            return {}
        if not isinstance(value, dict):
            context.wrong(path, "an object")
            return {}
        return {name: read_item(item, (*path, name), context) for name, item in value.items()}  # pyright: ignore[reportUnknownVariableType] - plain documents

    return read_dict


def _literal(values: tuple[str, ...]) -> Read:
    def read_literal(value: Any, path: Path, context: _Context) -> Any:
        if value not in values:
            context.wrong(path, "one of " + ", ".join(values))
        return value

    return read_literal


def _flag(*, nullable: bool) -> Read:
    def read_flag(value: Any, path: Path, context: _Context) -> Any:
        if nullable and (value is None or value == ""):
            return None
        if isinstance(value, bool):
            return value
        if isinstance(value, str):
            text = value.strip().lower()
            found = _FLAGS.get(text, _bit(_whole(_number(text))))
        else:
            found = _bit(_whole(value))
        if found is None:
            context.wrong(path, "true or false")
        return found

    return read_flag


def _bit(number: int | None) -> bool | None:
    return bool(number) if number in {0, 1} else None


def _anything(value: Any, path: Path, context: _Context) -> Any:
    del path, context
    return value


def _null(value: Any, path: Path, context: _Context) -> Any:
    if value is not None:
        context.wrong(path, "null")


def _text(value: Any, path: Path, context: _Context) -> Any:
    if not isinstance(value, str):
        context.wrong(path, "a text")
    return value


def _text_coerced(value: Any, path: Path, context: _Context) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal) and abs(value.adjusted()) <= _MAX_SHOWN_DIGITS:
        return format(value, "f")
    return str(value) if isinstance(value, int | Decimal) else _text(value, path, context)


def _bool(value: Any, path: Path, context: _Context) -> Any:
    if context.from_xml and isinstance(value, str) and value.strip().lower() in _FLAGS:
        return _FLAGS[value.strip().lower()]
    if not isinstance(value, bool):
        context.wrong(path, "true or false")
    return value


def _int(value: Any, path: Path, context: _Context) -> Any:
    if context.from_xml and isinstance(value, str):
        value = _number(value)
    whole = _whole(value)
    if whole is None:
        context.wrong(path, "a whole number")
    return whole


def _decimal(value: Any, path: Path, context: _Context) -> Any:
    if context.from_xml and isinstance(value, str):
        value = _number(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        context.wrong(path, "a number")
    return value


def _float(value: Any, path: Path, context: _Context) -> Any:
    """A number that need not be exact, such as a share."""
    if isinstance(value, float):
        return value
    number = _decimal(value, path, context)
    return float(number) if isinstance(number, int | Decimal) else number


def _whole(value: Any) -> int | None:
    """A whole number, also when written `42.0`; an exponent cannot make it huge."""
    if isinstance(value, Decimal):
        if value.adjusted() > _MAX_DIGITS or value != value.to_integral_value():
            return None
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(text: str) -> Decimal | None:
    """The number that a text is in JSON's grammar, but for zeros in front."""
    if not _NUMBER.fullmatch(text.strip()):
        return None
    try:
        return Decimal(text.strip())
    except ArithmeticError:
        return None
