"""From the documents of the structure calls to the plan of a custom table."""

from tabellion.features.customdata.model import CleaningRule, EventToTrigger, MatchingConditions, StateCondition, TriggerRule
from tabellion.features.customdata.plan import CustomPlan
from tabellion.features.customdata.service.structure import Targets
from tabellion.features.customdata.wire.structure import (
    CleaningDocument,
    CustomChangeRequest,
    CustomChanges,
    CustomOperation,
    CustomTableIn,
    EventDocument,
    ForeignKeyDocument,
    NewCustomAttribute,
    RuleDocument,
    StateTest,
)
from tabellion.features.tables import Attribute, Restriction, complete


def fill_table(plan: CustomPlan, body: CustomTableIn, targets: Targets) -> None:
    """Put the parts of a new table into the plan."""
    plan.present(body.type or "LINKED_DATA", body.layout, big_table=bool(body.big_table))
    key = (body.primary_key_attribute or "").lower()
    for index, attribute in enumerate(body.attributes):
        plan.add_attribute(f"attributes[{index}]", _attribute(attribute, key), is_new_table=True)
    plan.set_key(body.primary_key_attribute, body.composite_key)
    plan.set_creation_time("creationTimeAttribute", body.creation_time_attribute)
    plan.set_value("valueAttribute", body.value_attribute)
    for index, foreign_key in enumerate(body.foreign_keys or ()):
        _add_foreign_key(plan, f"foreignKeys[{index}]", foreign_key, targets)
    plan.set_events("eventsToTrigger", [_event(event) for event in body.events_to_trigger or ()])
    plan.set_cleaning("cleaningRule", _cleaning(body.cleaning_rule))


_NEEDS = {
    "addAttribute": ("attribute",),
    "updateAttribute": ("name", "changes"),
    "removeAttribute": ("name",),
    "addForeignKey": ("foreign_key",),
    "removeForeignKey": ("name",),
    "setEventsToTrigger": ("events_to_trigger",),
    "setCleaningRule": ("cleaning_rule",),
    "setCreationTimeAttribute": ("creation_time_attribute",),
    "setValueAttribute": ("value_attribute",),
    "rename": ("name",),
}


def fill_changes(plan: CustomPlan, body: CustomChangeRequest, targets: Targets) -> None:
    """Put the operations of a change request into the plan."""
    for path, operation in complete(plan, body.operations, _NEEDS):
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
        case "setCreationTimeAttribute", CustomOperation(creation_time_attribute=None | str() as role):
            plan.set_creation_time(f"{path}.creationTimeAttribute", role)
        case "setValueAttribute", CustomOperation(value_attribute=None | str() as role):
            plan.set_value(f"{path}.valueAttribute", role)
        case _:
            plan.rename(f"{path}.name", name)


def _update_attribute(plan: CustomPlan, path: str, name: str, changes: CustomChanges) -> None:
    restriction = changes.value_restriction
    plan.update_attribute(
        path,
        name,
        mandatory=changes.mandatory,
        unique=changes.unique,
        indexed=changes.indexed,
        restriction=restriction.to_model() if isinstance(restriction, Restriction) else restriction,
        fixed={"name": changes.name, "valueType": changes.value_type},
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
        plan.refuse_word(f"{path}.reference.tableType", reference.table_type, targets.by_type)
        return
    target = targets.find(reference.table_type, reference.table_id)
    if target is None:
        message = targets.lacks(reference.table_type, reference.table_id)
        if reference.table_type == plan.kind.subject and reference.table_id.lower() == plan.name.lower():
            message = "a table refers to itself by a change request (addForeignKey), once it has been made"
        plan.refuse(f"{path}.reference.tableId", "table.unknown", message)
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
