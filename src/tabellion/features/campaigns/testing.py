"""Test mails: a campaign as it is now, to some addresses and profiles, outside of all figures."""

from typing import Any, NamedTuple

from msgspec.structs import replace

from tabellion.features import delivery
from tabellion.features.campaigns import recipients, rendering, service, store
from tabellion.features.campaigns.launching import document_of, parts_of
from tabellion.features.campaigns.model import ABTestPlan, Campaign
from tabellion.features.delivery import Claimed, Delay, Document, Recipient, Sending
from tabellion.features.tables import ProfileTable
from tabellion.kit.problem import FieldError, Invalid, invalid
from tabellion.platform import audit
from tabellion.platform.http.call import Incoming
from tabellion.platform.mail import address_of


class Test(NamedTuple):
    """What a test is sent to. `profile`: whose data stand in the mails to `addresses`; None: nobody's.

    `profiles` get it at their own addresses, with their own data; `language` "": in that of whose data it has.
    `variant`: the one of the A/B test.
    """

    addresses: list[str]
    profile: str | None
    profiles: list[str]
    language: str
    parameters: dict[str, Any]
    variant: str | None


async def test(call: Incoming, order: Test) -> tuple[Campaign, int, tuple[Delay, ...]]:
    """Send the campaign of the path, as it is now, to some addresses and profiles.

    How many mails that is, and what is known to hold them.

    Raises `CampaignUnknown`, `CampaignIncomplete`, `ProfileUnknown`, `Invalid`.
    """
    campaign = await service.get(call)
    table = await service.table_of(call, campaign)
    planned = await _test_recipients(call, campaign, table, order)
    only = None if order.variant is None else await variant_of(call, campaign, order.variant)
    document = await document_of(
        call.db, campaign, table, await service.names_in(call, campaign), call.caller.time_zone, call.now,
        languages=tuple(dict.fromkeys(each.language for each in planned)), test=True,
        ab_test=only,
    )  # fmt: skip
    await _try(call, campaign, table, document, only, planned)
    async with call.db.transaction():
        # Nobody deletes it meanwhile.
        await service.get(call, lock=True)
        number = await delivery.start(call.db, campaign.licence_id, campaign.id, document, call.now, call.now)
        sending = Sending(number, campaign.licence_id, campaign.id, "RUNNING", 1, document)
        for recipient in planned:
            await delivery.plan(call.db, sending, recipient, call.now)
        await audit.record(call.db, call, f"campaign/{campaign.id}")
        return campaign, len(planned), await delivery.pending.delays_of_test(call.db, sending, call.now)


async def _try(
    call: Incoming, campaign: Campaign, table: ProfileTable, document: Document, only: ABTestPlan | None,
    planned: list[Recipient],
) -> None:  # fmt: skip
    """Render the mails before they are promised: nobody would learn why they do not come. Raises `Invalid`."""
    # Mails to several addresses with the data of one profile are one mail.
    claimed = {
        (each.profile_id, each.language): Claimed(0, each.profile_id, "", each.language, 1, each.parameters)
        for each in planned
    }
    given = await rendering.contexts(call, document, table, list(claimed.values()))
    parts = {language: part for language, _, part in parts_of(campaign, document.languages, only, test=True)}
    for (profile, language), context in zip(claimed, given, strict=True):
        template = rendering.template_of(document.messages[language], language, document.time_zone)
        outcome = await rendering.render(template, parts[language], context, call.now)
        if isinstance(outcome, rendering.Failure):
            raise Invalid([outcome.fault("an address without a profile" if profile is None else f"the profile {profile}")])


async def _test_recipients(call: Incoming, campaign: Campaign, table: ProfileTable, order: Test) -> list[Recipient]:
    faults = [
        FieldError(f"recipients[{i}]", "attribute.value", f"'{address[:100]}' is no e-mail address")
        for i, address in enumerate(order.addresses)
        if address_of(address) is None
    ]
    for i, address in enumerate(order.addresses):
        if address_of(address) and await recipients.is_suppressed(call, campaign, address):
            faults.append(
                FieldError(f"recipients[{i}]", "attribute.value", f"nothing is sent to {address}: it is suppressed")
            )
    shown, language = None, order.language or campaign.settings.supported_languages[0].lower()
    if order.profile is not None:
        profile = await recipients.profile_of(call, table, order.profile, "profile")
        shown, language = profile.id, order.language or recipients.language_for(campaign, table, profile)
    found = [Recipient(shown, address, language, order.parameters) for address in order.addresses]
    for i, reference in enumerate(order.profiles):
        profile = await recipients.profile_of(call, table, reference, f"profiles[{i}]")
        address, _ = recipients.reached_at(table, profile)
        if not address:
            faults.append(FieldError(f"profiles[{i}]", "attribute.value", f"the profile {profile.id} has no e-mail address"))
        elif await recipients.is_suppressed(call, campaign, address):
            faults.append(FieldError(f"profiles[{i}]", "attribute.value", f"nothing is sent to {address}: it is suppressed"))
        else:
            language = order.language or recipients.language_for(campaign, table, profile)
            found.append(Recipient(profile.id, address, language, order.parameters))
    if faults:
        raise Invalid(faults)
    return found


async def variant_of(call: Incoming, campaign: Campaign, name: str) -> ABTestPlan:
    """The campaign's A/B test with one of its variants alone. Raises `Invalid`."""
    plan = await store.ab_test(call.db, campaign.id)
    found = next((each for each in plan.variants if each.name.lower() == name.strip().lower()), None) if plan else None
    if plan is None or found is None:
        raise invalid("variant", "structure.invalid", f"the campaign has no A/B test with a variant '{name[:100]}'")
    return replace(plan, variants=(found,))
