"""Whether a campaign still fits its table: what its target and its contents name can be removed after they were written."""

from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from tabellion.features.audiences import audiences_of, condition_of
from tabellion.features.campaigns.errors import CampaignIncomplete
from tabellion.features.campaigns.model import Campaign, Kind
from tabellion.features.delivery import Document, Sending, is_gathered
from tabellion.features.tables import PROFILE_TABLES, Database, ProfileTable, is_email
from tabellion.features.tables.filters import ALWAYS, Condition
from tabellion.kit.problem import FieldError, Invalid


async def audience_of(
    db: Database, campaign: Campaign, table: ProfileTable, zone: ZoneInfo, now: datetime, document: Document | None = None
) -> Condition:
    """Whom a campaign means. Raises `CampaignIncomplete` for what its target, or `document`, names and there is not."""
    assert campaign.target is not None  # noqa: S101 - whoever has no target is not asked for its audience
    faults = [] if document is None else document_faults(document, table)
    audiences = await audiences_of(db, campaign.licence_id, campaign.target)
    found = ALWAYS
    try:
        found = condition_of(table, campaign.target, zone, now, audiences)
    except Invalid as error:
        faults += [replace(fault, field=f"target.{fault.field}") for fault in error.errors]
    if faults:
        raise CampaignIncomplete(faults)
    return found


async def target_faults(
    db: Database, campaign: Campaign, table: ProfileTable, zone: ZoneInfo, now: datetime
) -> list[FieldError]:
    """What the target of a campaign names and its table has not. Transactional mails go to whom they are triggered for."""
    if campaign.target is None or campaign.kind is Kind.TRANSACTIONAL:
        return []
    try:
        await audience_of(db, campaign, table, zone, now)
    except CampaignIncomplete as error:
        return list(error.errors)
    return []


async def sending_faults(
    db: Database, campaign: Campaign, sending: Sending, table: ProfileTable, now: datetime
) -> list[FieldError]:
    """What a campaign that was launched needs, and the table has not."""
    faults = document_faults(sending.document, table)
    # Whom a mass campaign is for is written down when it begins, and its target not asked any more.
    if campaign.kind is not Kind.MASS or not await is_gathered(db, sending):
        faults += await target_faults(db, campaign, table, zone_of(sending.document), now)
    return faults


def address_faults(table: ProfileTable) -> list[FieldError]:
    """That there is no address to send to."""
    if any(is_email(attribute) for attribute in table.attributes):
        return []
    message = f"the table '{table.name}' has no attribute of type EMAIL_ADDRESS to send to"
    return [FieldError("targetTable", "structure.invalid", message)]


def document_faults(document: Document, table: ProfileTable) -> list[FieldError]:
    """What mails that are on their way need, and the table has not."""
    faults = address_faults(table)
    if document.subscription is not None and all(each.number != document.subscription for each in table.subscriptions):
        message = f"the table '{table.name}' has the subscription of the target no more"
        faults.append(FieldError("target.subscription", "subscription.unknown", message))
    known = {
        "profile": {PROFILE_TABLES.id_name, *(each.name for each in table.attributes)},
        "subscriptions": {each.name for each in table.subscriptions},
        "segmentations": {each.name for each in table.segmentations},
    }
    for root, names in known.items():
        for name in document.uses.get(root, ()):
            if name not in names:
                message = f"the contents name '{root}.{name}', and the table '{table.name}' has no such thing"
                faults.append(FieldError("content", "template.name", message))
    return faults


def zone_of(document: Document) -> ZoneInfo:
    """The time zone that a campaign was launched in."""
    return ZoneInfo(document.time_zone)
