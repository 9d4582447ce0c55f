"""What the form of an import says, in `parameters` or else in fields; and what it says beside them, that nobody reads.

Integrations send fields of their own invention; those are told of and ignored. One that was plainly meant for another, or
that contradicts `parameters`, would have rows overwritten that were to be kept: it is refused.
"""

from tabellion.features.bulk.imports import wire
from tabellion.features.bulk.imports.beforehand import mapping_faults
from tabellion.features.bulk.imports.model import Order
from tabellion.features.tables import Table
from tabellion.kit.charsets import charset_named
from tabellion.kit.near import misspelt, near
from tabellion.kit.problem import FieldError, Invalid, inside
from tabellion.platform.http.call import Incoming

FILE, PARAMETERS = "inputFile", "parameters"
# A field, and what says the same in `parameters`.
_FIELDS = {"format": "format.separator", "charset": "encoding", "mode": "mode", "headerKeyColumn": "keyColumn"}
_FIELD_OF = {"separator": "format", "encoding": "charset", "keyColumn": "headerKeyColumn"}
_KNOWN = (FILE, PARAMETERS, *_FIELDS)


def order_of(call: Incoming, table: Table) -> Order:
    """The order of an import into a table, all of its form understood. Raises `Malformed`, `Invalid`."""
    upload = call.upload
    part = upload.file(PARAMETERS)
    text = part.path.read_bytes() if part is not None else None
    if text is None and PARAMETERS in upload.fields:
        text = upload.fields[PARAMETERS].encode()
    sent = list(dict.fromkeys([*upload.fields, *(file.field for file in upload.files)]))
    strange = {name: _unknown(name) for name in sent if name not in _KNOWN}
    faults = [fault for fault in strange.values() if fault is not None]
    call.ignored = [*call.ignored, *(name for name, fault in strange.items() if fault is None)]
    given = {name: value for name in _FIELDS if (value := upload.fields.get(name) or call.query.first(name))}
    try:
        order, found = _of_fields(given, table) if text is None else _of_parameters(call, text, given, table)
    except Invalid as error:
        if not faults:
            raise
        raise Invalid([*faults, *error.errors]) from None
    if faults or found:
        raise Invalid([*faults, *found])
    return order


def _of_fields(given: dict[str, str], table: Table) -> tuple[Order, list[FieldError]]:
    order, faults = wire.order_of_fields(given.get)
    for fault in mapping_faults(table, order):
        # Integrations name columns that their files lack, and want an import that fails.
        if fault.code != "attribute.unknown":
            faults.append(FieldError(_FIELD_OF[fault.field], fault.code, fault.message))
    return order, faults


def _of_parameters(call: Incoming, text: bytes, given: dict[str, str], table: Table) -> tuple[Order, list[FieldError]]:
    order, faults, unknown = wire.order_of_parameters(text)
    call.ignored = [*call.ignored, *unknown]
    return order, inside(PARAMETERS, faults + mapping_faults(table, order)) + _contradictions(order, given)


def _unknown(name: str) -> FieldError | None:
    """What is to be said of a field that was meant for another one; None where it is only ignored."""
    if name in wire.MEMBERS:
        field = _FIELD_OF.get(name)
        hint = f", or send the field '{field}'" if field else ""
        message = f"'{name}' is no field of the form: write it in '{PARAMETERS}'{hint}"
        return FieldError(name, "member.unknown", message)
    meant = misspelt(name, (*_KNOWN, *wire.MEMBERS)) or _abbreviated(name)
    if meant is None:
        return None
    return FieldError(name[:100], "member.unknown", f"the form knows no '{name[:100]}'; did you mean '{meant}'?")


def _abbreviated(name: str) -> str | None:
    meant = near(name, _KNOWN)
    return meant if meant in {PARAMETERS, "mode"} else None


def _contradictions(order: Order, given: dict[str, str]) -> list[FieldError]:
    """Fields have no effect beside `parameters`; one that says something else shows that its sender thinks otherwise."""
    fields, _ = wire.order_of_fields(given.get)
    differs = {
        "format": fields.separator != order.separator,
        "charset": charset_named(fields.encoding) != charset_named(order.encoding),
        "mode": fields.mode != order.mode,
        "headerKeyColumn": fields.key_column != order.key_column,
    }
    return [
        FieldError(name, "structure.invalid", f"'{name}' says something else than '{PARAMETERS}', which alone counts "
                   f"where it is sent: write it there, as '{_FIELDS[name]}', and leave the field out")
        for name in given if differs[name]
    ]  # fmt: skip
