"""What a table is: its attributes, subscriptions and segmentations, and the physical columns behind them.

The definition is kept as one document per table (`tabellion.profile_table.definition`); the columns of the real table
are numbered by it (`a7`, `s8`, `g9`), never named by user text. A number is never used twice in one table. What profile
tables and custom tables have in common is a `Table`; the words and letters that tell them apart are a `Kind`.
"""

from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple

import msgspec

from tabellion.kit.counted import counted
from tabellion.kit.enumerated import first_few
from tabellion.kit.names import ByName, folded
from tabellion.kit.near import meant

SegmentationType = Literal["SIMPLE", "EXCLUSIVE"]
NamedPart = Literal["attribute", "subscription", "segmentation"]

CREATION_MOMENT = "creationMoment"
UPDATE_MOMENT = "updateMoment"
# The filter language's own, in lower case: no attribute can be called so.
FILTER_WORDS = frozenset({"and", "or", "not", "in", "is", "null", "true", "false", "contains", "startswith"})
# Of categories in a message.
_MOST_NAMED = 10


class Kind(NamedTuple):
    """What tells the tables of one kind from those of another.

    `catalogue` is their relation in the shared schema, `letter` the first of their physical relations (`p31`), `mark` what
    their indexes carry in front of the table's number (`u31_a4`, `uc5_a4`); `id_name` is the technical id on the wire,
    `first_id` the first one given out. `max_name`: the longest name of a table, in characters.
    """

    subject: str
    noun: str
    row: str
    rows: str
    catalogue: str
    letter: str
    mark: str
    id_name: str
    first_id: int
    max_name: int

    @property
    def technical_names(self) -> frozenset[str]:
        """The attributes that the server sets, by lower-case name."""
        return frozenset({self.id_name.lower(), CREATION_MOMENT.lower(), UPDATE_MOMENT.lower()})

    def counted(self, rows: int) -> str:
        """`1 profile`, `2,000 profiles`."""
        return counted(rows, self.row, self.rows)


PROFILE_TABLES = Kind(
    subject="PROFILE_TABLE", noun="profile table", row="profile", rows="profiles", catalogue="profile_table", letter="p",
    mark="", id_name="profileId", first_id=1, max_name=50,
)  # fmt: skip


