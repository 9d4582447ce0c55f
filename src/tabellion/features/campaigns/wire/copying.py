"""The documents of copies of campaigns (our own, v5)."""

from typing import Annotated

import msgspec
from msgspec import Meta

from tabellion.features.campaigns.wire.definition import MailOut, line_faults, name_faults
from tabellion.kit.problem import Invalid


class CopyIn(msgspec.Struct, rename="camel"):
    """What the copy is called."""

    name: Annotated[str | None, Meta(description="null: that of the campaign with the next free number: `Spring (2)`")] = (
        None
    )
    display_name: Annotated[str | None, Meta(description="null: the `name`, or the display name with the number")] = None


class CopyOut(MailOut, rename="camel", kw_only=True):
    """The copy, and what it does not have of the campaign."""

    notice: Annotated[str | None, Meta(description="what could not be copied")] = None


def read(body: CopyIn) -> tuple[str | None, str | None]:
    """Name and display name. Raises `Invalid`."""
    faults = [] if body.name is None else name_faults(body.name)
    faults += line_faults("displayName", body.display_name)
    if faults:
        raise Invalid(faults)
    return body.name, body.display_name or None
