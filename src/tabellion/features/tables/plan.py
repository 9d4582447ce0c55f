"""A structure change, thought through before anything is touched: the new definition, the DDL, the checks of the data.

Pure: operations go in, a `Plan` comes out, with every error of the request at its path.
"""

import re
from collections.abc import Sequence
from datetime import UTC, tzinfo
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from tabellion.features.tables.model import (
    TECHNICAL_NAMES,
    Attribute,
    Category,
    Definition,
    Segmentation,
    Subscription,
)
from tabellion.features.tables.types.base import BadValue
from tabellion.features.tables.types.predefined import EMAIL_ADDRESS, PREDEFINED
from tabellion.features.tables.types.registry import VALUE_TYPES, parse_value
from tabellion.features.tables.types.restriction import canonical
from tabellion.kit.problem import FieldError

MAX_ATTRIBUTES = 500
MAX_SUBSCRIPTIONS = 200
MAX_SEGMENTATIONS = 200
MAX_CATEGORIES = 500
# The definition is read whole by every process; what it keeps for the console has to stay small.
MAX_PRESENTATION_BYTES = 200_000
_MAX_EXPONENT = 300
_TECHNICAL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,49}")
_MAX_NAME = 100
# These words are the language's own in filters.
RESERVED_NAMES = frozenset({"and", "or", "not", "in", "is", "null", "true", "false", "contains", "startswith", "now"})


class Step(NamedTuple):
    """One piece of work on the table.

    `addColumn`, `dropColumn`, `addIndex`, `dropIndex` change it; `noNulls`, `noDuplicates`, `fits`, `noneIn` check it.
    """

    kind: Literal[
        "addColumn", "dropColumn", "addIndex", "dropIndex", "noNulls", "noDuplicates", "fits", "noneIn", "addChoice",
        "dropChoice", "addMembership", "dropMembership", "rowsNeedDefault",
    ]  # fmt: skip
    path: str
    subject: Any
    value: Any = None


