"""The documents of previews, version 5."""

from typing import Annotated

import msgspec
from msgspec import Meta

from tabellion.features.campaigns.wire.triggering import ParameterIn
from tabellion.platform.http.shapes import Text


class PreviewIn(msgspec.Struct):
    """Whose data stand in it (null: nobody's), in which language (null: the profile's, else the first); parameters."""

    profile: Text | None = None
    language: Text | None = None
    parameters: list[ParameterIn] = []
    variant: Annotated[Text | None, Meta(description="name of a variant of the A/B test")] = None


class PreviewLink(msgspec.Struct):
    """A link as it stands in the mail."""

    url: str
    text: str
    tracked: bool


class PreviewOut(msgspec.Struct, rename="camel"):
    """The mail as it would be rendered now. `bytes`: the size of the HTML."""

    campaign_id: int
    language: str
    sender: str = msgspec.field(name="from")
    reply_to: str | None
    subject: str
    preheader: str | None
    html: str
    text: str
    text_is_own: bool
    bytes: int
    links: list[PreviewLink]
