"""A structure change, thought through before anything is touched: the new definition, the DDL, the checks of the data.

Pure: operations go in, a `Plan` comes out, with every error of the request at its path. Here stands what all tables have:
attributes and a name.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import msgspec
from msgspec.structs import replace

from tabellion.features.tables.model import FILTER_WORDS, Attribute, Columns, Kind
from tabellion.features.tables.types.base import BadValue
from tabellion.features.tables.types.predefined import EMAIL_ADDRESS, PREDEFINED
from tabellion.features.tables.types.registry import VALUE_TYPES, is_email, parse_value
from tabellion.features.tables.types.restriction import canonical
from tabellion.kit.names import folded
from tabellion.kit.near import MOST_LOOKED_FOR, meant
from tabellion.kit.problem import FieldError

MAX_ATTRIBUTES = 500
# The definition is read whole by every process; what it keeps for the console has to stay small.
MAX_PRESENTATION_BYTES = 200_000
_MAX_EXPONENT = 300
_TECHNICAL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_MAX_ATTRIBUTE_NAME = 50
_RESERVED_NAMES = FILTER_WORDS | {"now"}

D = TypeVar("D", bound=Columns)


class Step(NamedTuple):
    """One piece of work on the table.

    `addColumn`, `dropColumn`, `addIndex`, `dropIndex` (of a unique attribute), `addLookup`, `dropLookup` (a plain index)
    change it; `noNulls`, `fits`, `rowsNeedDefault` check it, and `addIndex` does both. A feature may have kinds of its own.
    """

    kind: str
    path: str
    subject: Any
    value: Any = None


class Plan(Generic[D]):
    """Collects the steps and the errors while operations are applied to a definition.

    `zone` is the licence's time zone, for moments without offset in restrictions and default values; `now` the moment of the
    change.
    """

    kind: ClassVar[Kind]

    def __init__(self, definition: D, name: str, zone: tzinfo = UTC, now: datetime | None = None) -> None:
        self.definition = definition
        self.name = name
        self.zone = zone
        self.now = now
        self._before = definition
        self.steps: list[Step] = []
        self.errors: list[FieldError] = []

    def finish(self) -> None:
        """What follows from all the operations together: the plain indexes, at last."""
        before, after = self.lookups(self._before), self.lookups(self.definition)
        kept = {a.number for a in self.definition.attributes}
        gone = (before - after) & kept
        self.steps += [Step("dropLookup", "", self._numbered(number)) for number in sorted(gone)]
        self.steps += [Step("addLookup", "", self._numbered(number)) for number in sorted(after - before)]

    def lookups(self, definition: D) -> set[int]:
        """The attributes, by number, that have a plain index of their own: the address that mails go to always has one."""
        return {a.number for a in definition.attributes if (a.indexed or is_email(a)) and not a.unique}

    def _numbered(self, number: int) -> Attribute:
        return next(a for a in self.definition.attributes if a.number == number)

    def refuse(self, path: str, code: str, message: str) -> None:
        """Note an error. The codes are those of the reference; `structure.invalid` is for what none of the others says."""
        self.errors.append(FieldError(path, code, message))

    def refuse_word(self, path: str, given: str, known: Iterable[str], code: str = "member.type") -> None:
        """Note that a member, the last of the path, is none of the words that it may be."""
        words = list(known)
        nearly = meant(given, words) if len(self.errors) < MOST_LOOKED_FOR else ""
        self.refuse(path, code, f"'{path.rpartition('.')[2]}' is one of {', '.join(words)}{nearly}")

    def rename(self, path: str, name: str) -> None:
        """Give the table another name."""
        if self._check_technical_name(path, name, "a table", self.kind.max_name):
            self.name = name

    def keep(self, member: str, document: Any) -> None:
        """Note an error when a document that is kept as sent is too much to keep."""
        if len(msgspec.json.encode(document)) > MAX_PRESENTATION_BYTES:
            self.refuse(member, "structure.tooLarge", f"'{member}' takes at most {MAX_PRESENTATION_BYTES:,} bytes")
        elif _holds_vast_number(document):
            self.refuse(member, "structure.tooLarge", f"'{member}' takes numbers up to 1E{_MAX_EXPONENT}")

    def add_attribute(self, path: str, attribute: Attribute, *, is_new_table: bool = False) -> None:
        """Add an attribute; its `number` is handed out here."""
        if not self._has_room(path, self.definition.attributes, MAX_ATTRIBUTES, "attributes"):
            return
        checked = self._check_attribute(path, attribute)
        if checked is None:
            return
        attribute = replace(checked, number=self.next_number())
        self.definition = replace(self.definition, attributes=(*self.definition.attributes, attribute))
        default = None
        if attribute.default_value is not None:
            try:
                default = parse_value(attribute, attribute.default_value, self.zone)
            except BadValue as error:
                for place, _, message in error.each(f"{path}.defaultValue"):
                    self.refuse(place, "structure.defaultValue", f"'defaultValue' {message}")
                return
        if attribute.mandatory and default is None and not is_new_table:
            self.steps.append(Step("rowsNeedDefault", f"{path}.defaultValue", attribute))
        if attribute.unique and default is not None:
            self.refuse(f"{path}.defaultValue", "structure.defaultValue", "a unique attribute cannot have a default value")
        self.steps.append(Step("addColumn", path, attribute, default))
        if attribute.unique:
            self.steps.append(Step("addIndex", path, attribute))

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
        """Change an attribute's rules; None leaves a flag, UNSET leaves the restriction.

        `fixed`: what never changes, by member, as it was sent (or UNSET); it may be said as it is.
        """
        old = self.find_attribute(path, name)
        if old is None:
            return
        as_it_is = {"name": old.name, "type": old.type, "valueType": old.value_type, "multiValued": old.multi_valued}
        for member, value in fixed.items():
            if value is not msgspec.UNSET and value != as_it_is[member]:
                message = f"'{member}' of an attribute never changes: make a new attribute instead"
                self.refuse(f"{path}.changes.{member}", "structure.fixed", message)
        new = replace(
            old,
            mandatory=old.mandatory if mandatory is None else mandatory,
            unique=old.unique if unique is None else unique,
            indexed=old.indexed if indexed is None else indexed,
            restriction=old.restriction if restriction is msgspec.UNSET else restriction,
        )
        new = self._check_rules(f"{path}.changes", new)
        if new is None:
            return
        attributes = tuple(new if a.number == old.number else a for a in self.definition.attributes)
        self.definition = replace(self.definition, attributes=attributes)
        if new.mandatory and not old.mandatory:
            self.steps.append(Step("noNulls", f"{path}.changes.mandatory", new))
        if new.unique and not old.unique:
            self.steps.append(Step("addIndex", f"{path}.changes.unique", new))
        if old.unique and not new.unique:
            self.steps.append(Step("dropIndex", path, new))
        if new.restriction is not None and new.restriction != old.restriction:
            self.steps.append(Step("fits", f"{path}.changes.valueRestriction", new))

    def remove_attribute(self, path: str, name: str) -> None:
        """Remove an attribute and its values."""
        old = self.find_attribute(path, name)
        if old is None:
            return
        kept = tuple(a for a in self.definition.attributes if a.number != old.number)
        self.definition = replace(self.definition, attributes=kept)
        self.steps.append(Step("dropColumn", path, old))

    def unhinged(self) -> dict[str, tuple[str, str]]:
        """What nothing can refer to any more, for it goes or is no longer unique: by column, its name and where it is asked.

        What is given back by a later operation has gone meanwhile.
        """
        gone = [step for step in self.steps if step.kind in {"dropColumn", "dropIndex"}]
        return {step.subject.column: (step.subject.name, step.path) for step in gone}

    def next_number(self) -> int:
        """A column number that nothing has had before."""
        number = self.definition.next_number
        self.definition = replace(self.definition, next_number=number + 1)
        return number

    def find_attribute(self, path: str, name: str) -> Attribute | None:
        """The attribute that an operation names; None, and an error, where there is none."""
        if name.lower() in self.kind.technical_names:
            self.refuse(f"{path}.name", "structure.fixed", f"'{name}' is set by the server and never changes")
            return None
        return self.find(self.definition.attributes, name, f"{path}.name", "attribute", "attribute.unknown")

    def find(self, items: Sequence[Any], name: str, path: str, kind: str, code: str) -> Any:
        """The item of this name; None, and an error, where there is none."""
        wanted = folded(name)
        found = next((item for item in items if folded(item.name) == wanted), None)
        if found is None:
            nearly = meant(name, [item.name for item in items]) if len(self.errors) < MOST_LOOKED_FOR else ""
            self.refuse(path, code, f"there is no {kind} '{name}'{nearly}")
        return found

    def _has_room(self, path: str, items: Sequence[Any], most: int, words: str) -> bool:
        """Whether there may be one more. Told once: of thousands that are too many, the first says it."""
        if len(items) < most:
            return True
        message = f"a table has at most {most} {words}"
        if not any(error.message == message for error in self.errors):
            self.refuse(path, "structure.tooMany", message)
        return False

    def _check_attribute(self, path: str, attribute: Attribute) -> Attribute | None:
        before = len(self.errors)
        name = attribute.name
        self._check_technical_name(f"{path}.name", name, "an attribute", _MAX_ATTRIBUTE_NAME)
        lower = name.lower()
        if lower in self.kind.technical_names or lower in _RESERVED_NAMES:
            self.refuse(
                f"{path}.name", "structure.nameReserved", f"'{name}' is a name of the server's own: choose another one"
            )
        if any(a.name.lower() == lower for a in self.definition.attributes):
            self.refuse(f"{path}.name", "structure.nameTaken", f"there is an attribute '{name}' already")
        checked = self._check_type(path, attribute)
        return checked if len(self.errors) == before else None

    def _check_type(self, path: str, attribute: Attribute) -> Attribute | None:
        predefined = PREDEFINED.get(attribute.type)
        if attribute.type != "CUSTOM" and predefined is None:
            self.refuse(f"{path}.type", "structure.typeUnknown", _no_type(attribute.type))
            return None
        if attribute.value_type not in VALUE_TYPES:
            self.refuse_word(f"{path}.valueType", attribute.value_type, VALUE_TYPES, "structure.typeUnknown")
            return None
        if predefined is not None and attribute.value_type != predefined.value_type.name:
            self.refuse(
                f"{path}.valueType", "structure.typeMismatch", f"values of {attribute.type} are {predefined.value_type.name}"
            )
            return None
        if predefined is not None and attribute.multi_valued:
            self.refuse(f"{path}.multiValued", "structure.typeMismatch", f"{attribute.type} has one value")
        if attribute.type == EMAIL_ADDRESS and any(a.type == EMAIL_ADDRESS for a in self.definition.attributes):
            self.refuse(f"{path}.type", "structure.tooMany", "a table has one EMAIL_ADDRESS")
        return self._check_rules(path, attribute)

    def _check_rules(self, path: str, attribute: Attribute) -> Attribute | None:
        """The attribute with its restriction in canonical form; None when its rules make no sense."""
        before = len(self.errors)
        if attribute.unique and attribute.multi_valued:
            self.refuse(f"{path}.unique", "structure.typeMismatch", "a multi-valued attribute cannot be unique")
        if attribute.indexed and (attribute.multi_valued or attribute.value_type == "TEXT"):
            self.refuse(
                f"{path}.indexed",
                "structure.typeMismatch",
                "a text of type TEXT, or a multi-valued attribute, cannot be indexed",
            )
        if attribute.unique and attribute.value_type in {"TEXT", "BOOLEAN"}:
            self.refuse(
                f"{path}.unique", "structure.typeMismatch", f"an attribute of type {attribute.value_type} cannot be unique"
            )
        if attribute.restriction is not None:
            checked = canonical(attribute, attribute.restriction, self.zone)
            if isinstance(checked, list):
                for fault in checked:
                    member = f".{fault.member}" if fault.member else ""
                    self.refuse(f"{path}.valueRestriction{member}", "structure.restriction", fault.message)
            else:
                attribute = replace(attribute, restriction=checked)
        return attribute if len(self.errors) == before else None

    def _check_technical_name(self, path: str, name: str, kind: str, longest: int) -> bool:
        """Note an error unless the name is a letter followed by letters, digits and `_`, and not too long."""
        if len(name) <= longest and _TECHNICAL_NAME.fullmatch(name):
            return True
        self.refuse(
            path,
            "structure.nameInvalid",
            f"the name of {kind} is a letter, then letters, digits and _, at most {longest} characters",
        )
        return False


def _holds_vast_number(document: Any) -> bool:
    """Whether a number would be stored, and answered, as thousands of digits."""
    match document:
        case bool():
            return False
        case int() | Decimal():
            number = Decimal(document)
            return max(abs(number.adjusted()), -int(number.as_tuple().exponent)) > _MAX_EXPONENT
        case list():
            return any(_holds_vast_number(item) for item in document)  # pyright: ignore[reportUnknownVariableType] - kept as sent
        case dict():
            return any(_holds_vast_number(item) for item in document.values())  # pyright: ignore[reportUnknownVariableType] - kept as sent
        case _:
            return False


def _no_type(type_: str) -> str:
    message = f"there is no attribute type '{type_[:100]}'"
    if type_.upper() in VALUE_TYPES:
        return f"{message}: leave 'type' out, or write CUSTOM, and write {type_.upper()} as 'valueType'"
    return f"{message}; there are CUSTOM, {', '.join(PREDEFINED)}"
