"""What a custom action is."""

from typing import Any

import msgspec

SUBJECT = "CUSTOM_ACTION"
MAX_PARAMETERS = 100


class Parameter(msgspec.Struct, frozen=True, rename="camel"):
    """What a scenario hands to the action. `value_type` is one of the attributes' value types."""

    name: str
    value_type: str = "STRING"
    mandatory: bool = False


class CustomAction(msgspec.Struct, frozen=True):
    """One action of an entity; `target_url` is called when a scenario reaches it."""

    id: int
    name: str
    display_name: str
    description: str | None
    target_url: str | None
    is_active: bool
    parameters: tuple[Parameter, ...]


def changed(action: CustomAction, changes: dict[str, Any]) -> CustomAction:
    """The action with some members changed; without a display name it has its name for one, as when it is made."""
    after = msgspec.structs.replace(action, **changes)
    return msgspec.structs.replace(after, display_name=after.display_name or after.name)
