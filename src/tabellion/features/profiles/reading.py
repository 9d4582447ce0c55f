"""From a body to a `Change`: names are looked up, values parsed, and every error is reported, in document order."""

from datetime import tzinfo
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from tabellion.features.profiles.model import Change, Collection
from tabellion.features.tables import (
    Attribute,
    BadValue,
    NamedPart,
    Segmentation,
    Subscription,
    Table,
    parse_flag,
    parse_moment,
    parse_value,
)
from tabellion.features.tables.filters import identifies
from tabellion.kit.digits import BIGINT, number_of
from tabellion.kit.near import MOST_LOOKED_FOR
from tabellion.kit.problem import FieldError, Invalid, invalid

MAX_SOURCE_LENGTH = 255


class Item(NamedTuple):
    """A named value of the body and where it stands; `named_at` is where its name does, if that is elsewhere."""

    path: str
    name: str
    value: Any
    named_at: str = ""


class Reader:
    """Collects the parts of one body, and its errors. `section` is where the attributes stand in it."""

    def __init__(self, table: Table, zone: tzinfo, section: str = "attributes") -> None:
        self.section = section
        self._table = table
        self._zone = zone
        self._named: dict[int, str] = {}
        self.errors: list[FieldError] = []
        self.values: dict[int, tuple[Attribute, Any]] = {}
        self.choices: dict[int, tuple[Subscription, bool]] = {}
        self.memberships: dict[int, tuple[Segmentation, Any]] = {}
        self.collection = Collection()
        self.row_id: int | None = None

    def _lacks(self, name: str, part: NamedPart = "attribute") -> str:
        return self._table.lacks(name, part) if len(self.errors) < MOST_LOOKED_FOR else f"the table has no {part} '{name}'"

    def attribute(self, item: Item) -> None:
        """Take one attribute; technical ones are ignored, but the id is remembered for matching."""
        name = item.name.lower()
        if name in self._table.kind.technical_names:
            if name == self._table.kind.id_name.lower():
                self.row_id = _as_id(item.value)
            return
        attribute = self._table.attributes_by_name.get(name)
        if attribute is None:
            self.refuse(item.named_at or item.path, "attribute.unknown", self._lacks(item.name))
            return
        if attribute.number in self._named:
            self.refuse(item.named_at or item.path, "attribute.duplicate", f"attribute '{attribute.name}' stands here twice")
            return
        self._named[attribute.number] = item.path
        try:
            value = parse_value(attribute, item.value, self._zone)
        except BadValue as error:
            for path, code, message in error.each(item.path):
                self.refuse(path, code, f"attribute '{attribute.name}' {message}")
            return
        if value is None and attribute.mandatory:
            self.refuse(item.path, "attribute.mandatory", f"attribute '{attribute.name}' is mandatory: it cannot be null")
            return
        self.values[attribute.number] = (attribute, value)

    def subscription(self, item: Item) -> None:
        """Take one choice. Null records nothing: it is what a read answers where no choice is recorded. Empty is null."""
        subscription = self._table.subscriptions_by_name.get(item.name.lower())
        if subscription is None:
            self.refuse(item.named_at or item.path, "subscription.unknown", self._lacks(item.name, "subscription"))
            return
        if item.value is None or item.value == "":
            return
        try:
            choice = (subscription, parse_flag(item.value))
        except BadValue as error:
            self.refuse(item.path, error.code, f"subscription '{subscription.name}' {error}")
            return
        if self.choices.setdefault(subscription.number, choice) != choice:
            self._contradicts(item.named_at or item.path, f"subscription '{subscription.name}'")

    def segmentation(self, path: str, name: str, *, belongs: Any, category: Any, named_at: str = "") -> None:
        """Take one membership; see `membership`, and `Item` for `named_at`."""
        segmentation = self._table.segmentations_by_name.get(name.lower())
        if segmentation is None:
            self.refuse(named_at or path, "segmentation.unknown", self._lacks(name, "segmentation"))
            return
        try:
            member = (segmentation, membership(segmentation, belongs, category))
        except BadValue as error:
            self.refuse(path, error.code, f"segmentation '{segmentation.name}' {error}")
            return
        if self.memberships.setdefault(segmentation.number, member) != member:
            self._contradicts(named_at or path, f"segmentation '{segmentation.name}'")

    def _contradicts(self, path: str, what: str) -> None:
        # Which of the two is meant must not hang on their order.
        self.refuse(path, "attribute.duplicate", f"{what} stands here twice, with another value")

    def collected(self, path: str, source: str | None, way: str | None, date: str | None) -> None:
        """Take the collection information."""
        moment = None
        for name, text in (("source", source), ("way", way)):
            if text is not None and len(text) > MAX_SOURCE_LENGTH:
                self.refuse(f"{path}.{name}", "attribute.value", f"'{name}' is over {MAX_SOURCE_LENGTH} characters")
        try:
            moment = parse_moment(date, self._zone)
        except BadValue as error:
            self.refuse(f"{path}.date", "attribute.type", f"'date' {error}")
        self.collection = Collection(source or self.collection.source, way, moment)

    def collected_from(self) -> Collection:
        """The collection information alone. Raises `Invalid`."""
        if self.errors:
            raise Invalid(self.errors)
        return self.collection

    def change(self) -> Change:
        """The change asked for. Raises `Invalid` with every error found."""
        collection = self.collected_from()
        return Change(
            tuple(self.values.values()),
            tuple(self.choices.values()),
            tuple(self.memberships.values()),
            collection,
            self.section,
            self._named,
        )

    def missing(self, *also: Attribute) -> list[FieldError]:
        """The mandatory attributes that a new row would lack; `also` are given by the path or the key."""
        given = self._named.keys() | {attribute.number for attribute in also}
        return [
            FieldError(self.section, "attribute.mandatory", f"attribute '{attribute.name}' is mandatory")
            for attribute in self._table.attributes
            if attribute.mandatory and attribute.number not in given
        ]

    def place(self, attribute: Attribute) -> str:
        """Where the value of an attribute stands in the body."""
        return self._named.get(attribute.number, self.section)

    def refuse(self, path: str, code: str, message: str) -> None:
        """Note an error."""
        self.errors.append(FieldError(path, code, message))


