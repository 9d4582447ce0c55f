"""What the v4 and v5 profile calls answer, and the way there from the model."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tabellion.features.profiles.model import Choice, Consent, Profile
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


class SubscriptionWithoutSource(msgspec.Struct):
    """What a choice may be sent back with: who says a `source` here means one that is to be kept, and it would not be."""

    name: str
    subscribe: bool | None
    moment: str | None


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
