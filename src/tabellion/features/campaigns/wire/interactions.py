"""The documents of what profiles got and did."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from tabellion.features.delivery import SOFT_REASONS, Interaction, MailEvent
from tabellion.features.tables import render_moment

_OUTCOMES = {
    "PLANNED": "QUEUED",
    "CLAIMED": "QUEUED",
    "SENDING": "QUEUED",
    "DEFERRED": "QUEUED",
    "ACCEPTED": "DELIVERED",
    "UNCERTAIN": "SENT",
    "EXCLUDED": "EXCLUDED",
    "FAILED": "FAILED",
}


class Event(msgspec.Struct, omit_defaults=True):
    """Something that came of a mail."""

    type: str
    moment: str
    url: str | None = None


class InteractionOut(msgspec.Struct, rename="camel", omit_defaults=True):
    """A mail that the profile got, or did not get."""

    interaction_id: int
    channel: str
    campaign_id: int
    campaign_name: str
    sent_at: Annotated[str, Meta(description="when it left or ended otherwise; of a QUEUED one, when it is planned")]
    outcome: str
    events: list[Event]
    reason: str | None = None


class InteractionsOut(msgspec.Struct):
    """What the profile received and did, newest first."""

    interactions: list[InteractionOut]


def interactions_out(found: Sequence[Interaction], events: Mapping[int, Sequence[MailEvent]]) -> InteractionsOut:
    """The mails of a profile as they are answered."""
    return InteractionsOut([_interaction(each, events.get(each.id, ())) for each in found])


def _interaction(found: Interaction, events: Sequence[MailEvent]) -> InteractionOut:
    declined = found.state == "REJECTED" and found.reason in SOFT_REASONS
    outcome = "SOFT_BOUNCE" if declined else _OUTCOMES.get(found.state, "HARD_BOUNCE")
    for kind in ("SOFT_BOUNCE", "HARD_BOUNCE"):
        if any(event.type == kind for event in events):
            outcome = kind
    return InteractionOut(
        interaction_id=found.id,
        channel="EMAIL",
        campaign_id=found.campaign_id,
        campaign_name=found.campaign_name,
        sent_at=render_moment(found.ended_at or found.planned_at),
        outcome=outcome,
        reason=found.reason if outcome in {"EXCLUDED", "FAILED"} else None,
        events=[Event(event.type, render_moment(event.moment), event.url) for event in events],
    )