class ValueRestriction(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What a value must satisfy beyond its type. Lengths in characters."""

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
    indexed: bool = False
    multi_valued: bool = False
    restriction: ValueRestriction | None = None
    default_value: Any = None

    @property
    def column(self) -> str:
        """The physical column."""
        return f"a{self.number}"


# Where a choice comes from: when it was recorded, and what the caller said of its collection (`details`: way, collectedAt).
ORIGIN = (("at", "timestamptz"), ("source", "text"), ("details", "jsonb"))


class Subscription(msgspec.Struct, frozen=True, rename="camel"):
    """A subscription: a column `s<n>` for the choice, and others beside it for where the choice comes from."""

    number: int
    name: str
    display_name: str
    description: str | None = None

    @property
    def column(self) -> str:
        """The column of the choice: true, false, or null where none is recorded."""
        return f"s{self.number}"

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """All its columns with their types: the choice first, then the parts of `ORIGIN`."""
        return (self.column, "boolean"), *((f"{self.column}_{part}", type_) for part, type_ in ORIGIN)


class RemovedSubscription(Subscription, frozen=True, rename="camel"):
    """A subscription that nobody can choose any more. Its columns stay: the choices are evidence of consent."""

    removed_at: datetime | None = None


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

    def category(self, name: str) -> int | None:
        """The number of a category by its name, however that is written; None: there is none."""
        wanted = folded(name)
        return next((c.number for c in self.categories if folded(c.name) == wanted), None)

    def named(self) -> str:
        """Its categories for a message: the first of them, and how many more there are."""
        return first_few([f"'{each.name}'" for each in self.categories], _MOST_NAMED)


class Test(NamedTuple):
    """A comparison of a row's column with a value of the table's document: where in it, and what it is cast to."""

    column: str
    operator: str
    place: tuple[str | int, ...]
    cast: str


class UpdateRule(NamedTuple):
    """An update that is told: one of the columns has changed (None: any), and the row passes the tests."""

    columns: tuple[str, ...] | None
    before: tuple[Test, ...]
    after: tuple[Test, ...]


class Columns(msgspec.Struct, frozen=True, rename="camel"):
    """What the documents of all tables hold. `next_number` is the next free column number."""

    next_number: int = 1
    attributes: tuple[Attribute, ...] = ()


class Definition(Columns, frozen=True, rename="camel"):
    """The stored document of a profile table."""

    subscriptions: tuple[Subscription, ...] = ()
    segmentations: tuple[Segmentation, ...] = ()
    removed_subscriptions: tuple[RemovedSubscription, ...] = ()
    display_options: Any = None
    layout: Any = None


class Table(msgspec.Struct, frozen=True, dict=True):
    """A table as it is at `version`; the table behind it is `l<licence_id>.<letter><id>`."""

    kind: ClassVar[Kind]

    id: int
    licence_id: int
    entity_id: int
    name: str
    version: int

    @property
    def columns(self) -> Columns:
        """The definition, as far as all tables have it."""
        raise NotImplementedError

    def lacks(self, name: str, part: NamedPart = "attribute") -> str:
        """That there is no such attribute, subscription or segmentation, and what may be meant."""
        names: dict[NamedPart, list[str]] = {
            "attribute": [each.name for each in self.attributes],
            "subscription": [each.name for each in self.subscriptions],
            "segmentation": [each.name for each in self.segmentations],
        }
        said = f"the table has no {part} '{name[:100]}'"
        for other, known in names.items():
            if other != part and folded(name) in map(folded, known):
                return f"{said}; it has {'an' if other == 'attribute' else 'a'} {other} of this name"
        if part == "attribute":
            names[part] += [self.kind.id_name, CREATION_MOMENT, UPDATE_MOMENT]
        return said + meant(name, names[part])

    @property
    def public_id(self) -> str:
        """The id on the wire."""
        return str(self.id)

    @property
    def schema(self) -> str:
        """The schema of the licence."""
        return f"l{self.licence_id:d}"

    @property
    def relation(self) -> str:
        """The physical table, without its schema."""
        return f"{self.kind.letter}{self.id:d}"

    @property
    def label(self) -> str:
        """What stands in the names of the table's indexes and constraints."""
        return f"{self.kind.mark}{self.id:d}"

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """The attributes, in structure order."""
        return self.columns.attributes

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """The subscriptions, in structure order."""
        return ()

    @property
    def removed_subscriptions(self) -> tuple[RemovedSubscription, ...]:
        """Subscriptions of former times, whose choices are still read in the history of consent."""
        return ()

    @property
    def segmentations(self) -> tuple[Segmentation, ...]:
        """The segmentations, in structure order."""
        return ()

    @property
    def update_rules(self) -> tuple[UpdateRule, ...]:
        """Which updates are told to those who listen; none: all."""
        return ()

    @cached_property
    def attributes_by_name(self) -> dict[str, Attribute]:
        """Attributes by lower-case name (names match case-insensitively)."""
        return {a.name.lower(): a for a in self.attributes}

    @cached_property
    def subscriptions_by_name(self) -> ByName[Subscription]:
        """Subscriptions by their names, however these are written."""
        return ByName((s.name, s) for s in self.subscriptions)

    @cached_property
    def segmentations_by_name(self) -> ByName[Segmentation]:
        """Segmentations by their names, however these are written."""
        return ByName((s.name, s) for s in self.segmentations)

    @cached_property
    def unique_attributes(self) -> tuple[Attribute, ...]:
        """The attributes that identify a row, in structure order."""
        return tuple(a for a in self.attributes if a.unique)


class ProfileTable(Table, frozen=True, dict=True):
    """A profile table."""

    kind: ClassVar[Kind] = PROFILE_TABLES

    definition: Definition

    @property
    def columns(self) -> Columns:
        """The definition."""
        return self.definition

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """The subscriptions, in structure order."""
        return self.definition.subscriptions

    @property
    def removed_subscriptions(self) -> tuple[RemovedSubscription, ...]:
        """Subscriptions of former times."""
        return self.definition.removed_subscriptions

    @property
    def segmentations(self) -> tuple[Segmentation, ...]:
        """The segmentations, in structure order."""
        return self.definition.segmentations
