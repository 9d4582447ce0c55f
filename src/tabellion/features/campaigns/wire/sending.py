"""The documents of tests, launches, triggers and reports."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tabellion.features.campaigns.model import Campaign, Personalisation
from tabellion.features.delivery import SOFT_REASONS, Interaction, MailEvent
from tabellion.features.profiles import ProfileIn
from tabellion.features.tables import render_moment
from tabellion.kit.problem import FieldError
from tabellion.platform.http.shapes import Text

_MAX_PARAMETERS_CHARACTERS, _MOST_REASONS = 100_000, 5
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


class ParameterIn(msgspec.Struct):
    """A value for the content: `values` is a list, or one value."""

    key: Text
    values: Annotated[Any, Meta(description="a list of values, or one value")] = None


class Parameters(msgspec.Struct):
    """The body of a trigger; in JSON the list alone."""

    parameters: list[ParameterIn] = []


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


class TestOut(msgspec.Struct, rename="camel"):
    """How many mails were handed over."""

    campaign_id: int
    sent: int


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


class Excluded(msgspec.Struct, rename="camel"):
    """Who was meant and gets nothing, by reason."""

    no_address: int
    unsubscribed: int
    suppressed: int
    language: int
    deleted: int
    cancelled: int
    failed: int
    pressure: int
    duplicate_address: int


class FailureReason(msgspec.Struct):
    """Why mails could not be written, and how many."""

    reason: str
    count: int


class Report(msgspec.Struct, rename="camel"):
    """What became of a campaign. At its end `targeted` is the sum of `excluded`, `sent` and `uncertain`."""

    campaign_id: int
    state: str
    targeted: int
    excluded: Excluded
    sent: int
    delivered: int
    soft_bounces: int
    hard_bounces: int
    opens: int
    unique_opens: int
    clicks: int
    unique_clicks: int
    unsubscribes: int
    complaints: int
    uncertain: int
    pending: int
    failures: Annotated[list[FailureReason], Meta(description="why mails failed, the most frequent reasons first")] = []


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
    sent_at: str
    outcome: str
    events: list[Event]
    reason: str | None = None


class InteractionsOut(msgspec.Struct):
    """What the profile received and did, newest first."""

    interactions: list[InteractionOut]


def read_parameters(
    given: Sequence[ParameterIn], announced: Sequence[Personalisation], faults: list[FieldError]
) -> dict[str, Any]:
    """The values of the campaign's parameters; other keys are ignored. What is wrong goes to `faults`."""
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


def report(
    campaign: Campaign, recipients: Mapping[tuple[str, str | None], int], events: Mapping[str, tuple[int, int]]
) -> Report:
    """The report of a campaign, of what recipients there are by state and reason, and of events."""

    def of(state: str, reason: str | None = None) -> int:
        return sum(n for (s, r), n in recipients.items() if s == state and reason in {None, r})

    def count(kind: str, *, unique: bool = False) -> int:
        return events.get(kind, (0, 0))[unique]

    excluded = Excluded(
        no_address=of("EXCLUDED", "noAddress"),
        unsubscribed=of("EXCLUDED", "unsubscribed"),
        suppressed=of("EXCLUDED", "suppressed"),
        language=of("EXCLUDED", "language"),
        deleted=of("EXCLUDED", "deleted"),
        cancelled=of("EXCLUDED", "cancelled"),
        failed=of("FAILED"),
        pressure=of("EXCLUDED", "pressure"),
        duplicate_address=of("EXCLUDED", "duplicateAddress"),
    )
    rejected, declined = of("REJECTED"), sum(of("REJECTED", reason) for reason in SOFT_REASONS)
    sent = of("ACCEPTED") + rejected
    hard = rejected - declined + count("HARD_BOUNCE", unique=True)
    soft = declined + count("SOFT_BOUNCE", unique=True)
    return Report(
        campaign_id=campaign.id,
        state=campaign.state.value,
        targeted=sum(recipients.values()),
        excluded=excluded,
        sent=sent,
        delivered=sent - hard - soft,
        soft_bounces=soft,
        hard_bounces=hard,
        opens=count("OPEN"),
        unique_opens=count("OPEN", unique=True),
        clicks=count("CLICK"),
        unique_clicks=count("CLICK", unique=True),
        unsubscribes=count("UNSUBSCRIBE", unique=True),
        complaints=count("COMPLAINT", unique=True),
        uncertain=of("UNCERTAIN"),
        pending=sum(of(state) for state in ("PLANNED", "CLAIMED", "SENDING", "DEFERRED")),
        failures=_failures(recipients),
    )


def _failures(recipients: Mapping[tuple[str, str | None], int]) -> list[FailureReason]:
    failed = [FailureReason(reason or "unknown", n) for (state, reason), n in recipients.items() if state == "FAILED"]
    return sorted(failed, key=lambda each: (-each.count, each.reason))[:_MOST_REASONS]


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
        sent_at=_moment(found.ended_at or found.planned_at),
        outcome=outcome,
        reason=found.reason if outcome in {"EXCLUDED", "FAILED"} else None,
        events=[Event(event.type, _moment(event.moment), event.url) for event in events],
    )


def _moment(value: datetime) -> str:
    return render_moment(value)


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) or type(value).__name__ == "Decimal" else None