class Plan:
    """Collects the steps and the errors while operations are applied to a definition.

    `zone` is the licence's time zone, for moments without offset in restrictions and default values.
    """

    def __init__(self, definition: Definition, name: str, zone: tzinfo = UTC) -> None:
        self.definition = definition
        self.name = name
        self._zone = zone
        self.steps: list[Step] = []
        self.errors: list[FieldError] = []

    def refuse(self, path: str, message: str, code: str = "structure.invalid") -> None:
        """Note an error."""
        self.errors.append(FieldError(path, code, message))

    def rename(self, path: str, name: str) -> None:
        """Give the table another name."""
        if check_technical_name(self, path, name, "a table"):
            self.name = name

    def present(self, display_options: Any, layout: Any) -> None:
        """Keep what the console shows the table by."""
        for member, document in (("displayOptions", display_options), ("layout", layout)):
            if len(msgspec.json.encode(document)) > MAX_PRESENTATION_BYTES:
                self.refuse(member, f"'{member}' takes at most {MAX_PRESENTATION_BYTES:,} bytes")
            elif _holds_vast_number(document):
                self.refuse(member, f"'{member}' takes numbers up to 1E{_MAX_EXPONENT}")
        self.definition = replace(self.definition, display_options=display_options, layout=layout)

    def add_attribute(self, path: str, attribute: Attribute, *, is_new_table: bool = False) -> None:
        """Add an attribute; its `number` is handed out here."""
        checked = self._check_attribute(path, attribute)
        if checked is None:
            return
        attribute = replace(checked, number=self._number())
        attributes = (*self.definition.attributes, attribute)
        if len(attributes) > MAX_ATTRIBUTES:
            self.refuse(path, f"a table has at most {MAX_ATTRIBUTES} attributes")
        self.definition = replace(self.definition, attributes=attributes)
        default = None
        if attribute.default_value is not None:
            try:
                default = parse_value(attribute, attribute.default_value, self._zone)
            except BadValue as error:
                self.refuse(f"{path}.defaultValue", f"'defaultValue' {error}")
                return
        if attribute.mandatory and default is None and not is_new_table:
            self.steps.append(Step("rowsNeedDefault", f"{path}.defaultValue", attribute))
        if attribute.unique and default is not None:
            self.refuse(f"{path}.defaultValue", "a unique attribute cannot have a default value")
        self.steps.append(Step("addColumn", path, attribute, default))
        if attribute.unique:
            self.steps.append(Step("addIndex", path, attribute))

    def update_attribute(
        self, path: str, name: str, *, mandatory: bool | None, unique: bool | None, restriction: Any
    ) -> None:
        """Change an attribute's rules; None leaves `mandatory` and `unique`, UNSET leaves the restriction."""
        old = self._find_attribute(path, name)
        if old is None:
            return
        new = replace(
            old,
            mandatory=old.mandatory if mandatory is None else mandatory,
            unique=old.unique if unique is None else unique,
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
            self.steps.append(Step("noDuplicates", f"{path}.changes.unique", new))
            self.steps.append(Step("addIndex", path, new))
        if old.unique and not new.unique:
            self.steps.append(Step("dropIndex", path, new))
        if new.restriction is not None and new.restriction != old.restriction:
            self.steps.append(Step("fits", f"{path}.changes.valueRestriction", new))

    def remove_attribute(self, path: str, name: str) -> None:
        """Remove an attribute, its values and its display options."""
        old = self._find_attribute(path, name)
        if old is None:
            return
        self.definition = replace(
            self.definition,
            attributes=tuple(a for a in self.definition.attributes if a.number != old.number),
            display_options=_without(self.definition.display_options, old.name),
        )
        self.steps.append(Step("dropColumn", path, old))

    def add_subscription(self, path: str, name: str, display_name: str | None, description: str | None) -> None:
        """Add a subscription."""
        if not self._check_name(path, name, self.definition.subscriptions, "subscription"):
            return
        subscription = Subscription(self._number(), name, display_name or name, description)
        subscriptions = (*self.definition.subscriptions, subscription)
        if len(subscriptions) > MAX_SUBSCRIPTIONS:
            self.refuse(path, f"a table has at most {MAX_SUBSCRIPTIONS} subscriptions")
        self.definition = replace(self.definition, subscriptions=subscriptions)
        self.steps.append(Step("addChoice", path, subscription))

    def remove_subscription(self, path: str, name: str) -> None:
        """Remove a subscription and the profiles' choices for it."""
        old = self._find(self.definition.subscriptions, name, f"{path}.name", "subscription", "subscription.unknown")
        if old is None:
            return
        kept = tuple(s for s in self.definition.subscriptions if s.number != old.number)
        self.definition = replace(self.definition, subscriptions=kept)
        self.steps.append(Step("dropChoice", path, old))

    def add_segmentation(self, path: str, name: str, type_: str, categories: Sequence[str]) -> None:
        """Add a segmentation; an exclusive one needs categories, a simple one has none."""
        if not self._check_name(path, name, self.definition.segmentations, "segmentation"):
            return
        if type_ not in {"SIMPLE", "EXCLUSIVE"}:
            self.refuse(f"{path}.type", "'type' is SIMPLE or EXCLUSIVE")
            return
        if (type_ == "EXCLUSIVE") != bool(categories):
            self.refuse(f"{path}.categories", "an EXCLUSIVE segmentation has categories, a SIMPLE one has none")
            return
        made: tuple[Category, ...] = ()
        for index, category in enumerate(categories):
            if self._check_name(f"{path}.categories[{index}]", category, made, "category", member=""):
                made = (*made, Category(self._number(), category))
        exclusive: Literal["SIMPLE", "EXCLUSIVE"] = "EXCLUSIVE" if type_ == "EXCLUSIVE" else "SIMPLE"
        segmentation = Segmentation(self._number(), name, exclusive, made)
        segmentations = (*self.definition.segmentations, segmentation)
        if len(segmentations) > MAX_SEGMENTATIONS or len(made) > MAX_CATEGORIES:
            self.refuse(path, f"at most {MAX_SEGMENTATIONS} segmentations of {MAX_CATEGORIES} categories")
        self.definition = replace(self.definition, segmentations=segmentations)
        self.steps.append(Step("addMembership", path, segmentation))

    def update_segmentation(
        self, path: str, name: str, *, add: Sequence[str], remove: Sequence[str], rename: dict[str, str]
    ) -> None:
        """Change the categories of an exclusive segmentation; profiles keep a renamed one."""
        segmentations = self.definition.segmentations
        old = self._find(segmentations, name, f"{path}.name", "segmentation", "segmentation.unknown")
        if old is None:
            return
        if old.type == "SIMPLE":
            self.refuse(f"{path}.changes", "a SIMPLE segmentation has no categories")
            return
        categories = list(old.categories)
        changes = f"{path}.changes"
        for index, gone in enumerate(remove):
            found = self._find(categories, gone, f"{changes}.removeCategories[{index}]", "category", "segmentation.category")
            if found is not None:
                categories.remove(found)
                self.steps.append(Step("noneIn", f"{changes}.removeCategories[{index}]", old, found))
        categories = self._rename_categories(f"{changes}.renameCategories", categories, rename)
        for index, category in enumerate(add):
            if self._check_name(f"{changes}.addCategories[{index}]", category, categories, "category", member=""):
                categories.append(Category(self._number(), category))
        if not 1 <= len(categories) <= MAX_CATEGORIES:
            self.refuse(changes, f"an EXCLUSIVE segmentation has 1 to {MAX_CATEGORIES} categories")
        new = replace(old, categories=tuple(categories))
        changed = tuple(new if g.number == old.number else g for g in segmentations)
        self.definition = replace(self.definition, segmentations=changed)

    def _rename_categories(self, path: str, categories: list[Category], names: dict[str, str]) -> list[Category]:
        """All at once, so that two categories can exchange their names."""
        renamed: dict[int, str] = {}
        for before, after in names.items():
            found = self._find(categories, before, path, "category", "segmentation.category")
            if found is not None:
                renamed[found.number] = after
        new = [c for c in categories if c.number not in renamed]
        for number, name in renamed.items():
            if self._check_name(path, name, new, "category", member=""):
                new.append(Category(number, name))
        order = [c.number for c in categories]
        return sorted(new, key=lambda c: order.index(c.number))

    def remove_segmentation(self, path: str, name: str) -> None:
        """Remove a segmentation and the profiles' memberships."""
        old = self._find(self.definition.segmentations, name, f"{path}.name", "segmentation", "segmentation.unknown")
        if old is None:
            return
        kept = tuple(g for g in self.definition.segmentations if g.number != old.number)
        self.definition = replace(self.definition, segmentations=kept)
        self.steps.append(Step("dropMembership", path, old))

    def _number(self) -> int:
        number = self.definition.next_number
        self.definition = replace(self.definition, next_number=number + 1)
        return number

    def _find_attribute(self, path: str, name: str) -> Attribute | None:
        if name.lower() in TECHNICAL_NAMES:
            self.refuse(f"{path}.name", f"'{name}' is set by the server and never changes", "structure.fixed")
            return None
        return self._find(self.definition.attributes, name, f"{path}.name", "attribute", "attribute.unknown")

    def _find(self, items: Sequence[Any], name: str, path: str, kind: str, code: str) -> Any:
        found = next((item for item in items if item.name.lower() == name.lower()), None)
        if found is None:
            self.refuse(path, f"there is no {kind} '{name}'", code)
        return found

    def _check_name(self, path: str, name: str, taken: Sequence[Any], kind: str, *, member: str = ".name") -> bool:
        if (
            not 1 <= len(name) <= _MAX_NAME
            or not name.isprintable()
            or name != name.strip()
            or any(c in "#/;" for c in name)
        ):
            rule = f"1 to {_MAX_NAME} printable characters, without # / ; and without blanks at its ends"
            self.refuse(path + member, f"the name of a {kind} has {rule}")
            return False
        if any(item.name.lower() == name.lower() for item in taken):
            self.refuse(path + member, f"there is a {kind} '{name}' already")
            return False
        return True

    def _check_attribute(self, path: str, attribute: Attribute) -> Attribute | None:
        before = len(self.errors)
        name = attribute.name
        check_technical_name(self, f"{path}.name", name, "an attribute")
        lower = name.lower()
        if lower in TECHNICAL_NAMES or lower in RESERVED_NAMES:
            self.refuse(f"{path}.name", f"'{name}' is a name of the server's own")
        if any(a.name.lower() == lower for a in self.definition.attributes):
            self.refuse(f"{path}.name", f"there is an attribute '{name}' already")
        checked = self._check_type(path, attribute)
        return checked if len(self.errors) == before else None

    def _check_type(self, path: str, attribute: Attribute) -> Attribute | None:
        predefined = PREDEFINED.get(attribute.type)
        if attribute.type != "CUSTOM" and predefined is None:
            self.refuse(f"{path}.type", f"there is no attribute type '{attribute.type}'")
            return None
        if attribute.value_type not in VALUE_TYPES:
            self.refuse(f"{path}.valueType", f"'valueType' is one of {', '.join(VALUE_TYPES)}")
            return None
        if predefined is not None and attribute.value_type != predefined.value_type.name:
            self.refuse(f"{path}.valueType", f"values of {attribute.type} are {predefined.value_type.name}")
            return None
        if predefined is not None and attribute.multi_valued:
            self.refuse(f"{path}.multiValued", f"{attribute.type} has one value")
        if attribute.type == EMAIL_ADDRESS and any(a.type == EMAIL_ADDRESS for a in self.definition.attributes):
            self.refuse(f"{path}.type", "a table has one EMAIL_ADDRESS")
        return self._check_rules(path, attribute)

    def _check_rules(self, path: str, attribute: Attribute) -> Attribute | None:
        """The attribute with its restriction in canonical form; None when its rules make no sense."""
        before = len(self.errors)
        if attribute.unique and attribute.multi_valued:
            self.refuse(f"{path}.unique", "a multi-valued attribute cannot be unique")
        if attribute.unique and attribute.value_type in {"TEXT", "BOOLEAN"}:
            self.refuse(f"{path}.unique", f"an attribute of type {attribute.value_type} cannot be unique")
        if attribute.restriction is not None:
            checked = canonical(attribute, attribute.restriction, self._zone)
            if isinstance(checked, list):
                for fault in checked:
                    member = f".{fault.member}" if fault.member else ""
                    self.refuse(f"{path}.valueRestriction{member}", fault.message)
            else:
                attribute = replace(attribute, restriction=checked)
        return attribute if len(self.errors) == before else None


def check_technical_name(plan: Plan, path: str, name: str, kind: str) -> bool:
    """Note an error unless the name is a letter followed by letters, digits and `_`, at most 50 characters."""
    if _TECHNICAL_NAME.fullmatch(name):
        return True
    plan.refuse(path, f"the name of {kind} is a letter, then letters, digits and _, at most 50 characters")
    return False


def _without(options: Any, attribute: str) -> Any:
    """Display options without those of a removed attribute."""
    if not isinstance(options, dict) or not isinstance(options.get("forAttributes"), list):  # pyright: ignore[reportUnknownMemberType] - kept as sent
        return options  # pyright: ignore[reportUnknownVariableType] - kept as sent
    kept: list[Any] = [
        o
        for o in options["forAttributes"]
        if not (isinstance(o, dict) and str(o.get("name", "")).lower() == attribute.lower())  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportUnknownArgumentType] - kept as sent
    ]
    return {**options, "forAttributes": kept}


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
