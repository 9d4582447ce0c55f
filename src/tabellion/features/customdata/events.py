"""Which changes of records raise events: rules as a structure change may set them."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from tabellion.features.customdata.model import (
    CustomDefinition,
    EventToTrigger,
    MatchingConditions,
    StateCondition,
    TriggerRule,
)
from tabellion.features.tables import Attribute, BadValue, Plan, attribute_type

MAX_EVENTS = 100
_MAX_NAME = 100
_OPERATIONS = ("CREATE", "UPDATE", "DELETE")
_OPERATORS = ("=", "!=", ">", ">=", "<", "<=")


class Checking:
    """Of the events that one operation of a plan sets."""

    def __init__(self, plan: Plan[CustomDefinition]) -> None:
        self._plan = plan

    def events(self, path: str, events: Sequence[EventToTrigger]) -> tuple[EventToTrigger, ...]:
        """With the names and values as the table has them; what is wrong is refused in the plan."""
        checked: list[EventToTrigger] = []
        for i, event in enumerate(events):
            if not 1 <= len(event.name) <= _MAX_NAME or not event.name.isprintable():
                self._plan.refuse(
                    f"{path}[{i}].name",
                    "structure.nameInvalid",
                    f"the name of an event has 1 to {_MAX_NAME} printable characters",
                )
            if any(event.name.lower() == other.name.lower() for other in checked):
                self._plan.refuse(f"{path}[{i}].name", "structure.nameTaken", f"there is an event '{event.name}' already")
            rules = tuple(self._rule(f"{path}[{i}].triggerRules[{j}]", rule) for j, rule in enumerate(event.trigger_rules))
            checked.append(EventToTrigger(event.name, rules))
        return tuple(checked)

    def _rule(self, path: str, rule: TriggerRule) -> TriggerRule:
        if rule.on_operation not in _OPERATIONS:
            self._plan.refuse_word(f"{path}.onOperation", rule.on_operation, _OPERATIONS)
        names = rule.on_any_attribute
        if names is not None:
            found = [self._named(f"{path}.onAnyAttribute[{i}]", name) for i, name in enumerate(names)]
            names = tuple(attribute.name for attribute in found if attribute is not None)
        conditions = rule.matching_conditions
        if conditions is not None:
            place = f"{path}.matchingConditions"
            conditions = MatchingConditions(
                tuple(self._conditions(f"{place}.stateBeforeOperation", conditions.state_before_operation)),
                tuple(self._conditions(f"{place}.stateAfterOperation", conditions.state_after_operation)),
            )
        return TriggerRule(rule.on_operation, names, conditions)

    def _conditions(self, path: str, conditions: Sequence[StateCondition]) -> list[StateCondition]:
        checked: list[StateCondition] = []
        for i, condition in enumerate(conditions):
            found = self._named(f"{path}[{i}].attribute", condition.attribute)
            if condition.operator not in _OPERATORS:
                self._plan.refuse(f"{path}[{i}].operator", "member.type", f"'operator' is one of {' '.join(_OPERATORS)}")
            if found is not None:
                value = self._value(f"{path}[{i}].value", found, condition.value)
                checked.append(replace(condition, attribute=found.name, value=value))
        return checked

    def _value(self, path: str, attribute: Attribute, value: Any) -> Any:
        """What a condition compares with, as the attribute's type renders it: it means the same ever after."""
        type_ = attribute_type(attribute).value_type
        try:
            parsed = type_.parse(value, self._plan.zone)
        except BadValue as error:
            self._plan.refuse(path, error.code, f"'{attribute.name}' {error}")
            return None
        return None if parsed is None else type_.render(parsed)

    def _named(self, path: str, name: str) -> Attribute | None:
        return self._plan.find(self._plan.definition.attributes, name, path, "attribute", "attribute.unknown")


def named_by(event: EventToTrigger) -> list[str]:
    """The attributes that an event names."""
    names: list[str] = []
    for rule in event.trigger_rules:
        names += rule.on_any_attribute or ()
        if rule.matching_conditions is not None:
            conditions = rule.matching_conditions
            both = (*conditions.state_before_operation, *conditions.state_after_operation)
            names += [condition.attribute for condition in both]
    return names
