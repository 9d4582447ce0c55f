"""The document of the checklist."""

import msgspec

from tabellion.features.campaigns.checking import Checklist, Severity


class ChecklistItem(msgspec.Struct):
    """One thing to look at. `languages` empty: it is the same for all; so `variants`, those of the A/B test."""

    severity: str
    code: str
    message: str
    advice: str
    languages: list[str]
    variants: list[str]


class ChecklistOut(msgspec.Struct, rename="camel"):
    """What to look at before a launch. `addresses`: of links and pictures outside, each counted once."""

    campaign_id: int
    launchable: bool
    items: list[ChecklistItem]
    addresses: int
    addresses_looked_at: int


def checklist_out(found: Checklist) -> ChecklistOut:
    """The checklist as it is answered."""
    items = [
        ChecklistItem(i.severity.value, i.code, i.message, i.advice, list(i.languages), list(i.variants))
        for i in found.items
    ]
    launchable = all(item.severity is not Severity.BLOCKING for item in found.items)
    return ChecklistOut(found.campaign.id, launchable, items, found.addresses, found.looked_at)
