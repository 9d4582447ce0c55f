"""The JSON schemas of the documents of calls, for the OpenAPI document: their names, and what JSON and XML mean by them."""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import inspect

from tabellion.platform.http import shapes
from tabellion.platform.http.singular import singular

_REF = "#/components/schemas/{name}"
# A folder that each feature has says nothing of it.
_WIRE = "wire"


class Schemas:
    """The schemas of struct types and of all that they consist of.

    A schema is named as its struct. Where several structs share a name, their features' names stand before it: it is to be
    the same wherever the code is moved, because programs that write clients name classes by it.
    """

    def __init__(self, types: Iterable[type[msgspec.Struct]]) -> None:
        ordered = sorted(types, key=lambda type_: (type_.__name__, type_.__module__))
        refs, components = msgspec.json.schema_components(ordered, ref_template=_REF)
        self._refs = {type_: _renamed(ref) for type_, ref in zip(ordered, refs, strict=True)}
        # msgspec gives them in an order that differs from process to process.
        names = sorted((_name(full), full) for full in components)
        self.components: dict[str, Any] = {name: _renamed(components[full]) for name, full in names}
        if len(self.components) != len(components):
            raise TypeError(f"structs of one feature share a name: {names}")
        for schema in self.components.values():
            for name, member in schema.get("properties", {}).items():
                _hint(name, member)
        seen: set[type] = set()
        for type_ in ordered:
            self._mark_lenient(type_, seen)

    def ref(self, type_: type[msgspec.Struct]) -> dict[str, Any]:
        """The reference to the schema of one of the types."""
        return dict(self._refs[type_])

    def _mark_lenient(self, type_: type, seen: set[type]) -> None:
        """A member with a second name is not required under its first one."""
        info = inspect.type_info(type_)
        if not isinstance(info, inspect.StructType) or info.cls in seen:
            return
        seen.add(info.cls)
        # msgspec tells structs that share a name apart by their modules.
        full = f"{info.cls.__module__}.{info.cls.__qualname__}"
        schema = self.components.get(info.cls.__name__) or self.components.get(_name(full), {})
        for field in info.fields:
            alias = shapes.extras(field.type).get("alias")
            if alias and field.encode_name in schema.get("properties", {}):
                schema["properties"][alias] = schema["properties"][field.encode_name]
                schema["required"] = [name for name in schema.get("required", []) if name != field.encode_name]
            inner = shapes.plain(field.type)
            for part in inner.types if isinstance(inner, inspect.UnionType) else (inner,):
                bare = shapes.plain(part)
                item = shapes.plain(bare.item_type) if isinstance(bare, inspect.ListType) else bare
                if isinstance(item, inspect.StructType):
                    self._mark_lenient(item.cls, seen)


def _name(full: str) -> str:
    """`...features.bulk.etls.wire.ExecutionOut` is `EtlsExecutionOut`; a name without modules stays."""
    *modules, name = full.split(".")
    folder = next((each for each in reversed(modules[:-1]) if each != _WIRE), "")
    return folder.capitalize() + name


def _renamed(value: Any) -> Any:
    if isinstance(value, list):
        return [_renamed(item) for item in value]  # pyright: ignore[reportUnknownVariableType] - plain documents
    if not isinstance(value, dict):
        return value
    start = _REF.format(name="")
    return {key: start + _name(item.removeprefix(start)) if key == "$ref" else _renamed(item) for key, item in value.items()}


def _hint(name: str, member: dict[str, Any]) -> None:
    """Say how a list looks in XML: wrapped, with singular elements."""
    for part in (member, *member.get("anyOf", ())):
        if part.get("type") == "array":
            part["xml"] = {"name": name, "wrapped": True}
            item = part.setdefault("items", {})
            if "$ref" not in item:
                item["xml"] = {"name": singular(name)}
            else:
                part["items"] = {"allOf": [item], "xml": {"name": singular(name)}}
