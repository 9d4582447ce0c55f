"""The documents of the calls of custom actions."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from tabellion.features.actions.model import MAX_PARAMETERS, CustomAction, Parameter
from tabellion.features.tables import VALUE_TYPES
from tabellion.kit.names import SIGNS_OF_ADDRESSES, name_fault
from tabellion.kit.problem import FieldError, Invalid
from tabellion.platform import egress
from tabellion.platform.http.shapes import Flag


class ParameterBody(msgspec.Struct, rename="camel"):
    """One parameter."""

    name: str
    value_type: str = "STRING"
    mandatory: Flag = False


class ActionIn(msgspec.Struct, rename="camel"):
    """An action to be made; only `name` is mandatory."""

    name: str
    display_name: str | None = None
    description: str | None = None
    target_url: str | None = None
    is_active: Flag = True
    parameters: list[ParameterBody] = []


class ActionPatch(msgspec.Struct, rename="camel"):
    """What is to be changed; null clears a description or a target, and makes the name the display name again."""

    name: str | UnsetType = UNSET
    display_name: str | None | UnsetType = UNSET
    description: str | None | UnsetType = UNSET
    target_url: str | None | UnsetType = UNSET
    is_active: Flag | UnsetType = UNSET
    parameters: list[ParameterBody] | UnsetType = UNSET


class ActionId(msgspec.Struct):
    """The answer to a creation."""

    id: str


class ActionOut(msgspec.Struct, rename="camel"):
    """One action."""

    id: str
    name: str
    display_name: str
    description: str | None
    target_url: str | None
    is_active: bool
    parameters: list[ParameterBody]


class ActionsOut(msgspec.Struct, rename="camel"):
    """The actions of an entity, by name."""

    custom_actions: list[ActionOut]


def read_new(body: ActionIn) -> CustomAction:
    """The action to be made. Raises `Invalid`."""
    members = _checked(
        {
            "name": body.name,
            "display_name": body.display_name or body.name,
            "description": body.description,
            "target_url": body.target_url,
            "is_active": body.is_active,
            "parameters": body.parameters,
        }
    )
    return CustomAction(0, **members)


def read_changes(body: ActionPatch) -> dict[str, Any]:
    """The members to be changed. Raises `Invalid`."""
    members = {name: getattr(body, name) for name in body.__struct_fields__}
    return _checked({name: value for name, value in members.items() if value is not UNSET})


def action_out(action: CustomAction) -> ActionOut:
    """One action as it is answered."""
    return ActionOut(
        str(action.id),
        action.name,
        action.display_name,
        action.description,
        action.target_url,
        action.is_active,
        [ParameterBody(p.name, p.value_type, p.mandatory) for p in action.parameters],
    )


def _checked(members: dict[str, Any]) -> dict[str, Any]:
    faults: list[FieldError] = []
    if "name" in members and (fault := name_fault(members["name"], SIGNS_OF_ADDRESSES)):
        faults.append(FieldError("name", "structure.nameInvalid", f"'name' expects {fault}"))
    if members.get("target_url"):
        try:
            egress.parse_target(members["target_url"], egress.policy())
        except egress.TargetRefused as error:
            faults.append(FieldError("targetUrl", "webhook.target", f"the target {error}"))
    if "parameters" in members:
        members["parameters"] = _parameters(members["parameters"], faults)
    if faults:
        raise Invalid(faults)
    return members


def _parameters(bodies: list[ParameterBody], faults: list[FieldError]) -> tuple[Parameter, ...]:
    seen: set[str] = set()
    if len(bodies) > MAX_PARAMETERS:
        faults.append(FieldError("parameters", "structure.tooMany", f"an action has at most {MAX_PARAMETERS} parameters"))
    for i, body in enumerate(bodies):
        place = f"parameters[{i}]"
        if fault := name_fault(body.name, SIGNS_OF_ADDRESSES):
            faults.append(FieldError(f"{place}.name", "structure.nameInvalid", f"'name' expects {fault}"))
        if body.name.lower() in seen:
            faults.append(FieldError(f"{place}.name", "structure.nameTaken", f"parameter '{body.name}' stands here twice"))
        seen.add(body.name.lower())
        if body.value_type not in VALUE_TYPES:
            message = f"'valueType' expects one of {', '.join(VALUE_TYPES)}"
            faults.append(FieldError(f"{place}.valueType", "structure.typeUnknown", message))
    return tuple(Parameter(b.name, b.value_type, b.mandatory) for b in bodies)
