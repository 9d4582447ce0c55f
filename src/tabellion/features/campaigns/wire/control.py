"""The documents of tests and launches, and where a campaign stands after them."""

from typing import Annotated

import msgspec
from msgspec import Meta

from tabellion.features.campaigns.wire.pending import Delay
from tabellion.features.campaigns.wire.triggering import ParameterIn
from tabellion.platform.http.shapes import Text


class TestIn(msgspec.Struct):
    """Who gets a test, and whose data stand in it."""

    recipients: list[Text] = []
    profile: Text | None = None
    language: Text | None = None
    parameters: list[ParameterIn] = []
    profiles: Annotated[
        list[Text], Meta(description="profiles that get it at their own address, in their language, with their data")
    ] = []
    variant: Annotated[Text | None, Meta(description="name of a variant of the A/B test")] = None


class TestOut(msgspec.Struct, rename="camel", omit_defaults=True):
    """How many mails are on their way; `delays`: what is known to hold them."""

    campaign_id: int
    sent: int
    delays: list[Delay] = []


class LaunchIn(msgspec.Struct, rename="camel"):
    """When a mass campaign is to begin; null: now."""

    scheduled_at: Text | None = None
    override_sender_check: Annotated[
        str | None,
        Meta(description="the reason to launch although the sender's domain fails the check for campaigns to many"),
    ] = None


class StateOut(msgspec.Struct, rename="camel"):
    """Where the campaign stands now."""

    campaign_id: int
    state: str


class LaunchOut(msgspec.Struct, rename="camel", omit_defaults=True):
    """Where the campaign stands now. `scheduledAt`: when it begins. `notice`: what could not be looked at before."""

    campaign_id: int
    state: str
    scheduled_at: str | None = None
    notice: str | None = None
