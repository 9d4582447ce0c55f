"""What is sent to the v4 and v5 profile calls, and the way from there to the model."""

from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tabellion.features.profiles.reading import Item, Reader
from tabellion.platform.http.shapes import Flag, Text

# XML knows no numbers, so a text that looks like one is a text there: the same document in JSON is taken as well.
AnyValue = Annotated[Any, Meta(description="a value of the attribute's type, or null")]


class CollectionIn(msgspec.Struct):
    """Where the data was collected; kept with each change of consent."""

    source: Text | None = None
    way: Text | None = None
    date: Annotated[Text | None, Meta(description="dd/MM/yyyy HH:mm:ss, yyyy-MM-dd HH:mm:ss or ISO 8601")] = None


class AttributeIn(msgspec.Struct):
    """One attribute: `value`, or `values` for a multi-valued one; neither is null, as some classes write it."""

    one_of: ClassVar = ("value", "values")

    name: Text
    value: AnyValue | UnsetType = UNSET
    values: Annotated[Any, Meta(description="the list of a multi-valued attribute")] | UnsetType = UNSET


class SubscriptionIn(msgspec.Struct):
    """One choice."""

    name: Text
    subscribe: Annotated[bool | None, Meta(extra={"coerce": "flag", "alias": "subscription"})]


class SegmentationRef(msgspec.Struct):
    """The nested spelling of a segmentation."""

    name: Text
    category: Text | None = None


class SegmentationIn(msgspec.Struct):
    """One membership: `name` and `category`, or `belongs` and `segmentation`."""

    name: Text | UnsetType = UNSET
    category: Text | None = None
    belongs: Flag = True
    segmentation: SegmentationRef | UnsetType = UNSET


class ProfileIn(msgspec.Struct, rename="camel"):
    """The body of the v4 writes; every section is optional."""

    attributes: list[AttributeIn] = []
    subscriptions: list[SubscriptionIn] = []
    segmentations: list[SegmentationIn] = []
    data_collection_information: Annotated[CollectionIn | UnsetType, Meta(extra={"alias": "dataCollection"})] = UNSET


class CollectionBody(msgspec.Struct, rename="camel"):
    """The optional body of a subscription call."""

    data_collection_information: Annotated[CollectionIn | UnsetType, Meta(extra={"alias": "dataCollection"})] = UNSET


class ProfileKeyIn(msgspec.Struct, rename="camel"):
    """The body of the v5 PUT; `key` names exactly one unique attribute, or the profile's id."""

    key: dict[str, Any]
    attributes: dict[str, Any] = {}
    subscriptions: dict[str, Any] = {}
    segmentations: dict[str, Any] = {}
    data_collection_information: Annotated[CollectionIn | UnsetType, Meta(extra={"alias": "dataCollection"})] = UNSET


class ProfilePatchIn(msgspec.Struct, rename="camel"):
    """The body of the v5 PATCH."""

    attributes: dict[str, Any] = {}
    subscriptions: dict[str, Any] = {}
    segmentations: dict[str, Any] = {}
    data_collection_information: Annotated[CollectionIn | UnsetType, Meta(extra={"alias": "dataCollection"})] = UNSET


def read_profile(reader: Reader, body: ProfileIn | None) -> Reader:
    """Take a v4 body."""
    if body is None:
        return reader
    _collect(reader, body.data_collection_information)
    for i, a in enumerate(body.attributes):
        part, value = given_value(a.value, a.values)
        reader.attribute(Item(f"attributes[{i}].{part}", a.name, value, f"attributes[{i}].name"))
    for i, s in enumerate(body.subscriptions):
        reader.subscription(Item(f"subscriptions[{i}].subscribe", s.name, s.subscribe, f"subscriptions[{i}].name"))
    for i, g in enumerate(body.segmentations):
        place = f"segmentations[{i}]"
        inner = g if g.segmentation is UNSET else g.segmentation
        if isinstance(inner.name, UnsetType):
            reader.refuse(f"{place}.name", "member.mandatory", "'name' is missing")
            continue
        named_at = f"{place}.name" if inner is g else f"{place}.segmentation.name"
        reader.segmentation(place, inner.name, belongs=g.belongs, category=inner.category, named_at=named_at)
    return reader


def given_value(value: Any, values: Any) -> tuple[str, Any]:
    """Which of `value` and `values` counts, and what it says. Classes that have both send one empty, or the same twice."""
    if values is UNSET or (value is not UNSET and (values in (None, []) or values == [value])):
        return "value", None if value is UNSET else value
    return "values", values


def read_profile5(reader: Reader, body: ProfileKeyIn | ProfilePatchIn | None) -> Reader:
    """Take a v5 body, without its key."""
    if body is None:
        return reader
    _collect(reader, body.data_collection_information)
    for name, value in body.attributes.items():
        reader.attribute(Item(f"attributes.{name}", name, value))
    for name, value in body.subscriptions.items():
        reader.subscription(Item(f"subscriptions.{name}", name, value))
    for name, value in body.segmentations.items():
        reader.segmentation(f"segmentations.{name}", name, belongs=value, category=value)
    return reader


def read_collection(reader: Reader, body: CollectionBody | None) -> Reader:
    """Take the body of a subscription call."""
    if body is not None:
        _collect(reader, body.data_collection_information)
    return reader


def _collect(reader: Reader, collection: CollectionIn | UnsetType) -> None:
    if not isinstance(collection, UnsetType):
        path = "dataCollectionInformation"
        reader.collected(path, collection.source, collection.way, collection.date)
