"""From a plain document to a typed struct: every error is reported at once, unknown members are listed, or refused.

A reader is compiled once per struct type from `msgspec.inspect`. Extras in a field's `Meta(extra=...)`:
`{"alias": "other"}` a second name of the member; `{"coerce": "flag"}` booleans as integrations write them (`Flag`);
`{"coerce": "text"}` numbers and booleans taken as text (`Text`); `{"coerce": "list"}` an object alone taken for the list of
it; `{"json_only": True}` left out of XML answers.

A struct that has a method `unused()` says by it which of its members, by their paths in it, are taken and have no effect: a
document may be sent as it was read. They are listed with the unknown ones. One with `one_of`, names of members, means "null"
where it has none of them; that is refused where one of them is misspelt.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta, inspect

from tabellion.kit import near
from tabellion.kit.problem import FieldError, Invalid, inside
from tabellion.platform.http import json_codec, scalars
from tabellion.platform.http.members import message
from tabellion.platform.http.singular import singular
from tabellion.platform.http.walk import Context, Enough, Path, Read, kind_of, text_of

Flag = Annotated[bool, Meta(extra={"coerce": "flag"})]
Text = Annotated[str, Meta(extra={"coerce": "text"})]
T = TypeVar("T", bound=msgspec.Struct)
_LISTS = (inspect.ListType, inspect.VarTupleType)
# What is read of a null that says nothing: the member keeps its default.
_ABSENT: Any = object()


class Unreadable(Invalid):
    """The document does not have the shape of the call; `ignored` lists its unknown members as well."""

    def __init__(self, errors: list[FieldError], ignored: list[str]) -> None:
        super().__init__(errors)
        self.ignored = tuple(ignored)


class Reader(Generic[T]):
    """Reads documents into structs of one type."""

    def __init__(self, type_: type[T]) -> None:
        self._type = type_
        info = inspect.type_info(type_)
        self._read = _struct(info)
        self._names = frozenset(name for field in getattr(info, "fields", ()) for name in _names(field))

    def read(
        self,
        document: Any,
        *,
        from_xml: bool = False,
        strict: bool = False,
        slips: bool = False,
        blanks: bool = True,
        merge: bool = False,
        echoed: type | None = None,
    ) -> tuple[T, list[str]]:
        """The struct, and the paths of the members that the type does not know. Raises `Unreadable`.

        `from_xml`: scalars are text, and numbers and booleans are read from it. `strict`: unknown members are errors, but
        for those that documents of the type `echoed` have; `slips`: those that are a known one but for case are.
        Not `blanks`: in a document of which no member is known, none may be one that is nearly known. `merge`: the document
        is a merge patch, where null takes away.
        """
        context = Context(self._type, from_xml=from_xml, strict=strict, slips=slips, merge=merge, echoed=echoed)
        try:
            value = self._read(document, (), context)
        except Enough:
            raise Unreadable(context.errors, context.ignored) from None
        if context.errors:
            raise Unreadable(context.errors, context.ignored)
        if not (blanks or strict) and isinstance(document, dict) and self._is_misspelt(document):  # pyright: ignore[reportUnknownArgumentType] - plain documents
            return self.read(document, from_xml=from_xml, strict=True, merge=merge, echoed=echoed)
        return value, context.ignored

    def _is_misspelt(self, document: dict[str, Any]) -> bool:
        return self._names.isdisjoint(document) and any(
            near.near(name, self._names) for name in islice(document, near.MOST_LOOKED_FOR)
        )


@cache
def reader(type_: type[T]) -> Reader[T]:
    """The reader of a struct type."""
    return Reader(type_)


def read_part(type_: type[T], name: str, body: bytes, *, blanks: bool = True) -> tuple[T, list[str]]:
    """The struct in a part of a form, and the members that it does not know; all paths begin with the part's name.

    Raises `Malformed`, `Invalid`.
    """
    document = json_codec.decode_part(name, body)
    read: Any
    try:
        read, ignored = reader(type_).read(document, slips=True, blanks=blanks)
    except Unreadable as error:
        raise Unreadable(inside(name, error.errors), [f"{name}.{each}" for each in error.ignored]) from None
    return read, [f"{name}.{each}" for each in ignored]


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


def _names(field: inspect.Field) -> Iterator[str]:
    yield field.encode_name
    if alias := extras(field.type).get("alias"):
        yield alias


def _struct(info: inspect.Type) -> Read:
    if not isinstance(info, inspect.StructType):
        raise TypeError(info)
    fields = _by_name(info)
    spelt = {near.plain(name): name for name in fields}
    required = [(field.name, field.encode_name, _words_of(field)) for field in info.fields if field.required]
    like = _like(info)
    build = _builder(info.cls)
    needed: frozenset[str] = frozenset(getattr(info.cls, "one_of", ()))

    def read_struct(value: Any, path: Path, context: Context) -> Any:
        if isinstance(value, list) and not value:
            value = {}
        if not isinstance(value, dict):
            context.wrong(path, f"an object{like}, not {kind_of(value)}")
            return None
        members: dict[str, Any] = {}
        for name, item in value.items():  # pyright: ignore[reportUnknownVariableType] - plain documents
            found = fields.get(name)  # pyright: ignore[reportUnknownArgumentType] - plain documents
            if found is None:
                context.unknown(path, name, spelt, value)  # pyright: ignore[reportUnknownArgumentType] - plain documents
            elif (read := found[1](item, (*path, name), context)) is _ABSENT:
                continue
            elif read is not None or found[0] not in members:  # a null under a second name takes nothing away
                members[found[0]] = read
        if needed and needed.isdisjoint(members):
            _miss(value, path, context, needed)  # pyright: ignore[reportUnknownArgumentType] - plain documents
        for attribute, name, words in required:
            if attribute not in members:
                place = text_of((*path, name))
                context.note(FieldError(place, "member.mandatory", f"'{place}' is missing{words}"))
        return None if context.errors else build(members, path, context)

    return read_struct


def _like(info: inspect.StructType) -> str:
    """What an object looks like, in a message: with the members that it needs, or the only one that it can have."""
    shown = [field for field in info.fields if field.required or len(info.fields) == 1]
    names = ", ".join(
        f'"{each.encode_name}": {"[...]" if isinstance(plain(each.type), _LISTS) else "..."}' for each in shown
    )
    return f" such as {{{names}}}" if names else ""


def _words_of(field: inspect.Field) -> str:
    """The end of a message that a member is missing: what it may be, where it is one of a few words."""
    of = plain(field.type)
    return f": it is one of {', '.join(map(str, of.values))}" if isinstance(of, inspect.LiteralType) else ""


def _miss(given: Mapping[str, Any], path: Path, context: Context, needed: frozenset[str]) -> None:
    """Refuse what has a misspelt member in the place of one that it needs: without that it means something else."""
    for name in given:
        if near.near(name, needed) is not None:
            place = text_of((*path, name))
            if all(error.field != place for error in context.errors):  # as unknown members are told that are refused
                said = message(name, text_of(path), sorted(needed), context.type_)
                context.note(FieldError(place, "member.unknown", said))
            return


def _by_name(info: inspect.StructType) -> dict[str, tuple[str, Read]]:
    """The attribute and the reader of each member, under all its names."""
    fields: dict[str, tuple[str, Read]] = {}
    for field in info.fields:
        fields |= dict.fromkeys(_names(field), (field.name, _member(field)))
    return fields


def _builder(cls: type) -> Callable[[dict[str, Any], Path, Context], Any]:
    unused: Callable[[Any], Iterable[Path]] | None = getattr(cls, "unused", None)

    def build(members: dict[str, Any], path: Path, context: Context) -> Any:
        made = cls(**members)
        if unused is not None:
            context.ignored += [text_of((*path, *place)) for place in unused(made)]
        return made

    return build


def _compile(type_: inspect.Type) -> Read:  # noqa: C901, PLR0912 - one branch a kind of type
    coerce = extras(type_).get("coerce")
    inner = plain(type_)
    if coerce == "flag":
        return scalars.flag(nullable=_nullable(inner))
    match inner:
        case inspect.AnyType():
            return scalars.anything
        case inspect.UnionType(types=types):
            return _union(types, coerce)
        case inspect.StructType():
            return _struct(inner)
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            return _list(_compile(item), takes_one=coerce == "list")
        case inspect.DictType(value_type=item):
            return _dict(_compile(item))
        case inspect.StrType():
            return scalars.text_coerced if coerce == "text" else scalars.text
        case inspect.BoolType():
            return scalars.boolean
        case inspect.IntType():
            return scalars.integer
        case inspect.DecimalType():
            return scalars.decimal
        case inspect.FloatType():
            return scalars.real
        case inspect.LiteralType(values=values):
            return scalars.literal(tuple(str(value) for value in values))
        case inspect.NoneType():
            return scalars.null
        case _:
            raise TypeError(f"no reader for {inner}")


def _member(field: inspect.Field) -> Read:
    read = _compile(field.type)
    if field.required or takes_null(field.type):
        return read
    is_list = isinstance(plain(field.type), _LISTS)

    # Clients that write all the members of their classes say null of those that they have nothing for.
    def read_member(value: Any, path: Path, context: Context) -> Any:
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
    read = scalars.text_coerced if coerce == "text" else _compile(others[0])
    if not nullable:
        return read

    def read_or_null(value: Any, path: Path, context: Context) -> Any:
        return None if value is None else read(value, path, context)

    return read_or_null


def _list(read_item: Read, *, takes_one: bool = False) -> Read:
    def read_list(value: Any, path: Path, context: Context) -> Any:
        if takes_one and isinstance(value, dict):
            value = [value]
        if not isinstance(value, list):
            context.wrong(path, _list_for(value, path, context))
            return []
        return [read_item(item, (*path, index), context) for index, item in enumerate(value)]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - plain documents

    return read_list


def _list_for(value: Any, path: Path, context: Context) -> str:
    if context.from_xml:
        return f"a list: elements <{singular(path[-1])}>, not {kind_of(value)}"
    if value and isinstance(value, dict) and all(str(name).isdecimal() for name in value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - plain documents
        return (
            "a list, not an object with numbers for names, which PHP makes of arrays with gaps (array_values() closes them)"
        )
    return f"a list, not {kind_of(value)}"


def _dict(read_item: Read) -> Read:
    def read_dict(value: Any, path: Path, context: Context) -> Any:
        if isinstance(value, list) and not value:
            return {}
        if not isinstance(value, dict):
            context.wrong(path, f"an object, not {kind_of(value)}")
            return {}
        return {name: read_item(item, (*path, name), context) for name, item in value.items()}  # pyright: ignore[reportUnknownVariableType] - plain documents

    return read_dict
