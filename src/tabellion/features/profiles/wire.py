"""The documents of the v4 and v5 profile calls, and the way from them to the model and back."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tabellion.features.profiles.model import Choice, Consent, Profile
from tabellion.features.profiles.reading import Item, Reader
from tabellion.features.tables import (
    Attribute,
    ProfileTable,
    RemovedSubscription,
    Segmentation,
    Subscription,
    moment_or_null,
    render_moment,
    render_value,
)
from tabellion.platform.http.shapes import Flag, Text

# XML knows no numbers, so a text that looks like one is a text there: the same document in JSON is taken as well.
AnyValue = Annotated[Any, Meta(description="a value of the attribute's type, or null")]


class CollectionIn(msgspec.Struct):
    """Where the data was collected; kept with each change of consent."""

    source: Text | None = None
    way: Text | None = None
    date: Annotated[Text | None, Meta(description="dd/MM/yyyy HH:mm:ss, yyyy-MM-dd HH:mm:ss or ISO 8601")] = None


class AttributeIn(msgspec.Struct):
    """One attribute: `value`, or `values` for a multi-valued one."""

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


class ProfileId(msgspec.Struct, rename="camel"):
    """The answer of a write."""

    profile_id: int


class AttributeOut(msgspec.Struct, omit_defaults=True):
    """One attribute as it is read: `values` for a multi-valued one."""

    name: str
    value: Any | UnsetType = UNSET
    values: list[Any] | UnsetType = UNSET


class SubscriptionOut(msgspec.Struct):
    """One subscription; `subscribe` is null where no choice is recorded."""

    name: str
    subscribe: bool | None
    moment: str | None
    source: str | None


class SegmentationOut(msgspec.Struct):
    """One segmentation."""

    name: str
    category: str | None
    belongs: bool


class ProfileOut(msgspec.Struct, rename="camel"):
    """One profile (v4)."""

    profile_id: int
    attributes: list[AttributeOut]
    subscriptions: list[SubscriptionOut]
    segmentations: list[SegmentationOut]


class ProfilesOut(msgspec.Struct):
    """A list of profiles (v4)."""

    profiles: list[ProfileOut]


class CountOut(msgspec.Struct):
    """How many profiles match."""

    count: int


class SubscriptionsOut(msgspec.Struct):
    """All the subscriptions of the table, with the profile's choices."""

    subscriptions: list[SubscriptionOut]


class SegmentationsOut(msgspec.Struct):
    """All the segmentations of the table; the same list twice in JSON, because integrations read either name."""

    segmentation: Annotated[list[SegmentationOut], Meta(extra={"json_only": True})]
    segmentations: list[SegmentationOut]


class Profile5Out(msgspec.Struct, rename="camel"):
    """One profile (v5)."""

    profile_id: int
    attributes: dict[str, Any]
    subscriptions: dict[str, bool | None]
    segmentations: dict[str, Any]


class Profiles5Out(msgspec.Struct, rename="camel"):
    """A page of profiles (v5); `nextCursor` is null on the last page, and only there."""

    profiles: list[Profile5Out]
    next_cursor: str | None


class ConsentOut(msgspec.Struct, rename="camel"):
    """One change of consent."""

    subscription: str
    subscribe: bool
    moment: str
    source: str
    way: str | None
    date: str | None
    subscription_removed_at: Annotated[str | None | UnsetType, Meta(description="a subscription of former times")] = UNSET


class ConsentsOut(msgspec.Struct):
    """The consent history of a profile, newest first."""

    consents: list[ConsentOut]


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


def profile_out(table: ProfileTable, profile: Profile) -> ProfileOut:
    """A profile in the v4 shape: technical attributes first, then structure order."""
    attributes = [
        AttributeOut("profileId", profile.id),
        AttributeOut("creationMoment", render_moment(profile.created_at)),
        AttributeOut("updateMoment", render_moment(profile.updated_at)),
    ]
    for attribute, value in zip(table.definition.attributes, profile.values, strict=True):
        if attribute.multi_valued:
            attributes.append(AttributeOut(attribute.name, values=render_value(attribute, value)))
        else:
            attributes.append(AttributeOut(attribute.name, render_value(attribute, value)))
    return ProfileOut(
        profile.id,
        attributes,
        subscriptions_out(table, profile),
        segmentations_out(table, profile),
    )


def subscriptions_out(table: ProfileTable, profile: Profile) -> list[SubscriptionOut]:
    """All the subscriptions of the table with the profile's choices."""
    pairs = zip(table.definition.subscriptions, profile.choices, strict=True)
    return [subscription_out(subscription, choice) for subscription, choice in pairs]


def subscription_out(subscription: Subscription, choice: Choice) -> SubscriptionOut:
    """One subscription with the profile's choice."""
    moment = moment_or_null(choice.moment)
    return SubscriptionOut(subscription.name, choice.subscribed, moment, choice.source)


def segmentations_out(table: ProfileTable, profile: Profile) -> list[SegmentationOut]:
    """All the segmentations of the table with the profile's memberships."""
    pairs = zip(table.definition.segmentations, profile.memberships, strict=True)
    return [segmentation_out(segmentation, value) for segmentation, value in pairs]


def segmentation_out(segmentation: Segmentation, value: Any) -> SegmentationOut:
    """One segmentation with the profile's membership."""
    return SegmentationOut(segmentation.name, _category(segmentation, value), value is not None)


def profile5_out(table: ProfileTable, profile: Profile) -> Profile5Out:
    """A profile in the v5 shape."""
    definition = table.definition
    attributes: dict[str, Any] = {
        "profileId": profile.id,
        "creationMoment": render_moment(profile.created_at),
        "updateMoment": render_moment(profile.updated_at),
    }
    pairs: zip[tuple[Attribute, Any]] = zip(definition.attributes, profile.values, strict=True)
    attributes |= {attribute.name: render_value(attribute, value) for attribute, value in pairs}
    choices = zip(definition.subscriptions, profile.choices, strict=True)
    memberships = zip(definition.segmentations, profile.memberships, strict=True)
    return Profile5Out(
        profile.id,
        attributes,
        {subscription.name: choice.subscribed for subscription, choice in choices},
        {g.name: (value is not None) if g.type == "SIMPLE" else _category(g, value) for g, value in memberships},
    )


def consents_out(entries: list[Consent], subscriptions: dict[int, Subscription]) -> ConsentsOut:
    """The history; subscriptions that were removed since have the names that they had."""
    return ConsentsOut([_consent(e, subscriptions[e.subscription]) for e in entries if e.subscription in subscriptions])


def _consent(entry: Consent, subscription: Subscription) -> ConsentOut:
    removed: str | None | UnsetType = UNSET
    if isinstance(subscription, RemovedSubscription):
        removed = moment_or_null(subscription.removed_at)
    return ConsentOut(
        subscription.name,
        entry.subscribed,
        render_moment(entry.moment),
        entry.source,
        entry.details.way,
        moment_or_null(entry.details.collected_at),
        removed,
    )


def _category(segmentation: Segmentation, value: Any) -> str | None:
    if segmentation.type == "SIMPLE" or value is None:
        return None
    return next((c.name for c in segmentation.categories if c.number == value), None)
