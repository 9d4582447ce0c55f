"""`{p}`: which profile an address means (contract, section 2.3)."""

from typing import Any, NamedTuple

from tabellion.features.tables.filters.errors import ProfileUnknown
from tabellion.features.tables.model import Attribute, ProfileTable
from tabellion.features.tables.types.base import BadValue
from tabellion.features.tables.types.registry import parse_single
from tabellion.kit.problem import invalid

_MAX_ID = 2**63 - 1
_ID_DIGITS = 19


class Reference(NamedTuple):
    """A profile by its id (`attribute` None) or by the value of a unique attribute."""

    attribute: Attribute | None
    value: Any


def parse_reference(table: ProfileTable, segment: str, zone: Any) -> Reference:
    """Digits are the id; otherwise `attribute=value`, the first `=` separates.

    Raises `Invalid` (key.notUnique) for an attribute that does not identify, `ProfileUnknown` for anything else, also for
    a value that the attribute cannot have: nothing can match it.
    """
    name, separator, value = segment.partition("=")
    if not separator:
        return Reference(None, _id(table, segment))
    if name.lower() == "profileid":
        return Reference(None, _id(table, value))
    attribute = table.attributes_by_name.get(name.lower())
    if attribute is None:
        raise _unknown(table, segment)
    if not attribute.unique:
        raise invalid("p", "key.notUnique", f"attribute '{attribute.name}' is not unique and identifies no profile")
    try:
        # By type only: a value that breaks a rule of the attribute is nobody's, and the look-up finds that out.
        parsed = parse_single(attribute, value, zone)
    except BadValue:
        parsed = None
    if parsed is None:
        raise _unknown(table, segment)
    return Reference(attribute, parsed)


def _id(table: ProfileTable, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS and int(text) <= _MAX_ID):
        raise _unknown(table, text)
    return int(text)


def _unknown(table: ProfileTable, segment: str) -> ProfileUnknown:
    return ProfileUnknown(f"the table '{table.name}' has no profile '{segment[:200]}'")
