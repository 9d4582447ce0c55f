"""The document of the checklist."""

from typing import Annotated

import msgspec
from msgspec import Meta

from tabellion.features.campaigns.checking import Checklist, Severity
from tabellion.features.delivery import Forecast


class ChecklistItem(msgspec.Struct):
    """One thing to look at. `languages` empty: it is the same for all; so `variants`, those of the A/B test."""

    severity: str
    code: str
    message: str
    advice: str
    languages: list[str]
    variants: list[str]


class ForecastExcluded(msgspec.Struct, rename="camel"):
    """Who is meant and would get nothing, by reason."""

    no_address: int = 0
    language: int = 0
    suppressed: int = 0
    duplicate_address: int = 0


class ForecastOut(msgspec.Struct, rename="camel"):
    """What a mass campaign would be if it began now: `targeted` profiles, of which `mails` would get one."""

    targeted: int
    excluded: ForecastExcluded
    mails: int


class ChecklistOut(msgspec.Struct, rename="camel"):
    """What to look at before a launch. `addresses`: of links and pictures outside, each counted once."""

    campaign_id: int
    launchable: bool
    items: list[ChecklistItem]
    addresses: int
    addresses_looked_at: int
    recipients: Annotated[
        ForecastOut | None, Meta(description="null: not for many at once, not launchable, begun, or too many to be counted")
    ]


def checklist_out(found: Checklist) -> ChecklistOut:
    """The checklist as it is answered."""
    items = [
        ChecklistItem(i.severity.value, i.code, i.message, i.advice, list(i.languages), list(i.variants))
        for i in found.items
    ]
    launchable = all(item.severity is not Severity.BLOCKING for item in found.items)
    recipients = None if found.recipients is None else _forecast_out(found.recipients)
    return ChecklistOut(found.campaign.id, launchable, items, found.addresses, found.looked_at, recipients)


def _forecast_out(found: Forecast) -> ForecastOut:
    of = found.excluded.get
    excluded = ForecastExcluded(of("noAddress", 0), of("language", 0), of("suppressed", 0), of("duplicateAddress", 0))
    return ForecastOut(found.mails + sum(found.excluded.values()), excluded, found.mails)
