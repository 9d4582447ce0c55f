"""What a custom table is: attributes, a key, foreign keys, and what it is told to do.

Names of attributes never change, so the definition names them; columns and constraints go by number (`a4`, `fc5_a4`).
"""

from functools import cached_property
from typing import Any, ClassVar, Literal

import msgspec

from tabellion.features.tables import Attribute, Columns, Kind, Table, Test, UpdateRule, column_cast

TABLE_TYPES = ("INTERACTIONS", "LINKED_DATA", "REPOSITORY")
OnDelete = Literal["CASCADE", "SET_NULL", "RESTRICT"]

CUSTOM_TABLES = Kind(
    subject="CUSTOM_TABLE", noun="custom table", row="record", rows="records", catalogue="custom_table", letter="c",
    mark="c", id_name="id", first_id=1_000_000_000_001, max_name=64,
)  # fmt: skip


class ForeignKey(msgspec.Struct, frozen=True, rename="camel"):
    """One attribute refers to a unique attribute (or the technical id) of another table.

    `number` is the referring attribute's, `relation` and `column` are what the target is in the licence's schema.
    """

    name: str
    attribute: str
    number: int
    table_type: str
    table_id: str
    target: str
    relation: str
    column: str
    on_delete: OnDelete


class StateCondition(msgspec.Struct, frozen=True, rename="camel"):
    """A test on a record before or after an operation."""

    attribute: str
    operator: str
    value: Any = None


class MatchingConditions(msgspec.Struct, frozen=True, rename="camel"):
    """The tests that must hold for an event to be raised."""

    state_before_operation: tuple[StateCondition, ...] = ()
    state_after_operation: tuple[StateCondition, ...] = ()


class TriggerRule(msgspec.Struct, frozen=True, rename="camel"):
    """When an event is raised."""

    on_operation: str
    on_any_attribute: tuple[str, ...] | None = None
    matching_conditions: MatchingConditions | None = None


class EventToTrigger(msgspec.Struct, frozen=True, rename="camel"):
    """An event that changes of records raise."""

    name: str
    trigger_rules: tuple[TriggerRule, ...] = ()


class CleaningRule(msgspec.Struct, frozen=True, rename="camel"):
    """Records whose moment is older than so many days are to be cleaned away."""

    attribute: str
    older_than_days: int


class CustomDefinition(Columns, frozen=True, rename="camel"):
    """The stored document. `uuid` is the table's id on the wire."""

    uuid: str = ""
    type: str = "LINKED_DATA"
    primary_key_attribute: str | None = None
    composite_key: tuple[str, ...] | None = None
    creation_time_attribute: str | None = None
    value_attribute: str | None = None
    big_table: bool = False
    foreign_keys: tuple[ForeignKey, ...] = ()
    events_to_trigger: tuple[EventToTrigger, ...] = ()
    cleaning_rule: CleaningRule | None = None
    layout: Any = None


class CustomTable(Table, frozen=True, dict=True):
    """A custom table."""

    kind: ClassVar[Kind] = CUSTOM_TABLES

    definition: CustomDefinition

    @property
    def columns(self) -> Columns:
        """The definition."""
        return self.definition

    @property
    def public_id(self) -> str:
        """The UUID."""
        return self.definition.uuid

    @cached_property
    def business_key(self) -> Attribute | None:
        """The attribute whose values the callers choose; None: the key is the technical id."""
        name = self.definition.primary_key_attribute
        return None if name is None else self.attributes_by_name[name.lower()]

    def key_to(self, table: Table) -> ForeignKey | None:
        """The foreign key by which records belong to rows of another table; None: they do not."""
        return next((key for key in self.definition.foreign_keys if key.relation == table.relation), None)

    @property
    def update_rules(self) -> tuple[UpdateRule, ...]:
        """The rules for UPDATE of all events."""
        return tuple(
            self._update_rule(rule, ("eventsToTrigger", i, "triggerRules", j))
            for i, event in enumerate(self.definition.events_to_trigger)
            for j, rule in enumerate(event.trigger_rules)
            if rule.on_operation == "UPDATE"
        )

    def _update_rule(self, rule: TriggerRule, place: tuple[str | int, ...]) -> UpdateRule:
        def tests(member: str, conditions: tuple[StateCondition, ...]) -> tuple[Test, ...]:
            found = [(i, c, self.attributes_by_name[c.attribute.lower()]) for i, c in enumerate(conditions)]
            here = (*place, "matchingConditions", member)
            return tuple(Test(a.column, c.operator, (*here, i, "value"), column_cast(a)) for i, c, a in found)

        conditions = rule.matching_conditions or MatchingConditions()
        names = rule.on_any_attribute
        return UpdateRule(
            tuple(self.attributes_by_name[name.lower()].column for name in names) if names else None,
            tests("stateBeforeOperation", conditions.state_before_operation),
            tests("stateAfterOperation", conditions.state_after_operation),
        )

    @cached_property
    def key(self) -> tuple[Attribute, ...]:
        """What a record is recognised by in a body: the business key, or the attributes of the composite key."""
        names = self.definition.composite_key or ()
        return (self.business_key,) if self.business_key else tuple(self.attributes_by_name[n.lower()] for n in names)
