"""The documents of the structure calls."""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tabellion.features.tables.model import ProfileTable, ValueRestriction
from tabellion.features.tables.operations import AnyOperation
from tabellion.features.tables.types.registry import attribute_type

Anything = Annotated[Any, Meta(description="kept and returned unchanged")]


class Restriction(msgspec.Struct, rename="camel", omit_defaults=True):
    """What a value must satisfy beyond its type."""

    min_length: int | None = None
    max_length: int | None = None
    accepted_values: list[Any] | None = None
    min: Any = None
    max: Any = None
    pattern: str | None = None

    def to_model(self) -> ValueRestriction | None:
        """The model's form; None when nothing is restricted."""
        accepted = None if self.accepted_values is None else tuple(self.accepted_values)
        made = ValueRestriction(self.min_length, self.max_length, accepted, self.min, self.max, self.pattern)
        return None if made == ValueRestriction() else made

    @classmethod
    def of(cls, model: ValueRestriction) -> "Restriction":
        """The wire's form."""
        accepted = None if model.accepted_values is None else list(model.accepted_values)
        return cls(model.min_length, model.max_length, accepted, model.min, model.max, model.pattern)


class AttributeV4(msgspec.Struct, rename="camel", omit_defaults=True):
    """An attribute as v4 shows it."""

    value_type: str
    mandatory: bool
    unique: bool
    multi_valued: bool
    value_restriction: Restriction | None = None


class SubscriptionV4(msgspec.Struct, rename="camel"):
    """A subscription as v4 shows it."""

    name: str
    display_name: str


class TableSegmentation(msgspec.Struct, omit_defaults=True):
    """A segmentation."""

    name: str
    type: str
    categories: list[str] | UnsetType = UNSET


class TableName(msgspec.Struct):
    """A table in a list."""

    id: str
    name: str


class TableNamesV4(msgspec.Struct, rename="camel"):
    """The tables of an entity (v4)."""

    profile_table_names: list[TableName]


class TablesV5(msgspec.Struct, rename="camel"):
    """The tables of an entity (v5)."""

    profile_tables: list[TableName]


class TableV4(msgspec.Struct):
    """A structure (v4): attributes are a map by name, technical ones are left out."""

    id: str
    name: str
    attributes: dict[str, AttributeV4]
    subscriptions: list[SubscriptionV4]
    segmentations: list[TableSegmentation]


class AttributeV5(msgspec.Struct, rename="camel"):
    """An attribute as v5 shows it; predefined ones have neither `valueType` nor `multiValued`."""

    type: str
    name: str
    unique: bool
    mandatory: bool
    value_type: str | UnsetType = UNSET
    multi_valued: bool | UnsetType = UNSET
    value_restriction: Restriction | UnsetType = UNSET


TECHNICAL = {
    attribute.name: attribute
    for attribute in (
        AttributeV5("CUSTOM", "profileId", unique=True, mandatory=True, value_type="INTEGER", multi_valued=False),
        AttributeV5("CUSTOM", "creationMoment", unique=False, mandatory=True, value_type="TIMESTAMP", multi_valued=False),
        AttributeV5("CUSTOM", "updateMoment", unique=False, mandatory=True, value_type="TIMESTAMP", multi_valued=False),
    )
}


class SubscriptionV5(msgspec.Struct, rename="camel"):
    """A subscription."""

    name: str
    display_name: str | None = None
    description: str | None = None


class TableV5(msgspec.Struct, rename="camel"):
    """A structure (v5)."""

    id: str
    name: str
    attributes: list[AttributeV5]
    subscriptions: list[SubscriptionV5]
    segmentations: list[TableSegmentation]
    display_options: Anything
    layout: Anything


class TableId(msgspec.Struct):
    """The answer to a creation."""

    id: str


