"""The documents of targets."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from tabellion.features.audiences import Audience, Keys, Segment, SegmentDocument, Target
from tabellion.kit.problem import invalid
from tabellion.platform.http.shapes import Flag, Text

_MAX_SEGMENTS = 50


class KeysDocument(msgspec.Struct, rename="camel"):
    """Profiles by the values of a unique attribute; `attribute` null: by their ids."""

    values: list[Text]
    attribute: str | None = None


class TargetIn(msgspec.Struct, rename="camel"):
    """Whom the campaign is for: profiles for whom all holds that is said. `exclude` is a filter, too.

    `audience` and `excludeAudiences` are saved audiences, by id or name.
    """

    subscription: str | None = None
    filter: str | None = None
    exclude: str | None = None
    keys: KeysDocument | None = None
    max_profiles: int | None = None
    segmentations: list[SegmentDocument] = []
    audience: Text | None = None
    exclude_audiences: list[Text] = []
    once_per_address: Annotated[
        Flag | None,
        Meta(description="mass campaigns: profiles with one address get one mail; false: each gets its own; null: true"),
    ] = None


class TargetOut(TargetIn, rename="camel", kw_only=True):
    """The target, and how many profiles it means at the moment; null: there is none."""

    estimated_count: int | None


def read_target(body: TargetIn, audience: int | None, excluded: tuple[int, ...]) -> Target:
    """The target, with the ids of the audiences that it names; what else it names is looked for later. Raises `Invalid`."""
    if len(body.segmentations) > _MAX_SEGMENTS or len(excluded) > _MAX_SEGMENTS:
        raise invalid(
            "segmentations", "structure.tooMany", f"a target names at most {_MAX_SEGMENTS} segmentations and audiences"
        )
    keys = None if body.keys is None else Keys(tuple(body.keys.values), body.keys.attribute)
    segments = tuple(Segment(each.name, each.category) for each in body.segmentations)
    once = body.once_per_address is not False
    return Target(body.subscription, body.filter, keys, body.exclude, body.max_profiles, segments, audience, excluded, once)


def target_out(target: Target | None, estimated: int | None, names: Mapping[int, Audience]) -> TargetOut:
    """The target as it is answered; `names` are the audiences that it names, as far as they are still there."""
    target = target or Target()
    keys = None if target.keys is None else KeysDocument(list(target.keys.values), target.keys.attribute)
    return TargetOut(
        subscription=target.subscription,
        filter=target.filter,
        exclude=target.exclude,
        keys=keys,
        max_profiles=target.max_profiles,
        segmentations=[SegmentDocument(each.name, each.category) for each in target.segmentations],
        audience=None if target.audience is None else _shown(target.audience, names),
        exclude_audiences=[_shown(number, names) for number in target.exclude_audiences],
        once_per_address=target.once_per_address,
        estimated_count=estimated,
    )


def _shown(number: int, names: Mapping[int, Audience]) -> str:
    return names[number].name if number in names else str(number)
