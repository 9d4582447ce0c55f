"""`{p}` and `{r}`: which row an address means."""

from datetime import tzinfo
from typing import Any, NamedTuple

from tabellion.features.tables.filters.errors import row_unknown
from tabellion.features.tables.model import Attribute, Table
from tabellion.features.tables.types.base import BadValue
from tabellion.features.tables.types.registry import parse_single
from tabellion.kit.digits import number_of
from tabellion.kit.near import meant
from tabellion.kit.problem import invalid


class Reference(NamedTuple):
    """A row by its id (`attribute` None) or by the value of a unique attribute."""

    attribute: Attribute | None
    value: Any


def parse_reference(table: Table, segment: str, zone: tzinfo) -> Reference:
    """Digits are the id; otherwise `attribute=value`, the first `=` separates.

    Raises `Invalid` (key.notUnique) for an attribute that does not identify, `ProfileUnknown` (or `RecordUnknown`) for
    anything else, also for a value that the attribute cannot have: nothing can match it.
    """
    name, separator, value = segment.partition("=")
    if not separator:
        name, value = table.kind.id_name, segment
    reference = reference_by_name(table, name, value, zone)
    if reference is None:
        raise row_unknown(table.kind.row, table.name, segment, _advice(table, segment))
    return reference


def _advice(table: Table, segment: str) -> str:
    """Why an address can lead to no row, lest its sender make a second one of what is there."""
    name, separator, _ = segment.partition("=")
    unique = [attribute.name for attribute in table.attributes if attribute.unique]
    if separator:
        if name.lower() in table.attributes_by_name or name.lower() == table.kind.id_name.lower():
            return f": '{name}' has no value like this"
        names = ", ".join([*unique, table.kind.id_name])
        nearly = meant(name, [each.name for each in table.attributes]) or f"; a {table.kind.row} is addressed by {names}"
        return f": it has no attribute '{name[:100]}'{nearly}"
    if table.kind.row != "profile":
        return ""
    mail = next((each.name for each in table.attributes if each.unique and each.type == "EMAIL_ADDRESS"), None)
    if "@" in segment and mail is not None:
        return f": what stands there without an attribute is an id; write {mail}={segment[:200]}"
    advice = f"; write {unique[0]}=..." if unique else ""
    return f": what stands there without an attribute is an id{advice}"


def reference_by_name(table: Table, name: str, value: str, zone: tzinfo) -> Reference | None:
    """What `name=value` refers to; None where nothing can match it. Raises `Invalid` (key.notUnique), at the attribute."""
    if name.lower() == table.kind.id_name.lower():
        id_ = number_of(value)
        return None if id_ is None else Reference(None, id_)
    attribute = table.attributes_by_name.get(name.lower())
    is_technical = name.lower() in table.kind.technical_names
    if attribute is None and not is_technical:
        return None
    if attribute is None or not attribute.unique:
        name = attribute.name if attribute else name
        message = f"attribute '{name}' is not unique and identifies no {table.kind.row}"
        names = ", ".join([*(each.name for each in table.attributes if each.unique), table.kind.id_name])
        message += f"; a {table.kind.row} is addressed by {names}"
        raise invalid(name, "key.notUnique", message)
    parsed = own_value(attribute, value, zone)
    return None if parsed is None else Reference(attribute, parsed)


def own_value(attribute: Attribute, text: str, zone: tzinfo) -> Any:
    """The value that an address names; None where the attribute cannot have it, or it identifies nobody.

    By type only: a value that breaks a rule of the attribute is nobody's, and the look-up finds that out.
    """
    try:
        value = parse_single(attribute, text, zone)
    except BadValue:
        return None
    return value if identifies(value) else None


def identifies(value: Any) -> bool:
    """Whether a value of a unique attribute tells one row from the others.

    Integrations send an empty text for what they do not have: looked up, it would lead all who lack it to one row.
    """
    return value is not None and value != ""
