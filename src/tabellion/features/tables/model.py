"""What a profile table is: its attributes, subscriptions and segmentations, and the physical columns behind them.

The definition is kept as one document per table (`tabellion.profile_table.definition`); the columns of the real table
are numbered by it (`a7`, `s8`, `g9`), never named by user text. A number is never used twice in one table.
"""

from functools import cached_property
from typing import Any, Literal

import msgspec

SegmentationType = Literal["SIMPLE", "EXCLUSIVE"]

PROFILE_ID = "profileId"
CREATION_MOMENT = "creationMoment"
UPDATE_MOMENT = "updateMoment"
TECHNICAL_NAMES = frozenset({PROFILE_ID.lower(), CREATION_MOMENT.lower(), UPDATE_MOMENT.lower()})


class ValueRestriction(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What a value must satisfy beyond its type (contract, section 7.3). Lengths in characters."""

    min_length: int | None = None
    max_length: int | None = None
    accepted_values: tuple[Any, ...] | None = None
    min: Any = None
    max: Any = None
    pattern: str | None = None


class Attribute(msgspec.Struct, frozen=True, rename="camel", dict=True):
    """One attribute. `type` is CUSTOM or a predefined type (EMAIL_ADDRESS, ...); `value_type` the v5 value type.

    `number` names the column: `a<number>`. Predefined attributes carry the value type of their kind.
    """

    number: int
    name: str
    type: str
    value_type: str
    mandatory: bool = False
    unique: bool = False
    multi_valued: bool = False
    restriction: ValueRestriction | None = None
    default_value: Any = None

    @property
    def column(self) -> str:
        """The physical column."""
        return f"a{self.number}"


class Subscription(msgspec.Struct, frozen=True, rename="camel"):
    """A subscription: columns `s<n>` (boolean), `s<n>_at` (timestamptz) and `s<n>_source` (text)."""

    number: int
    name: str
    display_name: str
    description: str | None = None

    @property
    def column(self) -> str:
        """The column of the choice: true, false, or null where none is recorded."""
        return f"s{self.number}"


class Category(msgspec.Struct, frozen=True):
    """A category of an exclusive segmentation; rows hold its number, so that a renaming touches no row."""

    number: int
    name: str


class Segmentation(msgspec.Struct, frozen=True, rename="camel"):
    """A segmentation: column `g<n>`, boolean (SIMPLE: true or null) or the number of a category (EXCLUSIVE)."""

    number: int
    name: str
    type: SegmentationType
    categories: tuple[Category, ...] = ()

    @property
    def column(self) -> str:
        """The physical column."""
        return f"g{self.number}"


class Definition(msgspec.Struct, frozen=True, rename="camel"):
    """The stored document. `next_number` is the next free column number."""

    next_number: int = 1
    attributes: tuple[Attribute, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    segmentations: tuple[Segmentation, ...] = ()
    display_options: Any = None
    layout: Any = None


class ProfileTable(msgspec.Struct, frozen=True, dict=True):
    """A profile table as it is at `version`; the table behind it is `l<licence_id>.p<id>`."""

    id: int
    licence_id: int
    entity_id: int
    name: str
    version: int
    definition: Definition

    @property
    def schema(self) -> str:
        """The schema of the licence."""
        return f"l{self.licence_id}"

    @property
    def relation(self) -> str:
        """The physical table, without its schema."""
        return f"p{self.id}"

    @cached_property
    def attributes_by_name(self) -> dict[str, Attribute]:
        """Attributes by lower-case name (names match case-insensitively)."""
        return {a.name.lower(): a for a in self.definition.attributes}

    @cached_property
    def subscriptions_by_name(self) -> dict[str, Subscription]:
        """Subscriptions by lower-case name."""
        return {s.name.lower(): s for s in self.definition.subscriptions}

    @cached_property
    def segmentations_by_name(self) -> dict[str, Segmentation]:
        """Segmentations by lower-case name."""
        return {s.name.lower(): s for s in self.definition.segmentations}

    @cached_property
    def unique_attributes(self) -> tuple[Attribute, ...]:
        """The attributes that identify a profile, in structure order."""
        return tuple(a for a in self.definition.attributes if a.unique)
