"""The document of the report, version 4."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from tabellion.features.campaigns.model import Campaign
from tabellion.features.delivery import SOFT_REASONS

_MOST_REASONS = 5


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


def report_out(
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
