"""Whether a campaign still fits its table: what its target and its contents name can be removed after they were written."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from tabellion.features.audiences import Audience, Target, audiences_of, condition_of
from tabellion.features.campaigns.content import ROOTS
from tabellion.features.campaigns.errors import CampaignIncomplete
from tabellion.features.campaigns.model import Campaign, Kind
from tabellion.features.customdata import CustomTable, custom_tables
from tabellion.features.delivery import Document, Hours, Sending, is_gathered, pacing_admin, zone_column
from tabellion.features.tables import PROFILE_TABLES, ProfileTable, email_of
from tabellion.features.tables.filters import ALWAYS, Condition
from tabellion.kit.problem import FieldError, Invalid
from tabellion.platform.database.connection import Database


async def audience_of(  # noqa: PLR0917 - what a worker knows
    db: Database, campaign: Campaign, table: ProfileTable, zone: ZoneInfo, now: datetime, document: Document | None = None,
    audiences: Mapping[int, Audience] | None = None,
) -> Condition:  # fmt: skip
    """Whom a campaign means. Raises `CampaignIncomplete` for what its target, or `document`, names and there is not.

    `audiences`: those that its target names, where they are at hand.
    """
    assert campaign.target is not None  # noqa: S101 - whoever has no target is not asked for its audience
    faults: list[FieldError] = []
    if document is not None:
        faults += document_faults(document, table, await linked_of(db, campaign.licence_id, document))
    if audiences is None:
        audiences = await audiences_of(db, campaign.licence_id, campaign.target)
    found = ALWAYS
    try:
        found = condition_of(table, campaign.target, zone, now, audiences)
    except Invalid as error:
        faults += [replace(fault, field=f"target.{fault.field}") for fault in error.errors]
    if faults:
        raise CampaignIncomplete(faults)
    return found


def subscription_of(target: Target | None, table: ProfileTable, audiences: Mapping[int, Audience]) -> int | None:
    """What readers must have subscribed to, and end by unsubscribing: the target's, or that of the audience it names."""
    name = None if target is None else _subscription_named(target, audiences)
    found = None if name is None else table.subscriptions_by_name.get(name.lower())
    return None if found is None else found.number


def _subscription_named(target: Target, audiences: Mapping[int, Audience]) -> str | None:
    if target.subscription is not None or target.audience is None:
        return target.subscription
    audience = audiences.get(target.audience)
    return None if audience is None else audience.definition.subscription


def as_aimed(campaign: Campaign, sending: Sending, table: ProfileTable, audiences: Mapping[int, Audience]) -> Document:
    """What a sending that follows its audience sends: for the subscription that this has now, not that of the launch.

    One that the table has not is a fault of the target, and changes nothing here.
    """
    document, target = sending.document, campaign.target
    if document.transactional or target is None or target.subscription is not None:
        return document
    number = subscription_of(target, table, audiences)
    if number is None and _subscription_named(target, audiences) is not None:
        return document
    return document if number == document.subscription else replace(document, subscription=number)


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
    db: Database, campaign: Campaign, sending: Sending, table: ProfileTable, linked: Sequence[CustomTable], now: datetime
) -> list[FieldError]:
    """What a campaign that was launched needs, and neither the table nor its `linked` ones have."""
    # Whom a mass campaign is for is written down when it begins, and its target not asked any more.
    has_begun = campaign.kind is Kind.MASS and await is_gathered(db, sending)
    document = sending.document
    if campaign.kind is Kind.MASS and not has_begun:
        document = as_aimed(campaign, sending, table, await audiences_of(db, campaign.licence_id, campaign.target))
    faults = [*document_faults(document, table, linked), *await hours_faults(db, campaign, table)]
    if not has_begun:
        faults += await target_faults(db, campaign, table, zone_of(document), now)
    return faults


def address_faults(table: ProfileTable) -> list[FieldError]:
    """That there is no address to send to."""
    if email_of(table.attributes) is not None:
        return []
    message = f"the table '{table.name}' has no attribute of type EMAIL_ADDRESS to send to"
    return [FieldError("targetTable", "structure.invalid", message)]


async def hours_faults(db: Database, campaign: Campaign, table: ProfileTable, *, country: bool = False) -> list[FieldError]:
    """That the clocks of recipients, by which a campaign is to leave, cannot be told any more.

    Without an attribute of a country mails go by the licence's clocks, which was said; `country`: that it is taken away.
    """
    hours: Hours | None = (await pacing_admin.delivery_of(db, campaign.id)).hours
    if hours is None or hours.clock != "RECIPIENT" or campaign.kind is Kind.TRANSACTIONAL or zone_column(table, hours):
        return []
    if hours.attribute is None and not country:
        return []
    what = "of type ADDRESS_COUNTRY" if hours.attribute is None else f"'{hours.attribute}'"
    message = (
        f"the sending hours go by the attribute {what}, and the table '{table.name}' has no such attribute with one value; "
        "change the delivery settings first"
    )
    return [FieldError("sendingHours.attribute", "attribute.unknown", message)]


async def linked_of(db: Database, licence_id: int, document: Document, *, keep: bool = False) -> list[CustomTable]:
    """The custom tables that contents may mean, as they are now; `keep`: they stay so until the end of the transaction."""
    names = document.uses.keys() - ROOTS
    if not names:
        return []
    found = [custom for custom in await custom_tables.load(db, licence_id) if custom.name in names]
    if not keep:
        return found
    kept = [await custom_tables.keep(db, custom.id) for custom in found]
    return [custom for custom in kept if custom is not None]


def document_faults(document: Document, table: ProfileTable, linked: Sequence[CustomTable]) -> list[FieldError]:
    """What mails that are on their way need, and neither the table nor its `linked` ones have."""
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
    # Names of custom tables can be anybody's, as those of attributes: the last one counts, as where mails are written.
    by_name = {custom.name: custom for custom in linked if custom.key_to(table)}
    for root in sorted(document.uses.keys() - ROOTS):
        custom = by_name.get(root)
        if custom is None:
            message = f"the contents name '{root}', and no custom table of that name refers to the table '{table.name}'"
            faults.append(FieldError("content", "template.name", message))
            continue
        members = {attribute.name for attribute in custom.attributes}
        for name in document.uses[root]:
            if name not in members:
                message = f"the contents name '{root}.{name}', and the table '{root}' has no such attribute"
                faults.append(FieldError("content", "template.name", message))
    return faults


def zone_of(document: Document) -> ZoneInfo:
    """The time zone that a campaign was launched in."""
    return ZoneInfo(document.time_zone)