def membership(segmentation: Segmentation, belongs: Any, category: Any) -> Any:
    """The stored form of a membership. Raises `BadValue`, for categories with code `segmentation.category`.

    SIMPLE: whether the profile belongs (a category is ignored). EXCLUSIVE: the category, unless `belongs` says no.
    """
    if belongs is None:
        return None
    if segmentation.type == "SIMPLE":
        return parse_flag(belongs) or None
    if belongs is False:
        return None
    is_text = isinstance(category, str | int | Decimal) and not isinstance(category, bool)
    number = segmentation.category(str(category)) if is_text else None
    if number is None:
        raise BadValue(f"expects one of its categories: {segmentation.named()}", "segmentation.category")
    return number


def key_id(table: Table, name: str, value: Any) -> int:
    """The technical id that a body's `key` names. Raises `Invalid`."""
    found = _as_id(value)
    if found is None:
        raise invalid(
            f"key.{name}", "attribute.type", f"the key '{table.kind.id_name}' expects the id of a {table.kind.row}"
        )
    return found


def key_attribute(table: Table, name: str) -> Attribute:
    """The attribute that a body's `key` names. Raises `Invalid`."""
    attribute = table.attributes_by_name.get(name.lower())
    if attribute is None:
        raise invalid(f"key.{name}", "attribute.unknown", table.lacks(name))
    return attribute


def key_value(attribute: Attribute, name: str, raw: Any, zone: ZoneInfo) -> Any:
    """What a body's `key` gives for an attribute, which it calls `name`. Raises `Invalid`."""
    try:
        value = parse_value(attribute, raw, zone)
    except BadValue as error:
        raise invalid(f"key.{name}", error.code, f"attribute '{attribute.name}' {error}") from None
    if value is None:
        raise invalid(f"key.{name}", "attribute.mandatory", f"the key '{attribute.name}' cannot be null")
    return value


def sole_key_value(attribute: Attribute, name: str, raw: Any, zone: ZoneInfo) -> Any:
    """`key_value` of an attribute that identifies alone, which no empty text does. Raises `Invalid`."""
    value = key_value(attribute, name, raw, zone)
    if not identifies(value):
        raise invalid(f"key.{name}", "attribute.mandatory", f"the key '{attribute.name}' cannot be empty")
    return value


def _as_id(value: Any) -> int | None:
    if isinstance(value, str):
        value = number_of(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= BIGINT else None
