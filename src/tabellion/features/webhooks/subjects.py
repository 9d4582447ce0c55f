"""What a subscription may listen to: from what a call names to the subject's id, and the names of its fields."""

from typing import Any

import msgspec

from tabellion.features.actions import find_action
from tabellion.features.customdata import find_custom_table
from tabellion.features.tables import NamedPart, Table, find_table
from tabellion.features.webhooks.model import EVENT_TYPES, TABLES
from tabellion.kit.near import meant
from tabellion.kit.problem import FieldError, Problem, invalid
from tabellion.platform import outbox
from tabellion.platform.http.call import Incoming

PROFILE_TABLE, CUSTOM_TABLE, CUSTOM_ACTION = "PROFILE_TABLE", "CUSTOM_TABLE", "CUSTOM_ACTION"
_PARTS: dict[str, NamedPart] = {"UPDATED_SUBSCRIPTION": "subscription", "UPDATED_SEGMENT": "segmentation"}
_MISSING = {"ETL": "etl.unknown", "EXPORT": "export.unknown", "EMAIL_CAMPAIGN": "campaign.unknown"}


class Subject(msgspec.Struct, frozen=True):
    """One subject; `table` where it is one. `known`: names that were found good before."""

    kind: str
    id: str
    table: Table | None = None
    known: tuple[str, ...] = ()

    def fields(self, event_type: str) -> dict[str, str]:
        """The names that `onFields` may hold for the events of a type, by lower case."""
        names = self.known
        if self.table is not None:
            parts: dict[NamedPart, tuple[Any, ...]] = {
                "attribute": self.table.attributes,
                "subscription": self.table.subscriptions,
                "segmentation": self.table.segmentations,
            }
            names = tuple(part.name for part in parts[_part(event_type)])
        return {name.lower(): name for name in names}

    def field_fault(self, place: str, event_type: str, name: str) -> FieldError:
        """What is wrong with a name in `onFields`."""
        if self.table is None:
            message = f"only events of tables are about names, and not those of {self.kind}: leave 'onFields' out"
            return FieldError(place, "attribute.unknown", message)
        part = _part(event_type)
        message = f"{self.table.lacks(name, part)} ({event_type} takes names of {part}s)"
        return FieldError(place, f"{part}.unknown", message)


def _part(event_type: str) -> NamedPart:
    return _PARTS.get(event_type, "attribute")


async def in_path(call: Incoming, kind: str) -> Subject:
    """The table of the path. Raises `TableUnknown`."""
    table = await _table(call, kind, call.path["t"])
    return Subject(kind, table.public_id, table)


async def in_body(call: Incoming, kind: str, reference: str) -> Subject:
    """The subject that a body names. Raises `Invalid`: what a body names is no part of the address."""
    if kind in TABLES:
        try:
            table = await _table(call, kind, reference)
        except Problem as error:
            if error.code != "table.unknown":
                raise
            raise invalid("onElementId", error.code, error.message) from None
        return Subject(kind, table.public_id, table)
    if kind == CUSTOM_ACTION:
        action = await find_action(call, call.path["e"], reference)
        if action is None:
            raise invalid("onElementId", "action.unknown", f"the entity has no custom action '{reference}'")
        return Subject(kind, str(action.id))
    found = await outbox.subjects.find(kind, call, reference)
    if found is None:
        raise invalid("onElementId", _MISSING[kind], f"the entity has no {_WORDS[kind]} '{reference}'")
    return Subject(kind, found)


async def _table(call: Incoming, kind: str, reference: str) -> Table:
    find = find_table if kind == PROFILE_TABLE else find_custom_table
    return await find(call, call.path["e"], reference)


_WORDS = {"ETL": "ETL", "EXPORT": "export", "EMAIL_CAMPAIGN": "campaign"}


def event_type_fault(kind: str, event_type: str) -> FieldError | None:
    """What is wrong with a combination, or None."""
    if event_type in EVENT_TYPES[kind]:
        return None
    words = f"{', '.join(EVENT_TYPES[kind])}{meant(event_type, EVENT_TYPES[kind])}"
    return FieldError("eventType", "member.type", f"'eventType' expects, for {kind}, one of {words}")
