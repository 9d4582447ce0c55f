"""A structure change of a custom table: beside attributes its key, foreign keys, events and cleaning rule."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from msgspec.structs import replace

from tabellion.features.customdata.events import MAX_EVENTS, Checking, named_by
from tabellion.features.customdata.model import (
    CUSTOM_TABLES,
    TABLE_TYPES,
    CleaningRule,
    CustomDefinition,
    EventToTrigger,
    ForeignKey,
    OnDelete,
)
from tabellion.features.tables import Attribute, Kind, Plan, Step, Table, is_email

MAX_FOREIGN_KEYS = 50
MIN_KEY_ATTRIBUTES, MAX_KEY_ATTRIBUTES = 2, 8
MAX_CLEANING_DAYS = 36_500
_MAX_NAME = 100
_NUMERIC = frozenset({"INTEGER", "LONG", "NUMBER"})
_TIMES = frozenset({"DATE", "TIMESTAMP"})
# Values of one family are compared with each other.
_FAMILY = {"STRING": "text", "TEXT": "text", "INTEGER": "whole", "LONG": "whole"}


class CustomPlan(Plan[CustomDefinition]):
    """The plan of a custom table; steps of its own: `addKey` (composite), `addReference`, `dropReference`."""

    kind: ClassVar[Kind] = CUSTOM_TABLES

    def present(self, type_: str, layout: Any, *, big_table: bool) -> None:
        """The table's type, and what is kept as it was sent."""
        if type_ not in TABLE_TYPES:
            self.refuse_word("type", type_, TABLE_TYPES)
        self.keep("layout", layout)
        self.definition = replace(self.definition, type=type_, big_table=big_table, layout=layout)

    def set_key(self, primary: str | None, composite: Sequence[str] | None) -> None:
        """Choose the key of a new table: one attribute, or several together, or the technical id. After the attributes."""
        if primary is not None and composite is not None:
            self.refuse("compositeKey", "structure.key", "a table has a 'primaryKeyAttribute' or a 'compositeKey', not both")
        elif primary is not None:
            found = self._named("primaryKeyAttribute", primary)
            if found is not None:
                self.definition = replace(self.definition, primary_key_attribute=found.name)
        elif composite is not None:
            self._set_composite(composite)

    def _set_composite(self, names: Sequence[str]) -> None:
        found = [self._named(f"compositeKey[{i}]", name) for i, name in enumerate(names)]
        attributes = [attribute for attribute in found if attribute is not None]
        if len(attributes) < len(found):
            return
        numbers = {attribute.number for attribute in attributes}
        if not MIN_KEY_ATTRIBUTES <= len(attributes) <= MAX_KEY_ATTRIBUTES or len(numbers) < len(attributes):
            self.refuse(
                "compositeKey",
                "structure.key",
                f"a composite key has {MIN_KEY_ATTRIBUTES} to {MAX_KEY_ATTRIBUTES} different attributes",
            )
            return
        for i, attribute in enumerate(attributes):
            if attribute.value_type == "TEXT":
                self.refuse(f"compositeKey[{i}]", "structure.key", "an attribute of type TEXT cannot be part of a key")
        self.definition = replace(
            self.definition,
            composite_key=tuple(attribute.name for attribute in attributes),
            attributes=tuple(replace(a, mandatory=a.mandatory or a.number in numbers) for a in self.definition.attributes),
        )
        self.steps.append(Step("addKey", "compositeKey", tuple(attributes)))

    def set_creation_time(self, path: str, name: str | None) -> None:
        """Name the attribute that tells when it happened; None: there is none."""
        found = self._role(path, "creationTimeAttribute", name, _TIMES)
        self.definition = replace(self.definition, creation_time_attribute=found)

    def set_value(self, path: str, name: str | None) -> None:
        """Name the attribute that tells what it was worth; None: there is none."""
        self.definition = replace(self.definition, value_attribute=self._role(path, "valueAttribute", name, _NUMERIC))

    def _role(self, path: str, member: str, name: str | None, types: frozenset[str]) -> str | None:
        found = None if name is None else self._named(path, name)
        if found is not None and found.value_type not in types:
            self.refuse(
                path, "structure.typeMismatch", f"'{member}' names an attribute of type {' or '.join(sorted(types))}"
            )
        return None if found is None else found.name

    def add_foreign_key(
        self, path: str, name: str, attribute: str, target: Table | None, other: str, action: OnDelete
    ) -> None:
        """Refer to a unique attribute (or the technical id) of `target`; None: there is none, as was told."""
        taken = self.definition.foreign_keys
        if not self._has_room(path, taken, MAX_FOREIGN_KEYS, "foreign keys"):
            return
        if not 1 <= len(name) <= _MAX_NAME or not name.isprintable() or name != name.strip():
            self.refuse(
                f"{path}.name",
                "structure.nameInvalid",
                f"the name of a foreign key has 1 to {_MAX_NAME} printable characters",
            )
        elif any(key.name.lower() == name.lower() for key in taken):
            self.refuse(f"{path}.name", "structure.nameTaken", f"there is a foreign key '{name}' already")
        own = self._named(f"{path}.attribute", attribute)
        if own is not None and any(key.number == own.number for key in taken):
            self.refuse(f"{path}.attribute", "structure.foreignKey", f"'{own.name}' has a foreign key already")
        if own is not None and own.mandatory and action == "SET_NULL":
            self.refuse(f"{path}.onDelete", "structure.foreignKey", f"'{own.name}' is mandatory and cannot be set to null")
        if target is None:
            return
        column = self._target(path, own, target, other)
        if own is None or column is None:
            return
        key = ForeignKey(
            name, own.name, own.number, target.kind.subject, target.public_id, column[0], target.relation, column[1], action
        )
        self.definition = replace(self.definition, foreign_keys=(*taken, key))
        self.steps.append(Step("addReference", path, own, key))

    def _target(self, path: str, own: Attribute | None, target: Table, name: str) -> tuple[str, str] | None:
        """The name and the column of the attribute referred to, when it can be referred to by `own`."""
        place = f"{path}.reference.attribute"
        if name.lower() == target.kind.id_name.lower():
            found, name, column = None, target.kind.id_name, "id"
        else:
            is_own = target.public_id == self.definition.uuid
            # Its own attributes as earlier operations have left them.
            attributes = self.definition.attributes if is_own else target.attributes
            found = next((a for a in attributes if a.name.lower() == name.lower()), None)
            if found is None:
                self.refuse(place, "attribute.unknown", target.lacks(name))
                return None
            name, column = found.name, found.column
            if not found.unique:
                self.refuse(place, "key.notUnique", f"'{name}' is not unique: a foreign key refers to one {target.kind.row}")
                return None
            if is_email(found):
                message = "an e-mail address is compared whatever its case and cannot be referred to; refer to"
                self.refuse(place, "structure.foreignKey", f"{message} '{target.kind.id_name}' or another unique attribute")
                return None
        theirs = "LONG" if found is None else found.value_type
        if own is not None and _FAMILY.get(own.value_type, own.value_type) != _FAMILY.get(theirs, theirs):
            self.refuse(
                f"{path}.attribute", "structure.foreignKey", f"'{own.name}' is {own.value_type}, but '{name}' is {theirs}"
            )
            return None
        return name, column

    def remove_foreign_key(self, path: str, name: str) -> None:
        """Refer no more."""
        found = self.find(self.definition.foreign_keys, name, f"{path}.name", "foreign key", "foreignKey.unknown")
        if found is None:
            return
        kept = tuple(key for key in self.definition.foreign_keys if key is not found)
        self.definition = replace(self.definition, foreign_keys=kept)
        self.steps.append(Step("dropReference", path, found))

    def set_events(self, path: str, events: Sequence[EventToTrigger]) -> None:
        """Say which changes raise events."""
        if len(events) > MAX_EVENTS:
            self.refuse(path, "structure.tooMany", f"a table has at most {MAX_EVENTS} events")
            return
        checked = Checking(self).events(path, events)
        self.definition = replace(self.definition, events_to_trigger=checked)
        self.keep(path, checked)

    def set_cleaning(self, path: str, rule: CleaningRule | None) -> None:
        """Say which records are to be cleaned away; None: none."""
        if rule is not None:
            found = self._named(f"{path}.attribute", rule.attribute, technical=True)
            if found is not None and found.value_type not in _TIMES:
                self.refuse(f"{path}.attribute", "structure.typeMismatch", "a cleaning rule goes by a DATE or a TIMESTAMP")
            if not 1 <= rule.older_than_days <= MAX_CLEANING_DAYS:
                self.refuse(f"{path}.olderThanDays", "structure.invalid", f"'olderThanDays' is 1 to {MAX_CLEANING_DAYS:,}")
            if found is not None:
                rule = replace(rule, attribute=found.name)
        self.definition = replace(self.definition, cleaning_rule=rule)

    def update_attribute(
        self,
        path: str,
        name: str,
        *,
        mandatory: bool | None,
        unique: bool | None,
        restriction: Any,
        indexed: bool | None = None,
        fixed: Mapping[str, object],
    ) -> None:
        """The same, but for what the key and the foreign keys need."""
        definition, lower = self.definition, name.lower()
        is_key = (definition.primary_key_attribute or "").lower() == lower
        is_part = is_key or lower in {n.lower() for n in definition.composite_key or ()}
        if is_part and mandatory is False:
            self.refuse(f"{path}.changes.mandatory", "structure.fixed", f"'{name}' is part of the key: it stays mandatory")
        if is_key and unique is False:
            self.refuse(f"{path}.changes.unique", "structure.fixed", f"'{name}' is the key: it stays unique")
        users = [f"the foreign key '{key.name}'" for key in _own(definition) if key.target.lower() == lower]
        if unique is False and users:
            self.refuse(
                f"{path}.changes.unique", "structure.inUse", f"{', '.join(users)} refers to '{name}': remove it first"
            )
        if mandatory and any(k.attribute.lower() == lower and k.on_delete == "SET_NULL" for k in definition.foreign_keys):
            self.refuse(
                f"{path}.changes.mandatory", "structure.foreignKey", f"the foreign key of '{name}' may set it to null"
            )
        super().update_attribute(
            path, name, mandatory=mandatory, unique=unique, restriction=restriction, indexed=indexed, fixed=fixed
        )

    def remove_attribute(self, path: str, name: str) -> None:
        """The same, but nothing else may name the attribute."""
        users = _users(self.definition, name.lower())
        if users:
            self.refuse(f"{path}.name", "structure.inUse", f"'{name}' is named by {', '.join(users)}: free it there first")
            return
        super().remove_attribute(path, name)

    def lookups(self, definition: CustomDefinition) -> set[int]:
        """Foreign keys have an index too: what they refer to is deleted without reading the whole table."""
        unique = {attribute.number for attribute in definition.attributes if attribute.unique}
        return super().lookups(definition) | ({key.number for key in definition.foreign_keys} - unique)

    def _named(self, path: str, name: str, *, technical: bool = False) -> Attribute | None:
        if technical and name.lower() in {"creationmoment", "updatemoment"}:
            canonical = "creationMoment" if name.lower() == "creationmoment" else "updateMoment"
            return Attribute(0, canonical, "CUSTOM", "TIMESTAMP")
        return self.find(self.definition.attributes, name, path, "attribute", "attribute.unknown")


def _users(definition: CustomDefinition, name: str) -> list[str]:
    """What names an attribute beside the list of them."""
    named: list[tuple[str, Sequence[str | None]]] = [
        ("'primaryKeyAttribute'", [definition.primary_key_attribute]),
        ("'compositeKey'", definition.composite_key or ()),
        ("'creationTimeAttribute'", [definition.creation_time_attribute]),
        ("'valueAttribute'", [definition.value_attribute]),
        ("'cleaningRule'", [definition.cleaning_rule.attribute] if definition.cleaning_rule else ()),
        *((f"the foreign key '{key.name}'", [key.attribute]) for key in definition.foreign_keys),
        *((f"the foreign key '{key.name}'", [key.target]) for key in _own(definition)),
        *((f"the event '{event.name}'", named_by(event)) for event in definition.events_to_trigger),
    ]
    return [user for user, names in named if any(n is not None and n.lower() == name for n in names)]


def _own(definition: CustomDefinition) -> list[ForeignKey]:
    """The foreign keys of a table to itself."""
    return [key for key in definition.foreign_keys if key.table_id == definition.uuid]