class NewAttribute(msgspec.Struct, rename="camel"):
    """An attribute to be made."""

    name: str
    type: str = "CUSTOM"
    value_type: str | None = None
    mandatory: bool | None = None
    unique: bool | None = None
    multi_valued: bool = False
    value_restriction: Restriction | None = None
    default_value: Annotated[Any, Meta(description="given to the profiles that exist already")] = None


class NewSegmentation(msgspec.Struct):
    """A segmentation to be made."""

    name: str
    type: str = "SIMPLE"
    categories: list[str] = []


class TableIn(msgspec.Struct, rename="camel"):
    """A table to be made."""

    name: str
    attributes: list[NewAttribute]
    subscriptions: list[SubscriptionV5] = []
    segmentations: list[NewSegmentation] = []
    display_options: Anything = None
    layout: Anything = None

    def unused(self) -> Iterator[tuple[str, int]]:
        """The technical attributes that a structure is read with: every table has them, whatever is said of them here."""
        return (("attributes", index) for index, attribute in enumerate(self.attributes) if is_technical(attribute))


class Changes(msgspec.Struct, rename="camel"):
    """What an operation changes."""

    mandatory: bool | None = None
    unique: bool | None = None
    value_restriction: Restriction | None | UnsetType = UNSET
    add_categories: list[str] = []
    remove_categories: list[str] = []
    rename_categories: dict[str, str] = {}
    name: Any = UNSET
    type: Any = UNSET
    value_type: Any = UNSET
    multi_valued: Any = UNSET


class Operation(AnyOperation):
    """One operation of a change request."""

    name: str | None = None
    attribute: NewAttribute | None = None
    subscription: SubscriptionV5 | None = None
    segmentation: NewSegmentation | None = None
    changes: Changes | None = None


class ChangeRequest(msgspec.Struct):
    """Operations that run in order, all or none."""

    operations: list[Operation]


def is_technical(attribute: NewAttribute) -> bool:
    """Whether this is a technical attribute as it is read. One of that name that would be another one is not."""
    technical = TECHNICAL.get(attribute.name)
    return technical is not None and (
        attribute.type == technical.type
        and attribute.value_type == technical.value_type
        and attribute.mandatory in {technical.mandatory, None}
        and attribute.unique in {technical.unique, None}
        and not attribute.multi_valued
        and attribute.value_restriction is None
        and attribute.default_value is None
    )


def table_v4(table: ProfileTable) -> TableV4:
    """The v4 document of a structure."""
    definition = table.definition
    return TableV4(
        str(table.id),
        table.name,
        {
            a.name: AttributeV4(
                attribute_type(a).v4_name, a.mandatory, a.unique, a.multi_valued,
                None if a.restriction is None else Restriction.of(a.restriction),
            )
            for a in definition.attributes
        },
        [SubscriptionV4(s.name, s.display_name) for s in definition.subscriptions],
        _segmentations(table),
    )  # fmt: skip


def table_v5(table: ProfileTable) -> TableV5:
    """The v5 document of a structure: technical attributes first."""
    definition = table.definition
    attributes = list(TECHNICAL.values())
    for a in definition.attributes:
        custom = a.type == "CUSTOM"
        attributes.append(
            AttributeV5(
                a.type,
                a.name,
                a.unique,
                a.mandatory,
                value_type=a.value_type if custom else UNSET,
                multi_valued=a.multi_valued if custom else UNSET,
                value_restriction=UNSET if a.restriction is None else Restriction.of(a.restriction),
            )
        )
    return TableV5(
        str(table.id),
        table.name,
        attributes,
        [SubscriptionV5(s.name, s.display_name, s.description) for s in definition.subscriptions],
        _segmentations(table),
        definition.display_options,
        definition.layout,
    )


def _segmentations(table: ProfileTable) -> list[TableSegmentation]:
    return [
        TableSegmentation(g.name, g.type, UNSET if g.type == "SIMPLE" else [c.name for c in g.categories])
        for g in table.definition.segmentations
    ]
