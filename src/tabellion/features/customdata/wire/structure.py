"""The documents of the structure of custom tables."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tabellion.features.customdata.model import CustomTable, EventToTrigger, ForeignKey, OnDelete
from tabellion.features.tables import AnyOperation, Restriction, attribute_type

Anything = Annotated[Any, Meta(description="kept and returned unchanged")]


class CustomTableName(msgspec.Struct):
    """A custom table in a list (v4)."""

    id: str
    name: str


class CustomTablesV4(msgspec.Struct, rename="camel"):
    """The custom tables of an entity (v4)."""

    custom_tables: list[CustomTableName]


class CustomField(msgspec.Struct, rename="camel"):
    """An attribute as v4 shows it."""

    field_name: str
    type: str
    required: bool


class CustomTableV4(msgspec.Struct, rename="camel"):
    """A structure (v4): attributes are a list, technical ones first; `businessKey` is `id` where keys are generated."""

    id: str
    name: str
    business_key: str
    attributes: list[CustomField]


class CustomTableHead(msgspec.Struct):
    """A custom table in a list (v5)."""

    id: str
    name: str
    type: str


class CustomTablesV5(msgspec.Struct, rename="camel"):
    """The custom tables of an entity (v5)."""

    custom_tables: list[CustomTableHead]


class CustomAttribute(msgspec.Struct, rename="camel"):
    """An attribute."""

    name: str
    value_type: str
    mandatory: bool = False
    indexed: bool = False
    unique: bool = False
    value_restriction: Restriction | None = None


class NewCustomAttribute(CustomAttribute, rename="camel"):
    """An attribute to be made."""

    default_value: Annotated[Any, Meta(description="given to the records that exist already")] = None


class KeyReference(msgspec.Struct, rename="camel"):
    """What a foreign key refers to: a unique attribute of a table, or its technical id (`profileId`, `id`)."""

    table_type: str
    table_id: Annotated[str, Meta(description="id or name of the table", extra={"coerce": "text"})]
    attribute: str


class ForeignKeyDocument(msgspec.Struct, rename="camel"):
    """A foreign key."""

    name: str
    attribute: str
    reference: KeyReference
    on_delete: OnDelete


class StateTest(msgspec.Struct):
    """A test on a record before or after an operation."""

    attribute: str
    operator: str
    value: Any = None


class StateTests(msgspec.Struct, rename="camel"):
    """The tests of a rule; all must hold."""

    state_before_operation: list[StateTest] = []
    state_after_operation: list[StateTest] = []


class RuleDocument(msgspec.Struct, rename="camel"):
    """When an event is raised."""

    on_operation: Annotated[str, Meta(description="CREATE, UPDATE or DELETE")]
    on_any_attribute: list[str] | None = None
    matching_conditions: StateTests | None = None


class EventDocument(msgspec.Struct, rename="camel"):
    """An event to trigger."""

    name: str
    trigger_rules: list[RuleDocument] = []


class CleaningDocument(msgspec.Struct, rename="camel"):
    """Which records are to be cleaned away."""

    attribute: str
    older_than_days: int


class CustomTableV5(msgspec.Struct, rename="camel"):
    """A structure (v5); technical attributes are not listed."""

    id: str
    name: str
    type: str
    primary_key_attribute: str | None
    creation_time_attribute: str | None
    composite_key: list[str] | None
    big_table: bool
    value_attribute: str | None
    attributes: list[CustomAttribute]
    foreign_keys: list[ForeignKeyDocument]
    events_to_trigger: list[EventDocument]
    cleaning_rule: CleaningDocument | None
    layout: Anything


class CustomTableIn(msgspec.Struct, rename="camel"):
    """A custom table to be made."""

    name: str
    attributes: list[NewCustomAttribute]
    type: Annotated[str | None, Meta(description="INTERACTIONS, LINKED_DATA (by default) or REPOSITORY")] = None
    primary_key_attribute: str | None = None
    creation_time_attribute: str | None = None
    composite_key: list[str] | None = None
    big_table: bool | None = None
    value_attribute: str | None = None
    foreign_keys: list[ForeignKeyDocument] | None = None
    events_to_trigger: list[EventDocument] | None = None
    cleaning_rule: CleaningDocument | None = None
    layout: Anything = None
    entity_name: Annotated[Any, Meta(description="ignored")] = None


class CustomTableId(msgspec.Struct):
    """The answer to a creation."""

    id: str


class CustomChanges(msgspec.Struct, rename="camel"):
    """What an operation changes."""

    mandatory: bool | None = None
    indexed: bool | None = None
    unique: bool | None = None
    value_restriction: Restriction | None | UnsetType = UNSET
    name: Any = UNSET
    value_type: Any = UNSET


class CustomOperation(AnyOperation, rename="camel"):
    """One operation of a change request."""

    name: str | None = None
    attribute: NewCustomAttribute | None = None
    changes: CustomChanges | None = None
    foreign_key: ForeignKeyDocument | None = None
    events_to_trigger: list[EventDocument] | None = None
    cleaning_rule: CleaningDocument | None | UnsetType = UNSET
    creation_time_attribute: str | None | UnsetType = UNSET
    value_attribute: str | None | UnsetType = UNSET


class CustomChangeRequest(msgspec.Struct):
    """Operations that run in order, all or none."""

    operations: list[CustomOperation]


def table_v4(table: CustomTable) -> CustomTableV4:
    """The v4 document of a structure; no technical attribute is required of a caller."""
    technical = (("id", "Integer"), ("creationMoment", "Moment"), ("updateMoment", "Moment"))
    fields = [CustomField(name, type_, required=False) for name, type_ in technical]
    fields += [CustomField(a.name, attribute_type(a).v4_name, a.mandatory) for a in table.attributes]
    key = table.business_key
    return CustomTableV4(table.public_id, table.name, key.name if key else table.kind.id_name, fields)


def table_v5(table: CustomTable) -> CustomTableV5:
    """The v5 document of a structure."""
    definition = table.definition
    cleaning = definition.cleaning_rule
    return CustomTableV5(
        id=table.public_id,
        name=table.name,
        type=definition.type,
        primary_key_attribute=definition.primary_key_attribute,
        creation_time_attribute=definition.creation_time_attribute,
        composite_key=None if definition.composite_key is None else list(definition.composite_key),
        big_table=definition.big_table,
        value_attribute=definition.value_attribute,
        attributes=[
            CustomAttribute(
                a.name, a.value_type, a.mandatory, a.indexed, a.unique,
                None if a.restriction is None else Restriction.of(a.restriction),
            )
            for a in table.attributes
        ],
        foreign_keys=[_foreign_key_out(key) for key in definition.foreign_keys],
        events_to_trigger=[_event_out(event) for event in definition.events_to_trigger],
        cleaning_rule=None if cleaning is None else CleaningDocument(cleaning.attribute, cleaning.older_than_days),
        layout=definition.layout,
    )  # fmt: skip


def _foreign_key_out(key: ForeignKey) -> ForeignKeyDocument:
    reference = KeyReference(key.table_type, key.table_id, key.target)
    return ForeignKeyDocument(key.name, key.attribute, reference, key.on_delete)


def _event_out(event: EventToTrigger) -> EventDocument:
    rules: list[RuleDocument] = []
    for rule in event.trigger_rules:
        names = None if rule.on_any_attribute is None else list(rule.on_any_attribute)
        found = rule.matching_conditions
        tests = None if found is None else StateTests(
            [StateTest(c.attribute, c.operator, c.value) for c in found.state_before_operation],
            [StateTest(c.attribute, c.operator, c.value) for c in found.state_after_operation],
        )  # fmt: skip
        rules.append(RuleDocument(rule.on_operation, names, tests))
    return EventDocument(event.name, rules)
