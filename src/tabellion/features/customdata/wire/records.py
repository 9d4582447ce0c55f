"""The documents of the calls on records, and the way from them to the model and back."""

from datetime import tzinfo
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tabellion.features.customdata.model import CustomTable
from tabellion.features.customdata.service.records import business_key
from tabellion.features.profiles import Item, Reader, Row, given_value
from tabellion.features.tables import render_moment, render_value
from tabellion.platform.http.shapes import Text

# XML knows no numbers, so a text that looks like one is a text there: the same document in JSON is taken as well.
AnyValue = Annotated[Any, Meta(description="a value of the attribute's type, or null")]


class PropertyIn(msgspec.Struct):
    """One attribute of a record (v4); without a value it is null, as some classes write it."""

    one_of: ClassVar = ("value", "values")

    name: Text
    value: AnyValue | UnsetType = UNSET
    values: Annotated[Any, Meta(description="the same as `value`")] | UnsetType = UNSET


class RecordIn(msgspec.Struct):
    """The body of the v4 writes."""

    properties: list[PropertyIn] = []


class BusinessKey(msgspec.Struct, rename="camel"):
    """The answer of a write: the key as text, the technical id where keys are generated."""

    business_key: str


class RecordProperty(msgspec.Struct):
    """One attribute as it is read."""

    name: str
    value: AnyValue


class RecordOut(msgspec.Struct):
    """One record (v4)."""

    properties: list[RecordProperty]


class RecordsOut(msgspec.Struct):
    """A list of records (v4)."""

    records: list[RecordOut]


class RecordAttributesIn(msgspec.Struct):
    """The body of the v5 writes of one record."""

    attributes: dict[str, Any] = {}


class RecordKeyIn(msgspec.Struct):
    """The body of the v5 PUT by key: `key` names a unique attribute, all those of the composite key, or `id`."""

    key: dict[str, Any]
    attributes: dict[str, Any] = {}


class Record5Out(msgspec.Struct, rename="camel"):
    """One record (v5)."""

    id: int
    business_key: str
    attributes: dict[str, Any]


class Records5Out(msgspec.Struct, rename="camel"):
    """A page of records (v5); `nextCursor` is null on the last page, and only there."""

    records: list[Record5Out]
    next_cursor: str | None


class RecordCount(msgspec.Struct):
    """How many records match."""

    count: int


def read_record(table: CustomTable, zone: tzinfo, body: RecordIn | None) -> Reader:
    """Take a v4 body."""
    reader = Reader(table, zone, "properties")
    for i, item in enumerate(body.properties if body else ()):
        part, value = given_value(item.value, item.values)
        reader.attribute(Item(f"properties[{i}].{part}", item.name, value, f"properties[{i}].name"))
    return reader


def read_record5(table: CustomTable, zone: tzinfo, body: RecordAttributesIn | RecordKeyIn | None) -> Reader:
    """Take a v5 body, without its key."""
    reader = Reader(table, zone)
    for name, value in (body.attributes if body else {}).items():
        reader.attribute(Item(f"attributes.{name}", name, value))
    return reader


def _values(table: CustomTable, row: Row) -> dict[str, Any]:
    technical = {
        table.kind.id_name: row.id,
        "creationMoment": render_moment(row.created_at),
        "updateMoment": render_moment(row.updated_at),
    }
    own = {a.name: render_value(a, value) for a, value in zip(table.attributes, row.values, strict=True)}
    return technical | own


def record_out(table: CustomTable, row: Row) -> RecordOut:
    """A record in the v4 shape: technical attributes first, then structure order."""
    return RecordOut([RecordProperty(name, value) for name, value in _values(table, row).items()])


def record5_out(table: CustomTable, row: Row) -> Record5Out:
    """A record in the v5 shape."""
    return Record5Out(row.id, business_key(table, row), _values(table, row))
