"""A structure change of a profile table: beside attributes, its subscriptions, segmentations and what the console shows."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from msgspec.structs import replace

from tabellion.features.tables.model import (
    PROFILE_TABLES,
    Category,
    Definition,
    Kind,
    RemovedSubscription,
    Segmentation,
    Subscription,
)
from tabellion.features.tables.plan import Plan, Step
from tabellion.kit.names import SIGNS_OF_ADDRESSES, composed, folded, name_fault

MAX_SUBSCRIPTIONS = 200
MAX_SEGMENTATIONS = 200
MAX_CATEGORIES = 500


class ProfilePlan(Plan[Definition]):
    """The plan of a profile table; steps of its own: `noneIn`, `addChoice`, `addMembership`, `dropMembership`."""

    kind: ClassVar[Kind] = PROFILE_TABLES

    def present(self, display_options: Any, layout: Any) -> None:
        """Keep what the console shows the table by."""
        self.keep("displayOptions", display_options)
        self.keep("layout", layout)
        self.definition = replace(self.definition, display_options=display_options, layout=layout)

    def remove_attribute(self, path: str, name: str) -> None:
        """Remove an attribute, its values and its display options."""
        super().remove_attribute(path, name)
        options = _without(self.definition.display_options, name)
        self.definition = replace(self.definition, display_options=options)

    def add_subscription(self, path: str, name: str, display_name: str | None, description: str | None) -> None:
        """Add a subscription."""
        if not self._has_room(path, self.definition.subscriptions, MAX_SUBSCRIPTIONS, "subscriptions"):
            return
        if not self._check_name(path, name, self.definition.subscriptions, "subscription"):
            return
        subscription = Subscription(self.next_number(), composed(name), display_name or composed(name), description)
        self.definition = replace(self.definition, subscriptions=(*self.definition.subscriptions, subscription))
        self.steps.append(Step("addChoice", path, subscription))

    def remove_subscription(self, path: str, name: str) -> None:
        """Remove a subscription. The profiles' choices stay in the history of their consent, which may have to be proved."""
        old = self.find(self.definition.subscriptions, name, f"{path}.name", "subscription", "subscription.unknown")
        if old is None:
            return
        kept = tuple(s for s in self.definition.subscriptions if s.number != old.number)
        removed = RemovedSubscription(old.number, old.name, old.display_name, old.description, self.now)
        former = (*self.definition.removed_subscriptions, removed)
        self.definition = replace(self.definition, subscriptions=kept, removed_subscriptions=former)

    def add_segmentation(self, path: str, name: str, type_: str, categories: Sequence[str]) -> None:
        """Add a segmentation; an exclusive one needs categories, a simple one has none."""
        if len(categories) > MAX_CATEGORIES:
            self.refuse(f"{path}.categories", "structure.tooMany", f"a segmentation has at most {MAX_CATEGORIES} categories")
            return
        if not self._has_room(path, self.definition.segmentations, MAX_SEGMENTATIONS, "segmentations"):
            return
        if not self._check_name(path, name, self.definition.segmentations, "segmentation"):
            return
        if type_ not in {"SIMPLE", "EXCLUSIVE"}:
            self.refuse(f"{path}.type", "member.type", "'type' is SIMPLE or EXCLUSIVE")
            return
        if (type_ == "EXCLUSIVE") != bool(categories):
            self.refuse(
                f"{path}.categories",
                "structure.categories",
                "an EXCLUSIVE segmentation has categories, a SIMPLE one has none",
            )
            return
        made: tuple[Category, ...] = ()
        for index, category in enumerate(categories):
            if self._check_name(f"{path}.categories[{index}]", category, made, "category", member=""):
                made = (*made, Category(self.next_number(), composed(category)))
        exclusive: Literal["SIMPLE", "EXCLUSIVE"] = "EXCLUSIVE" if type_ == "EXCLUSIVE" else "SIMPLE"
        segmentation = Segmentation(self.next_number(), composed(name), exclusive, made)
        segmentations = (*self.definition.segmentations, segmentation)
        self.definition = replace(self.definition, segmentations=segmentations)
        self.steps.append(Step("addMembership", path, segmentation))

    def update_segmentation(
        self, path: str, name: str, *, add: Sequence[str], remove: Sequence[str], rename: dict[str, str]
    ) -> None:
        """Change the categories of an exclusive segmentation; profiles keep a renamed one."""
        segmentations = self.definition.segmentations
        old = self.find(segmentations, name, f"{path}.name", "segmentation", "segmentation.unknown")
        if old is None:
            return
        if old.type == "SIMPLE":
            self.refuse(f"{path}.changes", "structure.categories", "a SIMPLE segmentation has no categories")
            return
        categories = list(old.categories)
        changes = f"{path}.changes"
        if max(len(add), len(remove), len(rename)) > MAX_CATEGORIES:
            self.refuse(changes, "structure.tooMany", f"an EXCLUSIVE segmentation has 1 to {MAX_CATEGORIES} categories")
            return
        for index, gone in enumerate(remove):
            found = self.find(categories, gone, f"{changes}.removeCategories[{index}]", "category", "segmentation.category")
            if found is not None:
                categories.remove(found)
                self.steps.append(Step("noneIn", f"{changes}.removeCategories[{index}]", old, found))
        categories = self._rename_categories(f"{changes}.renameCategories", categories, rename)
        for index, category in enumerate(add):
            if self._check_name(f"{changes}.addCategories[{index}]", category, categories, "category", member=""):
                categories.append(Category(self.next_number(), composed(category)))
        if not 1 <= len(categories) <= MAX_CATEGORIES:
            code = "structure.tooMany" if categories else "structure.categories"
            self.refuse(changes, code, f"an EXCLUSIVE segmentation has 1 to {MAX_CATEGORIES} categories")
        new = replace(old, categories=tuple(categories))
        changed = tuple(new if g.number == old.number else g for g in segmentations)
        self.definition = replace(self.definition, segmentations=changed)

    def _rename_categories(self, path: str, categories: list[Category], names: dict[str, str]) -> list[Category]:
        """All at once, so that two categories can exchange their names."""
        renamed: dict[int, str] = {}
        for before, after in names.items():
            found = self.find(categories, before, path, "category", "segmentation.category")
            if found is not None:
                renamed[found.number] = after
        new = [c for c in categories if c.number not in renamed]
        for number, name in renamed.items():
            if self._check_name(path, name, new, "category", member=""):
                new.append(Category(number, composed(name)))
        order = [c.number for c in categories]
        return sorted(new, key=lambda c: order.index(c.number))

    def remove_segmentation(self, path: str, name: str) -> None:
        """Remove a segmentation and the profiles' memberships."""
        old = self.find(self.definition.segmentations, name, f"{path}.name", "segmentation", "segmentation.unknown")
        if old is None:
            return
        kept = tuple(g for g in self.definition.segmentations if g.number != old.number)
        self.definition = replace(self.definition, segmentations=kept)
        self.steps.append(Step("dropMembership", path, old))

    def _check_name(self, path: str, name: str, taken: Sequence[Any], kind: str, *, member: str = ".name") -> bool:
        if fault := name_fault(name, SIGNS_OF_ADDRESSES):
            self.refuse(path + member, "structure.nameInvalid", f"the name of a {kind} has {fault}")
            return False
        wanted = folded(name)
        if any(folded(item.name) == wanted for item in taken):
            self.refuse(path + member, "structure.nameTaken", f"there is a {kind} '{name}' already")
            return False
        return True


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
