"""The document of the report, version 4."""

from collections import Counter
from typing import Annotated

import msgspec
from msgspec import Meta

from tabellion.features.campaigns.model import Campaign
from tabellion.features.campaigns.wire.pending import Delay, Wait, delays_out, waits_out
from tabellion.features.delivery import Pending, Tally

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
    waits: Annotated[list[Wait], Meta(description="what the pending ones wait for; together they are `pending`")]
    delays: Annotated[list[Delay], Meta(description="what holds or slows all of them")]
    failures: Annotated[list[FailureReason], Meta(description="why mails failed, the most frequent reasons first")] = []


def report_out(campaign: Campaign, tally: Tally, pending: Pending) -> Report:
    """The report of a campaign."""
    excluded = Counter(tally.excluded)
    sent = tally.sent
    return Report(
        campaign_id=campaign.id,
        state=campaign.state.value,
        targeted=tally.targeted,
        excluded=Excluded(
            no_address=excluded["noAddress"],
            unsubscribed=excluded["unsubscribed"],
            suppressed=excluded["suppressed"],
            language=excluded["language"],
            deleted=excluded["deleted"],
            cancelled=excluded["cancelled"],
            failed=sum(tally.failed.values()),
            pressure=excluded["pressure"],
            duplicate_address=excluded["duplicateAddress"],
        ),
        sent=sent.mails,
        delivered=sent.mails - sent.soft - sent.hard,
        soft_bounces=sent.soft,
        hard_bounces=sent.hard,
        opens=sent.opens,
        unique_opens=sent.unique_opens,
        clicks=sent.clicks,
        unique_clicks=sent.unique_clicks,
        unsubscribes=sent.unsubscribes,
        complaints=sent.complaints,
        uncertain=tally.uncertain,
        pending=tally.pending,
        waits=waits_out(pending),
        delays=delays_out(pending.delays),
        failures=_failures(tally),
    )


def _failures(tally: Tally) -> list[FailureReason]:
    failed = [FailureReason(reason, n) for reason, n in tally.failed.items()]
    return sorted(failed, key=lambda each: (-each.count, each.reason))[:_MOST_REASONS]
