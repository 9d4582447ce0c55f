"""What to tell those who would delete a row that records refer to, or clear the value by which they do; whose value refers
to nothing; whose values are those of several rows.
"""

from collections.abc import Collection, Sequence
from typing import Any

from tabellion.features.profiles import store
from tabellion.features.profiles.errors import AttributeAmbiguous, RowInUse
from tabellion.features.profiles.model import Change
from tabellion.features.tables import (
    Attribute,
    Referrer,
    Table,
    referred,
    referrers,
    referring,
    render_value,
    told_referrer,
)
from tabellion.kit.enumerated import enumerated
from tabellion.kit.problem import FieldError, Invalid, invalid
from tabellion.platform.database.connection import Database


async def of_delete(db: Database, table: Table, ids: Collection[int], constraint: str) -> RowInUse:
    """The refusal to delete a row; `constraint` is the foreign key that the database named."""
    row = table.kind.row
    known = await referrers(db, table)
    held = await _held(db, table, ids, [each for each in known if each.on_delete == "RESTRICT"])
    if held:
        way = "delete them, or have them refer to something else, first"
        return RowInUse(f"this {row} cannot be deleted: records of {enumerated(held)} refer to it; {way}", row)
    direct = any(each.constraint == constraint for each in known)
    where = "to it" if direct else "to records that would be deleted, or lose their reference, with it"
    return RowInUse(f"this {row} cannot be deleted: records refer {where}; delete or change them first", row)


async def of_clear(db: Database, table: Table, ids: Collection[int], change: Change, constraint: str) -> RowInUse:
    """The refusal of a change that clears a value; `constraint` is the foreign key that the database named."""
    row = table.kind.row
    cleared = {attribute.column: attribute.name for attribute, value in change.values if value is None}
    known = [each for each in await referrers(db, table) if each.target in cleared and each.on_delete != "SET_NULL"]
    held = await _held(db, table, ids, known)
    names = dict.fromkeys(f"'{cleared[each.target]}'" for each in known if held or each.constraint == constraint)
    what = f"{enumerated(list(names))} of this {row}" if names else f"a value of this {row}"
    who = f"records of {enumerated(held)} refer" if held else "records of a custom table refer"
    way = "give it another value, which they follow, or delete them or change what they refer to first"
    return RowInUse(f"{what} cannot be cleared: {who} to it; {way}", row, change.section)


async def of_dangling(
    db: Database, table: Table, change: Change, initial: Sequence[tuple[Attribute, Any]], attribute: Attribute
) -> Invalid:
    """The refusal of a value whose foreign key leads nowhere; `initial`: those of the address or the key."""
    value = next((value for each, value in (*change.values, *initial) if each.number == attribute.number), None)
    target = await referred(db, table, attribute)
    where = f"no row of '{target.table}' has the '{target.attribute}'" if target else "its foreign key does not have"
    message = f"attribute '{attribute.name}' refers to nothing: {where} '{str(render_value(attribute, value))[:100]}'"
    return invalid(change.place(attribute), "attribute.value", message)


async def of_owners(
    db: Database, table: Table, change: Change, matches: Sequence[tuple[Attribute, Any]], row_id: int | None
) -> AttributeAmbiguous:
    """The refusal of unique values that belong to different rows (`row_id`: that the body names), with who owns which."""
    row = table.kind.row
    owned = [
        (change.place(attribute), f"'{attribute.name}' is {row} {owner}'s")
        for attribute, value in matches for owner in await store.find(db, table, [(attribute, value)])
    ]  # fmt: skip
    named = [] if row_id is None else [f"the body names {row} {row_id}"]
    message = (
        f"the unique attributes belong to different {table.kind.rows}: {enumerated([*named, *(text for _, text in owned)])}"
    )
    return AttributeAmbiguous(message, errors=[FieldError(place, AttributeAmbiguous.code, text) for place, text in owned])


async def _held(db: Database, table: Table, ids: Collection[int], known: Sequence[Referrer]) -> list[str]:
    counted = [(each, await referring(db, table, each, ids)) for each in known]
    return [told_referrer(each, count) for each, count in counted if count]
