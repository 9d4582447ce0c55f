"""The documents of the structure of custom tables, and the way from them to the model and back (contract, section 13)."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tabellion.features.customdata.model import (
    CleaningRule,
    CustomTable,
    EventToTrigger,
    ForeignKey,
    MatchingConditions,
    StateCondition,
    TriggerRule,
)
from tabellion.features.customdata.plan import CustomPlan
from tabellion.features.customdata.service.structure import Targets
from tabellion.features.tables import Attribute, Restriction, attribute_type
from tabellion.kit.problem import invalid

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
    on_delete: Annotated[str, Meta(description="CASCADE, SET_NULL or RESTRICT")]


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


class CustomOperation(msgspec.Struct, rename="camel"):
    """One operation of a change request."""

    operation: str
    name: str | None = None
    attribute: NewCustomAttribute | None = None
    changes: CustomChanges | None = None
    foreign_key: ForeignKeyDocument | None = None
    events_to_trigger: list[EventDocument] | None = None
    cleaning_rule: CleaningDocument | None | UnsetType = UNSET


class CustomChangeRequest(msgspec.Struct):
    """Operations that run in order, all or none."""

    operations: list[CustomOperation]


def fill_table(plan: CustomPlan, body: CustomTableIn, targets: Targets) -> None:
    """Put the parts of a new table into the plan."""
    plan.present(body.type or "LINKED_DATA", body.layout, big_table=bool(body.big_table))
    key = (body.primary_key_attribute or "").lower()
    for index, attribute in enumerate(body.attributes):
        plan.add_attribute(f"attributes[{index}]", _attribute(attribute, key), is_new_table=True)
    plan.set_key(body.primary_key_attribute, body.composite_key)
    plan.set_roles(body.creation_time_attribute, body.value_attribute)
    for index, foreign_key in enumerate(body.foreign_keys or ()):
        _add_foreign_key(plan, f"foreignKeys[{index}]", foreign_key, targets)
    plan.set_events("eventsToTrigger", [_event(event) for event in body.events_to_trigger or ()])
    plan.set_cleaning("cleaningRule", _cleaning(body.cleaning_rule))


_NEEDS = {
    "addAttribute": "attribute",
    "updateAttribute": "changes",
    "removeAttribute": "name",
    "addForeignKey": "foreign_key",
    "removeForeignKey": "name",
    "setEventsToTrigger": "events_to_trigger",
    "setCleaningRule": "cleaning_rule",
    "rename": "name",
}
_ON_WIRE = {"foreign_key": "foreignKey", "events_to_trigger": "eventsToTrigger", "cleaning_rule": "cleaningRule"}


def fill_changes(plan: CustomPlan, body: CustomChangeRequest, targets: Targets) -> None:
    """Put the operations of a change request into the plan."""
    if not body.operations:
        raise invalid("operations", "member.mandatory", "'operations' is empty")
    for index, operation in enumerate(body.operations):
        path = f"operations[{index}]"
        needed = _NEEDS.get(operation.operation)
        if needed is None:
            plan.refuse(f"{path}.operation", "member.type", f"'operation' is one of {', '.join(_NEEDS)}")
            continue
        value = getattr(operation, needed)
        missing = value is UNSET or (value is None and needed != "cleaning_rule")
        member = _ON_WIRE.get(needed, needed)
        if operation.operation == "updateAttribute" and operation.name is None:
            missing, member = True, "name"
        if missing:
            plan.refuse(f"{path}.{member}", "member.mandatory", f"'{operation.operation}' needs '{member}'")
        else:
            _perform(plan, operation, path, targets)


def _perform(plan: CustomPlan, operation: CustomOperation, path: str, targets: Targets) -> None:
    name = operation.name or ""
    match operation.operation, operation:
        case "addAttribute", CustomOperation(attribute=NewCustomAttribute() as attribute):
            plan.add_attribute(f"{path}.attribute", _attribute(attribute))
        case "updateAttribute", CustomOperation(changes=CustomChanges() as changes):
            _update_attribute(plan, path, name, changes)
        case "removeAttribute", _:
            plan.remove_attribute(path, name)
        case "addForeignKey", CustomOperation(foreign_key=ForeignKeyDocument() as key):
            _add_foreign_key(plan, f"{path}.foreignKey", key, targets)
        case "removeForeignKey", _:
            plan.remove_foreign_key(path, name)
        case "setEventsToTrigger", CustomOperation(events_to_trigger=list() as events):
            plan.set_events(f"{path}.eventsToTrigger", [_event(event) for event in events])
        case "setCleaningRule", CustomOperation(cleaning_rule=None | CleaningDocument() as rule):
            plan.set_cleaning(f"{path}.cleaningRule", _cleaning(rule))
        case _:
            plan.rename(f"{path}.name", name)


def _update_attribute(plan: CustomPlan, path: str, name: str, changes: CustomChanges) -> None:
    for member, value in (("name", changes.name), ("valueType", changes.value_type)):
        if value is not UNSET:
            message = f"'{member}' of an attribute never changes: make a new attribute instead"
            plan.refuse(f"{path}.changes.{member}", "structure.fixed", message)
    restriction = changes.value_restriction
    plan.update_attribute(
        path,
        name,
        mandatory=changes.mandatory,
        unique=changes.unique,
        indexed=changes.indexed,
        restriction=restriction.to_model() if isinstance(restriction, Restriction) else restriction,
    )


def _attribute(body: NewCustomAttribute, key: str = "") -> Attribute:
    """The model's form; the attribute of the key is mandatory, unique and indexed, whatever it says."""
    is_key = body.name.lower() == key
    return Attribute(
        number=0,
        name=body.name,
        type="CUSTOM",
        value_type=body.value_type,
        mandatory=body.mandatory or is_key,
        unique=body.unique or is_key,
        indexed=body.indexed or is_key,
        restriction=body.value_restriction.to_model() if body.value_restriction else None,
        default_value=body.default_value,
    )


def _add_foreign_key(plan: CustomPlan, path: str, key: ForeignKeyDocument, targets: Targets) -> None:
    reference = key.reference
    if reference.table_type not in targets.by_type:
        plan.refuse(f"{path}.reference.tableType", "member.type", f"'tableType' is one of {', '.join(targets.by_type)}")
        return
    target = targets.find(reference.table_type, reference.table_id)
    plan.add_foreign_key(path, key.name, key.attribute, target, reference.attribute, key.on_delete)


def _event(event: EventDocument) -> EventToTrigger:
    return EventToTrigger(event.name, tuple(_rule(rule) for rule in event.trigger_rules))


def _rule(rule: RuleDocument) -> TriggerRule:
    names = None if rule.on_any_attribute is None else tuple(rule.on_any_attribute)
    tests = rule.matching_conditions
    conditions = None if tests is None else MatchingConditions(
        tuple(_test(test) for test in tests.state_before_operation),
        tuple(_test(test) for test in tests.state_after_operation),
    )  # fmt: skip
    return TriggerRule(rule.on_operation, names, conditions)


def _test(test: StateTest) -> StateCondition:
    return StateCondition(test.attribute, test.operator, test.value)


def _cleaning(rule: CleaningDocument | None) -> CleaningRule | None:
    return None if rule is None else CleaningRule(rule.attribute, rule.older_than_days)


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
