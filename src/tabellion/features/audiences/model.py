"""What a target is: a filter, subscriptions, segmentations, lists of keys, saved audiences, and what is left out of it."""

from datetime import datetime

import msgspec

MAX_KEYS = 100_000


class Keys(msgspec.Struct, frozen=True):
    """Profiles by the values of a unique attribute (None: their ids)."""

    values: tuple[str, ...]
    attribute: str | None = None


class Segment(msgspec.Struct, frozen=True):
    """Who belongs to a segmentation; of an exclusive one, to a category."""

    name: str
    category: str | None = None


class Target(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Profiles for whom all holds that is said; nothing said: the whole table.

    `subscription`: who has subscribed to it. `segmentations`: who belongs to all of them. `filter`: the language of the v5
    lists. `keys`: those that are listed. `audience`: whom a saved audience means. `exclude`: a filter for those who are left
    out, `exclude_audiences`: saved audiences of such. `max_profiles`: no more than so many, the lowest ids first.
    `once_per_address`: of profiles with one address, the one with the lowest id gets the mail.
    """

    subscription: str | None = None
    filter: str | None = None
    keys: Keys | None = None
    exclude: str | None = None
    max_profiles: int | None = None
    segmentations: tuple[Segment, ...] = ()
    audience: int | None = None
    exclude_audiences: tuple[int, ...] = ()
    once_per_address: bool = True

    @property
    def names_audiences(self) -> tuple[int, ...]:
        """The saved audiences that are named."""
        return (*(() if self.audience is None else (self.audience,)), *self.exclude_audiences)


class Audience(msgspec.Struct, frozen=True):
    """A target under a name, for the campaigns of an entity. It names no other audience.

    `keys`: how many keys are listed (None: it is no list), `attribute`: what they are values of (None: ids).
    """

    id: int
    licence_id: int
    entity_id: int
    table_id: int
    name: str
    definition: Target
    attribute: str | None
    keys: int | None
    version: int
    created_at: datetime
    updated_at: datetime
