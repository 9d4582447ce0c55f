"""What a subscription may listen to: from what a call names to the subject's id, and the names of its fields."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tabellion.features.actions import find_action
from tabellion.features.tables import ProfileTable, find_table
from tabellion.features.webhooks.model import EVENT_TYPES
from tabellion.kit.problem import FieldError, Problem, invalid
from tabellion.platform.http.call import Incoming

PROFILE_TABLE, CUSTOM_TABLE, CUSTOM_ACTION = "PROFILE_TABLE", "CUSTOM_TABLE", "CUSTOM_ACTION"
_MISSING = {"CUSTOM_TABLE": "table.unknown", "ETL": "etl.unknown", "EXPORT": "export.unknown"}


class Fields(msgspec.Struct, frozen=True):
    """The names that `onFields` may hold, by lower case, and the code of the refusal of another one."""

    names: Mapping[str, str]
    code: str


class Subject(msgspec.Struct, frozen=True):
    """One subject; `table` where it is a profile table. `known`: names that were found good before."""

    kind: str
    id: str
    table: ProfileTable | None = None
    known: tuple[str, ...] = ()

    def fields(self, event_type: str) -> Fields:
        """What the events of a type may involve."""
        if self.table is None:
            return Fields({name.lower(): name for name in self.known}, "attribute.unknown")
        definition = self.table.definition
        parts: tuple[Any, ...] = definition.attributes
        code = "attribute.unknown"
        if event_type == "UPDATED_SUBSCRIPTION":
            parts, code = definition.subscriptions, "subscription.unknown"
        elif event_type == "UPDATED_SEGMENT":
            parts, code = definition.segmentations, "segmentation.unknown"
        return Fields({part.name.lower(): part.name for part in parts}, code)


async def in_path(call: Incoming, kind: str) -> Subject:
    """The table of the path. Raises `TableUnknown`."""
    if kind == PROFILE_TABLE:
        table = await find_table(call, call.path["e"], call.path["t"])
        return Subject(kind, str(table.id), table)
    return await _custom_table(call, call.path["t"])


async def in_body(call: Incoming, kind: str, reference: str) -> Subject:
    """The subject that a body names. Raises `Invalid`: what a body names is no part of the address."""
    if kind == PROFILE_TABLE:
        try:
            table = await find_table(call, call.path["e"], reference)
        except Problem as error:
            if error.code != "table.unknown":
                raise
            raise invalid("onElementId", error.code, error.message) from None
        return Subject(kind, str(table.id), table)
    if kind == CUSTOM_ACTION:
        action = await find_action(call, call.path["e"], reference)
        if action is None:
            raise invalid("onElementId", "action.unknown", f"the entity has no custom action '{reference}'")
        return Subject(kind, str(action.id))
    raise invalid("onElementId", _MISSING[kind], f"the entity has no {_WORDS[kind]} '{reference}'")


async def _custom_table(call: Incoming, reference: str) -> Subject:
    raise TableMissing(f"the entity '{call.path['e']}' has no custom table '{reference}'")


class TableMissing(Problem):
    """The entity has no such custom table; the structure calls list them."""

    status = 404
    code = "table.unknown"


_WORDS = {"CUSTOM_TABLE": "custom table", "ETL": "ETL", "EXPORT": "export"}


def event_type_fault(kind: str, event_type: str) -> FieldError | None:
    """What is wrong with a combination, or None."""
    if event_type in EVENT_TYPES[kind]:
        return None
    return FieldError("eventType", "member.type", f"'eventType' expects, for {kind}, one of {', '.join(EVENT_TYPES[kind])}")
