"""Members that a document is not to have: what they were probably meant for."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from msgspec import inspect

from tabellion.kit.near import meant_or_known, near


def message(name: str, place: str, known: Iterable[str], type_: type) -> str:
    """What is to be said of an unknown member, at a place of a document of this type."""
    known = list(known)
    shown = name[:100]
    where = f"'{place}'" if place else "the document"
    found = near(name, known)
    elsewhere = [] if found is not None and found.lower() == name.lower() else _places(type_).get(name, [])
    if elsewhere:
        homes = " or ".join(f"'{home}'" if home else "the document itself" for home in elsewhere[:3])
        return f"{where} has no member '{shown}': it belongs into {homes}"
    return f"{where} has no member '{shown}'{meant_or_known(name, known)}"


def knows(type_: type, path: tuple[Any, ...]) -> bool:
    """Whether documents of a type may have a member at a path."""
    at: inspect.Type | None = _info(type_)
    for part in path:
        at = _step(at, part)
        if at is None:
            return False
    return True


@cache
def _info(type_: type) -> inspect.Type:
    return inspect.type_info(type_)


def _step(type_: inspect.Type, part: Any) -> inspect.Type | None:
    for each in _parts(type_):
        match each:
            case inspect.AnyType():
                return each
            case inspect.StructType(fields=fields) if isinstance(part, str):
                return next((field.type for field in fields if field.encode_name == part), None)
            case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item) if isinstance(part, int):
                return item
            case inspect.DictType(value_type=value) if isinstance(part, str):
                return value
            case _:
                pass
    return None


def _parts(type_: inspect.Type) -> Iterator[inspect.Type]:
    """The types that a value may have, without what is said about them."""
    if isinstance(type_, inspect.Metadata):
        yield from _parts(type_.type)
    elif isinstance(type_, inspect.UnionType):
        for each in type_.types:
            yield from _parts(each)
    else:
        yield type_


@cache
def _places(type_: type) -> dict[str, list[str]]:
    """By the names of members, the objects of a document that have them."""
    found: dict[str, list[str]] = {}

    def walk(at: inspect.Type, path: str) -> None:
        for each in _parts(at):
            match each:
                case inspect.StructType(fields=fields):
                    for field in fields:
                        homes = found.setdefault(field.encode_name, [])
                        if path not in homes:
                            homes.append(path)
                        walk(field.type, f"{path}.{field.encode_name}" if path else field.encode_name)
                case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
                    walk(item, f"{path}[]")
                case _:
                    pass

    walk(_info(type_), "")
    return found
