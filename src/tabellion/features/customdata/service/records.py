"""Use cases of records: how one is addressed and recognised; writing and reading is shared with profiles.

A record is addressed by its business key, by its technical id, or by `attribute=value` of a unique attribute.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from tabellion.features.customdata.model import CustomTable
from tabellion.features.customdata.service.structure import find_custom_table
from tabellion.features.profiles import (
    Reader,
    Row,
    Written,
    delete_row,
    find_rows,
    key_attribute,
    key_id,
    key_value,
    read_row,
    row_count,
    row_page,
    search_rows,
    sole_key_value,
    until_current,
    upsert_row,
    write_row,
)
from tabellion.features.tables import Attribute, attribute_type
from tabellion.features.tables.filters import (
    ALWAYS,
    Reference,
    equality,
    identifies,
    order_by,
    own_value,
    reference_by_name,
    row_limit,
    row_unknown,
)
from tabellion.kit.digits import number_of
from tabellion.kit.problem import Invalid, Problem, invalid
from tabellion.platform.http.call import Incoming

T = TypeVar("T")
Match = tuple[Attribute, Any]


def on_table(work: Callable[[Incoming, CustomTable], Awaitable[T]]) -> Callable[[Incoming], Awaitable[T]]:
    """Make a handler of calls on a table out of `work`, which is done on the table of the path.

    It is done again with the new definition when the structure changed in between.
    """

    async def handled(call: Incoming) -> T:
        return await until_current(
            lambda fresh: find_custom_table(call, call.path["e"], call.path["t"], fresh=fresh),
            lambda table: work(call, table),
        )

    return handled


async def get(call: Incoming, table: CustomTable) -> Row:
    """The record of the path. Raises `RecordUnknown`."""
    for reference in _references(call, table):
        row = await read_row(call.db, table, reference.attribute, reference.value)
        if row is not None:
            return row
    raise _unknown(call, table)


async def search(call: Incoming, table: CustomTable) -> Sequence[Row]:
    """Records by the v4 query parameters. Raises `Invalid`, `FilterFault`."""
    query, zone = call.query, call.caller.time_zone
    field, value = query.first("searchField") or None, query.first("searchValue")
    if field is None and value == "":
        value = None  # a search form that was left empty
    if (field is None) != (value is None):
        given, missing = ("searchField", "searchValue") if value is None else ("searchValue", "searchField")
        raise invalid(missing, "parameter.invalid", f"'{given}' needs '{missing}'")
    condition = ALWAYS if field is None or value is None else equality(table, field, value, zone, "searchField")
    descending = not query.flag("ascending", default=True)
    order = _order(table, (query.first("sortedField") or "").strip(), descending=descending)
    return await search_rows(call.db, table, condition, order, row_limit(query.first("number"), "number"))


def _order(table: CustomTable, field: str, *, descending: bool) -> str:
    field = field or table.kind.id_name
    if "," in field or field.startswith("-"):
        raise invalid("sortedField", "attribute.unknown", "'sortedField' expects one attribute")
    return order_by(table, f"-{field}" if descending else field, "sortedField")


async def page(call: Incoming, table: CustomTable) -> tuple[Sequence[Row], str | None]:
    """One page of a filtered and sorted list, and the cursor of the next one (None: the end)."""
    return await row_page(call, table)


async def count(call: Incoming, table: CustomTable) -> int:
    """How many records a list would hold."""
    return await row_count(call, table)


async def save(call: Incoming, table: CustomTable, reader: Reader, *, may_update: bool = True) -> Written:
    """Create or update by the key in the body; without one, in a table that generates keys, create.

    Raises `Invalid`, `AttributeNotUnique`, `RowExists` (unless `may_update`).
    """
    _refuse_empty_key(table, reader)
    own = [reader.values[a.number] for a in table.key if a.number in reader.values]
    matches = own if len(own) == len(table.key) else []
    if not table.key and reader.row_id is not None and may_update:
        # The generated key as it was read: the record is updated, if there is one.
        written = await write_row(call, table, reader.change(), [], row_id=reader.row_id)
        if written is not None:
            return written
    return _found(await upsert_row(call, table, reader, matches, may_update=may_update), call, table)


async def put(call: Incoming, table: CustomTable, reader: Reader) -> Written:
    """Change the record of the path; one addressed by a business key is created when it does not exist.

    Raises `RecordUnknown`, `AttributeNotUnique`, `Invalid` (key.mismatch).
    """
    references = _references(call, table)
    attribute, value = references[0]
    if attribute is not None and attribute == table.business_key:
        if len(references) > 1 and not await find_rows(call.db, table, [(attribute, value)]):
            # A technical id in place of the key, as receivers of events send it.
            row = await read_row(call.db, table, None, references[1].value)
            if row is not None:
                _same_key(reader, attribute, row.values[table.attributes.index(attribute)])
                return _found(await _change(call, table, reader, references[1:]), call, table)
        _same_key(reader, attribute, value)
        return _found(await upsert_row(call, table, reader, [(attribute, value)]), call, table)
    return _found(await _change(call, table, reader, references), call, table)


def _same_key(reader: Reader, attribute: Attribute, value: Any) -> None:
    """Refuse a body whose business key is not that of the record that the address means."""
    own = reader.values.get(attribute.number)
    if own is not None and own[1] != value:
        reader.refuse(reader.section, "key.mismatch", f"'{attribute.name}' differs from the key in the address")


async def put_by_body_key(call: Incoming, table: CustomTable, reader: Reader, key: dict[str, Any]) -> Written:
    """Create or update by the `key` of the body: a unique attribute, all those of the composite key, or the id.

    Raises `Invalid` (key.notUnique, key.mismatch), `AttributeNotUnique`, `RecordUnknown` (no record has the id).
    """
    names = {name.lower() for name in key}
    if names == {table.kind.id_name}:
        ((name, value),) = key.items()
        return _found(await _change(call, table, reader, [Reference(None, key_id(table, name, value))]), call, table)
    value_of = sole_key_value if len(key) == 1 else key_value
    matches = [_match(call, table, name, raw, value_of) for name, raw in key.items()]
    alone = len(matches) == 1 and matches[0][0].unique
    if not alone and {a.number for a, _ in matches} != {a.number for a in table.key}:
        raise invalid("key", "key.notUnique", "'key' names one unique attribute, or all those of the composite key")
    differing = [a for a, value in matches if reader.values.get(a.number, (a, value))[1] != value]
    if differing and not await find_rows(call.db, table, matches, together=len(matches) > 1):
        for attribute in differing:
            message = f"'{attribute.name}' differs from the key, which a new record may not"
            reader.refuse(f"{reader.section}.{attribute.name}", "key.mismatch", message)
    _refuse_empty_key(table, reader)
    return _found(await upsert_row(call, table, reader, matches), call, table)


async def patch(call: Incoming, table: CustomTable, reader: Reader) -> Written:
    """Change the record of the path, never create it. Raises `RecordUnknown`, `AttributeNotUnique`, `Invalid`."""
    return _found(await _change(call, table, reader, _references(call, table)), call, table)


async def delete(call: Incoming, table: CustomTable) -> None:
    """Delete the record of the path. Raises `RecordUnknown`, `EtagMismatch`, `RowInUse`."""
    for reference in _references(call, table):
        if await delete_row(call, table, reference.attribute, reference.value):
            return
    raise _unknown(call, table)


async def key_of(call: Incoming, table: CustomTable, written: Written, reader: Reader) -> str:
    """The business key of a record that was written."""
    attribute = table.business_key
    if attribute is None:
        return str(written.id)
    known = reader.values.get(attribute.number)
    if known is not None:
        return _text(attribute, known[1])
    row = await read_row(call.db, table, None, written.id)
    return str(written.id) if row is None else business_key(table, row)


def business_key(table: CustomTable, row: Row) -> str:
    """The business key of a record as text; of a generated one the technical id."""
    attribute = table.business_key
    if attribute is None:
        return str(row.id)
    return _text(attribute, row.values[table.attributes.index(attribute)])


def _text(attribute: Attribute, value: Any) -> str:
    return "" if value is None else attribute_type(attribute).value_type.text(value)


async def _change(call: Incoming, table: CustomTable, reader: Reader, references: Sequence[Reference]) -> Written | None:
    _refuse_empty_key(table, reader)
    if reader.errors:
        raise Invalid(reader.errors)
    for attribute, value in references:
        matches = [] if attribute is None else [(attribute, value)]
        row_id = value if attribute is None else None
        written = await write_row(call, table, reader.change(), matches, row_id=row_id)
        if written is not None:
            return written
    return None


def _refuse_empty_key(table: CustomTable, reader: Reader) -> None:
    """Refuse a body with an empty business key: by such a key no record is found any more."""
    own = None if table.business_key is None else reader.values.get(table.business_key.number)
    if own is not None and not identifies(own[1]):
        reader.refuse(reader.place(own[0]), "attribute.mandatory", f"the key '{own[0].name}' cannot be empty")


def _references(call: Incoming, table: CustomTable) -> list[Reference]:
    """What `{r}` may mean, the likeliest first. Raises `RecordUnknown`: nothing it could mean."""
    segment, zone = call.path["r"], call.caller.time_zone
    name, separator, value = segment.partition("=")
    if separator and (name.lower() == table.kind.id_name or name.lower() in table.attributes_by_name):
        found = [reference_by_name(table, name, value, zone)]
    else:
        key, id_ = table.business_key, number_of(segment)
        own = None if key is None else own_value(key, segment, zone)
        found = [None if key is None or own is None else Reference(key, own)]
        # Ids begin far above what callers use for keys.
        if id_ is not None and (key is None or id_ >= table.kind.first_id):
            found.append(Reference(None, id_))
    references = [reference for reference in found if reference is not None]
    if not references:
        raise _unknown(call, table)
    return references


def _match(call: Incoming, table: CustomTable, name: str, raw: Any, value_of: Callable[..., Any]) -> Match:
    attribute = key_attribute(table, name)
    return attribute, value_of(attribute, name, raw, call.caller.time_zone)


def _found(written: Written | None, call: Incoming, table: CustomTable) -> Written:
    if written is None:
        raise _unknown(call, table)
    return written


def _unknown(call: Incoming, table: CustomTable) -> Problem:
    return row_unknown(table.kind.row, table.name, call.path.get("r", ""))
