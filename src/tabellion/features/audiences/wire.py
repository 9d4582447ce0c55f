"""The documents of saved audiences and of samples."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from tabellion.features.audiences.model import MAX_KEYS, Audience, Segment, Target
from tabellion.features.audiences.service import Sample
from tabellion.features.profiles import Profile5Out, profile5_out
from tabellion.features.tables import ProfileTable, render_moment
from tabellion.kit.digits import number_of
from tabellion.kit.names import SIGNS_OF_ADDRESSES, name_fault
from tabellion.kit.problem import FieldError, Invalid, invalid
from tabellion.platform.http.shapes import Text

MAX_SAMPLE = 100
_DEFAULT_SAMPLE, _MAX_SEGMENTS = 10, 50
_INVALID = "structure.invalid"


class SegmentDocument(msgspec.Struct):
    """Who belongs to a segmentation; of an exclusive one, to a category (null: to any)."""

    name: Text
    category: Text | None = None


class AudienceKeys(msgspec.Struct):
    """Profiles by the values of a unique attribute; `attribute` null: by their ids."""

    values: list[Text]
    attribute: str | None = None


class AudienceIn(msgspec.Struct, rename="camel"):
    """An audience to be saved: profiles for whom all holds that is said. `exclude` is a filter, too."""

    name: Text
    target_table: Text
    entity_of_target: str | None = None
    subscription: str | None = None
    segmentations: list[SegmentDocument] = []
    filter: str | None = None
    exclude: str | None = None
    keys: AudienceKeys | None = None


class AudienceChange(msgspec.Struct, rename="camel"):
    """What is to be changed; the table stays. Null takes away."""

    name: Text | UnsetType = UNSET
    subscription: str | None | UnsetType = UNSET
    segmentations: list[SegmentDocument] | None | UnsetType = UNSET
    filter: str | None | UnsetType = UNSET
    exclude: str | None | UnsetType = UNSET
    keys: AudienceKeys | None | UnsetType = UNSET


class KeysOut(msgspec.Struct):
    """How many keys an audience lists, and what they are values of."""

    attribute: str | None
    count: int


class AudienceBrief(msgspec.Struct, rename="camel"):
    """An audience in a list."""

    id: int
    name: str
    target_table: str
    creation_moment: str
    update_moment: str


class AudiencesOut(msgspec.Struct):
    """Audiences, by name."""

    audiences: list[AudienceBrief]


class AudienceOut(msgspec.Struct, rename="camel"):
    """An audience."""

    id: int
    name: str
    target_table: str
    subscription: str | None
    segmentations: list[SegmentDocument]
    filter: str | None
    exclude: str | None
    keys: KeysOut | None
    creation_moment: str
    update_moment: str


class ProfileSample(msgspec.Struct, rename="camel"):
    """How many profiles are meant at the moment, and some of them, spread over the table."""

    estimated_count: int
    profiles: list[Profile5Out]


def read_new(body: AudienceIn, now: datetime) -> Audience:
    """The audience to be saved; what it names is looked for later. Raises `Invalid`."""
    faults = _name_faults(body.name)
    definition = Target(
        body.subscription, body.filter, exclude=body.exclude, segmentations=_segments(body.segmentations, faults)
    )
    attribute = None if body.keys is None else body.keys.attribute
    _check_keys(body.keys, faults)
    if faults:
        raise Invalid(faults)
    return Audience(0, 0, 0, 0, body.name, definition, attribute, None, 1, now, now)


def read_changed(before: Audience, body: AudienceChange) -> Audience:
    """The audience with what a body changes. Raises `Invalid`."""
    faults: list[FieldError] = [] if body.name is UNSET else _name_faults(body.name)
    changes: dict[str, Any] = {}
    for name in ("subscription", "filter", "exclude"):
        value: Any = getattr(body, name)
        if value is not UNSET:
            changes[name] = value
    if body.segmentations is not UNSET:
        changes["segmentations"] = _segments(body.segmentations or [], faults)
    after = replace(before, definition=replace(before.definition, **changes))
    if body.name is not UNSET:
        after = replace(after, name=body.name)
    if body.keys is None:
        after = replace(after, attribute=None, keys=None)
    elif body.keys is not UNSET:
        _check_keys(body.keys, faults)
        after = replace(after, attribute=body.keys.attribute, keys=0)
    if faults:
        raise Invalid(faults)
    return after


def audience_out(audience: Audience, table: ProfileTable) -> AudienceOut:
    """An audience as it is answered."""
    definition = audience.definition
    return AudienceOut(
        id=audience.id,
        name=audience.name,
        target_table=table.name,
        subscription=definition.subscription,
        segmentations=[SegmentDocument(each.name, each.category) for each in definition.segmentations],
        filter=definition.filter,
        exclude=definition.exclude,
        keys=None if audience.keys is None else KeysOut(audience.attribute, audience.keys),
        creation_moment=render_moment(audience.created_at),
        update_moment=render_moment(audience.updated_at),
    )


def audiences_out(found: list[Audience], tables: Mapping[int, ProfileTable]) -> AudiencesOut:
    """Audiences as they are listed."""
    briefs: list[AudienceBrief] = []
    for each in found:
        if each.table_id in tables:
            moments = render_moment(each.created_at), render_moment(each.updated_at)
            briefs.append(AudienceBrief(each.id, each.name, tables[each.table_id].name, *moments))
    return AudiencesOut(briefs)


def sample_out(table: ProfileTable, sample: Sample) -> ProfileSample:
    """A sample as it is answered."""
    return ProfileSample(sample.meant, [profile5_out(table, profile) for profile in sample.profiles])


def read_sample_size(text: str | None) -> int:
    """How many profiles of a sample are answered. Raises `Invalid`."""
    if not text:
        return _DEFAULT_SAMPLE
    if (number := number_of(text)) is None:
        raise invalid("limit", "parameter.invalid", f"'limit' expects a number from 0 to {MAX_SAMPLE}")
    return min(number, MAX_SAMPLE)


def _segments(given: list[SegmentDocument], faults: list[FieldError]) -> tuple[Segment, ...]:
    if len(given) > _MAX_SEGMENTS:
        faults.append(FieldError("segmentations", "structure.tooMany", f"'segmentations' names at most {_MAX_SEGMENTS}"))
    return tuple(Segment(each.name, each.category) for each in given[:_MAX_SEGMENTS])


def _check_keys(keys: AudienceKeys | None, faults: list[FieldError]) -> None:
    if keys is not None and len(keys.values) > MAX_KEYS:
        faults.append(
            FieldError(
                "keys.values", "structure.tooMany", f"'values' expects at most {MAX_KEYS:,} keys; send more as a file"
            )
        )


def _name_faults(name: str) -> list[FieldError]:
    fault = name_fault(name, SIGNS_OF_ADDRESSES) or ("more than digits: those are ids" if name.isdigit() else None)
    return [] if fault is None else [FieldError("name", "structure.nameInvalid", f"'name' expects {fault}")]
