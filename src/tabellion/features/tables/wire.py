"""The documents of the structure calls (contract, section 10)."""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tabellion.features.tables.model import Attribute, ProfileTable, ValueRestriction
from tabellion.features.tables.profile_plan import ProfilePlan
from tabellion.features.tables.types.predefined import EMAIL_ADDRESS, PREDEFINED
from tabellion.features.tables.types.registry import attribute_type
from tabellion.kit.problem import invalid

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


class Operation(msgspec.Struct):
    """One operation of a change request."""

    operation: str
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


def fill_table(plan: ProfilePlan, body: TableIn) -> None:
    """Put the parts of a new table into the plan."""
    for index, attribute in enumerate(body.attributes):
        if not is_technical(attribute):
            plan.add_attribute(f"attributes[{index}]", to_attribute(attribute), is_new_table=True)
    for index, subscription in enumerate(body.subscriptions):
        path = f"subscriptions[{index}]"
        plan.add_subscription(path, subscription.name, subscription.display_name, subscription.description)
    for index, segmentation in enumerate(body.segmentations):
        plan.add_segmentation(f"segmentations[{index}]", segmentation.name, segmentation.type, segmentation.categories)
    plan.present(body.display_options, body.layout)


def fill_changes(plan: ProfilePlan, body: ChangeRequest) -> None:
    """Put the operations of a change request into the plan."""
    if not body.operations:
        raise invalid("operations", "member.mandatory", "'operations' is empty")
    for index, operation in enumerate(body.operations):
        _apply(plan, operation, f"operations[{index}]")


_NEEDS = {
    "addAttribute": ("attribute",),
    "updateAttribute": ("name", "changes"),
    "removeAttribute": ("name",),
    "addSubscription": ("subscription",),
    "removeSubscription": ("name",),
    "addSegmentation": ("segmentation",),
    "updateSegmentation": ("name", "changes"),
    "removeSegmentation": ("name",),
    "rename": ("name",),
}


def _apply(plan: ProfilePlan, operation: Operation, path: str) -> None:
    needs = _NEEDS.get(operation.operation)
    if needs is None:
        plan.refuse(f"{path}.operation", "member.type", f"'operation' is one of {', '.join(_NEEDS)}")
        return
    missing = [member for member in needs if getattr(operation, member) is None]
    for member in missing:
        plan.refuse(f"{path}.{member}", "member.mandatory", f"'{operation.operation}' needs '{member}'")
    if not missing:
        _perform(plan, operation, path)


def _perform(plan: ProfilePlan, operation: Operation, path: str) -> None:
    name, changes = operation.name or "", operation.changes or Changes()
    match operation.operation, operation:
        case "addAttribute", Operation(attribute=NewAttribute() as attribute):
            plan.add_attribute(f"{path}.attribute", to_attribute(attribute))
        case "updateAttribute", _:
            _update_attribute(plan, path, name, changes)
        case "removeAttribute", _:
            plan.remove_attribute(path, name)
        case "addSubscription", Operation(subscription=SubscriptionV5() as new):
            plan.add_subscription(f"{path}.subscription", new.name, new.display_name, new.description)
        case "removeSubscription", _:
            plan.remove_subscription(path, name)
        case "addSegmentation", Operation(segmentation=NewSegmentation() as new):
            plan.add_segmentation(f"{path}.segmentation", new.name, new.type, new.categories)
        case "updateSegmentation", _:
            added, removed, renamed = changes.add_categories, changes.remove_categories, changes.rename_categories
            plan.update_segmentation(path, name, add=added, remove=removed, rename=renamed)
        case "removeSegmentation", _:
            plan.remove_segmentation(path, name)
        case _:
            plan.rename(f"{path}.name", name)


def _update_attribute(plan: ProfilePlan, path: str, name: str, changes: Changes) -> None:
    fixed = {
        "name": changes.name,
        "type": changes.type,
        "valueType": changes.value_type,
        "multiValued": changes.multi_valued,
    }
    for member, value in fixed.items():
        if value is not UNSET:
            message = f"'{member}' of an attribute never changes: make a new attribute instead"
            plan.refuse(f"{path}.changes.{member}", "structure.fixed", message)
    restriction = changes.value_restriction
    model = restriction.to_model() if isinstance(restriction, Restriction) else restriction
    plan.update_attribute(path, name, mandatory=changes.mandatory, unique=changes.unique, restriction=model)


def to_attribute(body: NewAttribute) -> Attribute:
    """The model's form; the number is handed out by the plan. An e-mail address is mandatory and unique by default."""
    predefined = PREDEFINED.get(body.type)
    by_default = body.type == EMAIL_ADDRESS
    return Attribute(
        number=0,
        name=body.name,
        type=body.type,
        value_type=body.value_type or (predefined.value_type.name if predefined else ""),
        mandatory=by_default if body.mandatory is None else body.mandatory,
        unique=by_default if body.unique is None else body.unique,
        multi_valued=body.multi_valued,
        restriction=body.value_restriction.to_model() if body.value_restriction else None,
        default_value=body.default_value,
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
