"""What templates are rendered with: of each recipient what the messages name, and no more."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.errors import UndefinedColumn, UndefinedTable

from tabellion.features.customdata import CustomTable, ForeignKey
from tabellion.features.delivery.model import Claimed, Document
from tabellion.features.delivery.store import in_schema
from tabellion.features.profiles import Row, StaleDefinition, search_rows
from tabellion.features.tables import PROFILE_TABLES, ProfileTable, Table, column_cast
from tabellion.features.tables.filters import Condition
from tabellion.platform.database.connection import Database

# Records that are held in memory at a time. Of one recipient they are more than a mail may be made of (`MAX_CONTEXT_BYTES`).
_MOST_TOGETHER, _MOST_OF_ONE = 20_000, 80_000
_PLAIN = frozenset({"profile", "parameters", "subscriptions", "segmentations"})


class Crowded(Exception):
    """Several recipients have more records together than are held in memory at a time; fewer of them may not."""


async def contexts_of(
    db: Database, document: Document, table: ProfileTable, linked: Sequence[CustomTable], claimed: Sequence[Claimed]
) -> list[dict[str, Any]]:
    """The contexts of recipients, in their order. A profile that is gone has no values. Raises `Crowded`, `StaleDefinition`.

    Of `linked` those count that refer to the table: other entities may have others of the same name.
    """
    ids = [each.profile_id for each in claimed if each.profile_id is not None]
    rows = await search_rows(db, table, Condition("t.id = ANY (%s::bigint[])", (ids,)), "t.id", len(ids)) if ids else []
    by_id = {row.id: row for row in rows}
    records = {
        custom.name: await _records(db, custom, key, table, ids)
        for custom in linked
        if custom.name in document.uses and ids and (key := custom.key_to(table)) is not None
    }
    return [_context(document, table, by_id.get(each.profile_id or 0), each, records) for each in claimed]


def _context(
    document: Document, table: ProfileTable, row: Any, claimed: Claimed, records: Mapping[str, Mapping[int, list[Any]]]
) -> dict[str, Any]:
    given = claimed.parameters or {}
    context: dict[str, Any] = {
        "profile": _values(table, row),
        "parameters": {each.key: given.get(each.key, each.default) for each in document.parameters},
        "subscriptions": {},
        "segmentations": {},
    }
    for name, by_profile in records.items():
        context[name] = by_profile.get(claimed.profile_id or 0, [])
    for name in document.uses:
        if name not in _PLAIN and name not in context and name[:1].isupper():
            context[name] = []
    if row is not None:
        context["subscriptions"] = {
            subscription.name: choice.subscribed is True
            for subscription, choice in zip(table.subscriptions, row.choices, strict=True)
        }
        context["segmentations"] = {
            segmentation.name: value is True
            if segmentation.type == "SIMPLE"
            else next((category.name for category in segmentation.categories if category.number == value), None)
            for segmentation, value in zip(table.segmentations, row.memberships, strict=True)
        }
    return context


def _values(table: Table, row: Row | None) -> dict[str, Any]:
    if row is None:
        return {attribute.name: None for attribute in table.attributes}
    values: dict[str, Any] = {a.name: v for a, v in zip(table.attributes, row.values, strict=True)}
    return {PROFILE_TABLES.id_name: row.id, **values}


async def _records(
    db: Database, custom: CustomTable, key: ForeignKey, table: ProfileTable, ids: Sequence[int]
) -> dict[int, list[Any]]:
    """All records by the profiles that they belong to, in the order of their ids. Raises `Crowded`."""
    parts = {"key": key.column, "table": table.relation}
    query = "SELECT o.{key}, o.id FROM {l}.{table} o WHERE o.id = ANY (%s::bigint[])"
    try:
        cursor = await db.execute(in_schema(table.licence_id, query, **parts), (list(ids),))
    except (UndefinedTable, UndefinedColumn) as error:
        raise StaleDefinition from error
    profiles: dict[Any, int] = {row[0]: row[1] for row in await cursor.fetchall() if row[0] is not None}
    column = next(a for a in custom.attributes if a.number == key.number)
    condition = Condition(f"t.{column.column} = ANY (%s::{column_cast(column)}[])", (list(profiles),))
    rows = await search_rows(db, custom, condition, "t.id", _MOST_TOGETHER + 1 if len(ids) > 1 else _MOST_OF_ONE)
    if len(ids) > 1 and len(rows) > _MOST_TOGETHER:
        raise Crowded
    referring = custom.attributes.index(column)
    found: dict[int, list[Any]] = {}
    for row in rows:
        owner = profiles.get(row.values[referring])
        if owner is not None:
            found.setdefault(owner, []).append(_values(custom, row))
    return found
