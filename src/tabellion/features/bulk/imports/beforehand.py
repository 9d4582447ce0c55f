"""What is known to be wrong with an order before its file is read, whatever that holds.

The job looks again: by then the table may be another one.
"""

from collections.abc import Callable
from functools import partial

from tabellion.features.bulk.imports.columns import no_use, part_named, use_of
from tabellion.features.bulk.imports.model import Mapping, Order
from tabellion.features.tables import Attribute, NamedPart, Table
from tabellion.kit.near import MOST_LOOKED_FOR, meant
from tabellion.kit.problem import FieldError

_KEY = "keyColumn"


class Uses:
    """What the columns of a mapping are for, one after another: nothing that the table lacks, and nothing twice."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._used: set[str] = set()
        self._lacking = 0

    def fault(self, place: str, part: NamedPart, name: str, lacks: Callable[[], str] | None = None) -> FieldError | None:
        """What is wrong with the next use; `lacks` gives another message than usual that the table has no such part."""
        if part == "attribute" and name.lower() in self._table.kind.technical_names:
            return None
        found = part_named(self._table, part, name)
        if found is None:
            self._lacking += 1
            said = f"the table has no {part} '{name[:100]}'"
            if self._lacking <= MOST_LOOKED_FOR:
                said = self._table.lacks(name, part) if lacks is None else lacks()
            return FieldError(place, f"{part}.unknown", said)
        if found.column in self._used:
            return FieldError(place, "attribute.duplicate", f"another column is for the {part} '{found.name}' already")
        self._used.add(found.column)
        return None


def key_fault(table: Table, place: str, name: str) -> FieldError | None:
    """Why rows are not identified by this attribute alone; None: they can be."""
    attribute: Attribute | None = table.attributes_by_name.get(name.lower())
    if attribute is not None:
        if attribute.unique:
            return None
        return FieldError(place, "key.notUnique", f"attribute '{attribute.name}' is not unique: it cannot be the key")
    if name.lower() in table.kind.technical_names:
        return FieldError(place, "key.notUnique", f"'{name}' is set by the server: it cannot be the key")
    return FieldError(place, "attribute.unknown", table.lacks(name))


def mapping_faults(table: Table, order: Order) -> list[FieldError]:
    """What is wrong with what the columns are for, and with the key; paths as in `parameters`."""
    mapping, key = order.mapping, order.key_column
    if mapping is None:
        fault = None if key is None else key_fault(table, _KEY, key)
        return [] if fault is None else [fault]
    if not mapping:
        message = "the mapping has no column; leave it out where the columns are named as the attributes are"
        return [FieldError("attributesMapping", "member.mandatory", message)]
    faults: list[FieldError | None] = []
    uses = Uses(table)
    for number, entry in enumerate(mapping):
        place, (part, name) = f"attributesMapping[{number}].attributeName", use_of(entry.attribute_name)
        faults.append(uses.fault(place, part, name, partial(no_use, table, entry.header_column or "", entry.attribute_name)))
    if key is not None:
        faults.append(_mapped_key_fault(table, mapping, key))
    return [fault for fault in faults if fault is not None]


def _mapped_key_fault(table: Table, mapping: tuple[Mapping, ...], key: str) -> FieldError | None:
    headers = {entry.header_column.lower(): entry for entry in mapping if entry.header_column is not None}
    entry = headers.get(key.lower())
    if entry is not None:
        part, name = use_of(entry.attribute_name)
        if part != "attribute":
            return FieldError(_KEY, "key.notUnique", f"the column '{key[:100]}' is for a {part}: it cannot be the key")
        # What the table lacks is told of the mapping.
        is_known = part_named(table, part, name) is not None or name.lower() in table.kind.technical_names
        return key_fault(table, _KEY, name) if is_known else None
    column = next((e.header_column for e in mapping if e.attribute_name.lower() == key.lower()), None)
    advice = f"; '{key}' is an attribute, its column is '{column}'" if column else meant(key, headers)
    return FieldError(_KEY, "structure.invalid", f"the mapping has no column '{key[:100]}' to be the key{advice}")
