"""The documents of triggers, and the values of parameters."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tabellion.features.campaigns.model import Personalisation
from tabellion.features.profiles import ProfileIn
from tabellion.kit.near import MOST_LOOKED_FOR, meant
from tabellion.kit.problem import FieldError
from tabellion.platform.http.shapes import Text

_MAX_PARAMETERS_CHARACTERS = 100_000


class ParameterIn(msgspec.Struct):
    """A value for the content: `values` is a list, or one value."""

    key: Text
    values: Annotated[Any, Meta(description="a list of values, or one value")] = None


class Parameters(msgspec.Struct):
    """The body of a trigger; in JSON the list alone."""

    parameters: list[ParameterIn] = []


class ContactIn(msgspec.Struct):
    """A profile that is created or updated, and gets a mail."""

    profile: ProfileIn
    parameters: list[ParameterIn] = []


class ContactOut(msgspec.Struct, rename="camel"):
    """The profile and its mail."""

    profile_id: int
    interaction_id: int


class InteractionId(msgspec.Struct, rename="camel"):
    """The answer to a trigger."""

    interaction_id: int


class ContactsItem(msgspec.Struct):
    """One of many: `profile` is an id, `attribute=value`, or an object with `attributes`, which is created or updated."""

    profile: Annotated[Any, Meta(description="mandatory: id, `attribute=value`, or an object with `attributes`")] = None
    parameters: list[ParameterIn] = []


class ContactsIn(msgspec.Struct):
    """Many triggers in one call."""

    contacts: list[ContactsItem]


class ContactResult(msgspec.Struct, rename="camel", omit_defaults=True):
    """What came of one of them."""

    index: int
    profile_id: int | None = None
    interaction_id: int | None = None
    code: str | None = None
    message: str | None = None


class ContactsOut(msgspec.Struct):
    """What came of all of them."""

    accepted: int
    rejected: int
    contacts: list[ContactResult]


def read_parameters(
    given: Sequence[ParameterIn], announced: Sequence[Personalisation], faults: list[FieldError]
) -> dict[str, Any]:
    """The values of the campaign's parameters; others are left out. What is wrong goes to `faults`."""
    values = {each.key: each.values for each in given}
    found: dict[str, Any] = {}
    for each in announced:
        value = values.get(each.key)
        plain = [] if value is None else value if isinstance(value, list) else [value]
        texts = [_text(item) for item in plain if item is not None]  # pyright: ignore[reportUnknownVariableType] - plain documents
        if None in texts:
            message = f"the values of '{each.key}' are texts, numbers or booleans"
            faults.append(FieldError(f"parameters.{each.key}", "member.type", message))
        elif texts:
            found[each.key] = texts[0] if len(texts) == 1 else texts
        elif each.default_value is not None:
            found[each.key] = each.default_value
        elif each.mandatory:
            other = next((key for key in values if key.lower() == each.key.lower() and key != each.key), None)
            hint = f": '{other[:100]}' is another one, upper and lower case differ" if other is not None else ""
            message = f"the parameter '{each.key}' is missing{hint}"
            faults.append(FieldError(f"parameters.{each.key}", "member.mandatory", message))
    if sum(len(str(value)) for value in found.values()) > _MAX_PARAMETERS_CHARACTERS:
        message = f"the values of the parameters have more than {_MAX_PARAMETERS_CHARACTERS:,} characters"
        faults.append(FieldError("parameters", "structure.invalid", message))
    return found


def unknown_parameters(given: Sequence[ParameterIn], announced: Sequence[Personalisation], place: str = "") -> list[str]:
    """The keys that the campaign does not know, as the ignored members that they are: `parameters.stayRev`."""
    return [f"{place}parameters.{key[:100]}" for key in _unknown(given, announced)]


def unknown_faults(given: Sequence[ParameterIn], announced: Sequence[Personalisation]) -> list[FieldError]:
    """The same as mistakes, with what may be meant; of many the first ones."""
    known = [each.key for each in announced]
    return [
        FieldError(
            f"parameters.{key[:100]}", "member.unknown", f"the campaign has no parameter '{key[:100]}'{meant(key, known)}"
        )
        for key in _unknown(given, announced)[:MOST_LOOKED_FOR]
    ]


def _unknown(given: Sequence[ParameterIn], announced: Sequence[Personalisation]) -> list[str]:
    known = {each.key for each in announced}
    return list(dict.fromkeys(each.key for each in given if each.key not in known))


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) or type(value).__name__ == "Decimal" else None
