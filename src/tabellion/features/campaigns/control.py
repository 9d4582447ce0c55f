"""Use cases of campaigns from the launch on: test, launch, pause, stop; triggers; what became of it."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from tabellion.features import delivery
from tabellion.features.campaigns import senders, service, store
from tabellion.features.campaigns.errors import CampaignIncomplete, CampaignKind
from tabellion.features.campaigns.fitting import audience_of, document_faults, linked_of, sending_faults
from tabellion.features.campaigns.launching import document_of
from tabellion.features.campaigns.model import ABTestPlan, Campaign, Event, Kind, State, after
from tabellion.features.delivery import Recipient, Sending, WantedInteractions, language_of
from tabellion.features.profiles import Profile, count_rows, read_row
from tabellion.features.tables import Database, ProfileTable, is_email, render_moment
from tabellion.features.tables.filters import Condition, parse_reference
from tabellion.kit.problem import FieldError, Invalid, invalid
from tabellion.platform import audit
from tabellion.platform.http.call import Incoming
from tabellion.platform.mail import Attachment, address_of

_MOTHER_LANGUAGE = "MOTHER_LANGUAGE"


class Triggered(NamedTuple):
    """The profile that a mail was triggered for, and the interaction."""

    profile_id: int
    interaction_id: int


async def launch(call: Incoming, at: datetime | None, override: str | None) -> tuple[Campaign, str | None]:
    """Launch the campaign of the path, now or (mass only) at a moment; a scheduled one at another moment only.

    `override`: why it is launched although its sender fails the check for campaigns to many. With the campaign comes
    what could not be looked at. Raises `CampaignUnknown`, `CampaignState`, `CampaignIncomplete`, `SenderRefused`, `Invalid`.
    """
    # Others are asked for it, and nothing is locked meanwhile.
    looked = await senders.look_before_launch(call)

    async def work(before: Campaign) -> Campaign:
        if at is not None and before.kind is not Kind.MASS:
            raise invalid(
                "scheduledAt", "structure.invalid", "only mass campaigns are scheduled; the others wait for triggers"
            )
        if at is None and before.state is State.SCHEDULED and before.scheduled_at is not None:
            # A call that is repeated, or a second pair of hands, is not to send years too early.
            raise service.wrong_state(
                before,
                f"be launched without a moment: it is to begin at {render_moment(before.scheduled_at)}. "
                "Send another moment as 'scheduledAt' (one that has passed: it begins now), or cancel it",
            )
        later = at is not None and at > call.now
        state = _after(before, Event.SCHEDULE if later or before.state is State.SCHEDULED else Event.LAUNCH)
        begins = at if later and at is not None else call.now
        document = await _document(call, before)
        if before.version != looked.version:
            raise service.wrong_state(before, "be launched: it was changed at the same moment. Launch it again")
        if looked.refused and override is None:
            raise senders.refusal(looked.refused)
        sending = await delivery.sending_of(call.db, before.id)
        if sending is None:
            await delivery.start(call.db, before.licence_id, before.id, document, begins, call.now)
        else:
            await delivery.reschedule(call.db, sending, begins)
        scheduled = begins if state is State.SCHEDULED else None
        started = before.started_at if state is State.SCHEDULED else call.now
        return service.replaced(before, state=state, scheduled_at=scheduled, started_at=started)

    note = None
    if looked.refused:
        note = f"sender check overridden ({', '.join(finding.code for finding in looked.refused)}): {override}"
    return await _moved(call, work, note), looked.notice


async def pause(call: Incoming) -> Campaign:
    """Hold the campaign of the path. Raises `CampaignUnknown`, `CampaignState`."""

    async def work(before: Campaign) -> Campaign:
        state = _after(before, Event.PAUSE)
        await delivery.pause(call.db, await _sending(call.db, before), call.now)
        return service.replaced(before, state=state)

    return await _moved(call, work)


async def resume(call: Incoming) -> Campaign:
    """Let the campaign of the path go on where it stopped, triggered ones with the contents as they are now.

    Raises `CampaignUnknown`, `CampaignState`, `CampaignIncomplete`.
    """

    async def work(before: Campaign) -> Campaign:
        state = _after(before, Event.RESUME)
        sending = await _sending(call.db, before)
        document = sending.document
        if before.kind is not Kind.MASS:
            document = await _document(call, before, document.mark)
        else:
            await _check_fits(call, before, sending)
        await delivery.resume(call.db, sending, document, call.now)
        return service.replaced(before, state=state)

    return await _moved(call, work)


async def cancel(call: Incoming) -> Campaign:
    """Stop the campaign of the path for good. Raises `CampaignUnknown`, `CampaignState`."""

    async def work(before: Campaign) -> Campaign:
        state = _after(before, Event.CANCEL)
        await delivery.stop(call.db, await _sending(call.db, before), call.now)
        return service.replaced(before, state=state, ended_at=call.now)

    return await _moved(call, work)


class Test(NamedTuple):
    """What a test is sent to. `profile`: whose data stand in the mails to `addresses`; None: nobody's.

    `profiles` get it at their own addresses, with their own data; `language` "": each in their own. `variant`: the one of
    the A/B test.
    """

    addresses: list[str]
    profile: str | None
    profiles: list[str]
    language: str
    parameters: dict[str, Any]
    variant: str | None


async def test(call: Incoming, order: Test) -> tuple[Campaign, int]:
    """Send the campaign of the path, as it is now, to some addresses and profiles; how many mails that is.

    Raises `CampaignUnknown`, `CampaignIncomplete`, `ProfileUnknown`, `Invalid`.
    """
    campaign = await service.get(call)
    table = await service.table_of(call, campaign)
    recipients = await _test_recipients(call, campaign, table, order)
    document = await document_of(
        call.db, campaign, table, await service.names_in(call, campaign), call.caller.time_zone, call.now,
        languages=tuple(dict.fromkeys(each.language for each in recipients)), test=True,
        ab_test=None if order.variant is None else await _only(call, campaign, order.variant),
    )  # fmt: skip
    async with call.db.transaction():
        number = await delivery.start(call.db, campaign.licence_id, campaign.id, document, call.now, call.now)
        sending = Sending(number, campaign.licence_id, campaign.id, "RUNNING", 1, document)
        for recipient in recipients:
            await delivery.plan(call.db, sending, recipient, call.now)
        await audit.record(call.db, call, f"campaign/{campaign.id}")
    return campaign, len(recipients)


async def _test_recipients(call: Incoming, campaign: Campaign, table: ProfileTable, order: Test) -> list[Recipient]:
    known = tuple(language.lower() for language in campaign.settings.supported_languages)
    faults = [
        FieldError(f"recipients[{i}]", "attribute.value", f"'{address[:100]}' is no e-mail address")
        for i, address in enumerate(order.addresses)
        if address_of(address) is None
    ]
    shown = None if order.profile is None else (await _profile(call, table, order.profile)).id
    language = order.language or known[0]
    recipients = [Recipient(shown, address, language, order.parameters) for address in order.addresses]
    for i, reference in enumerate(order.profiles):
        profile = await _profile(call, table, reference)
        address, recorded = _reached_at(table, profile)
        if not address:
            faults.append(FieldError(f"profiles[{i}]", "attribute.value", f"the profile {profile.id} has no e-mail address"))
        elif await _is_suppressed(call, campaign, address):
            faults.append(FieldError(f"profiles[{i}]", "attribute.value", f"nothing is sent to {address}: it is suppressed"))
        else:
            language = order.language or language_of(recorded, known) or known[0]
            recipients.append(Recipient(profile.id, address, language, order.parameters))
    if faults:
        raise Invalid(faults)
    return recipients


async def triggered(call: Incoming, *, transactional: bool = False) -> tuple[Campaign, ProfileTable, Sending]:
    """The campaign of the path, ready for triggers. Raises `CampaignUnknown`, `CampaignKind`, `CampaignState`."""
    campaign = await service.get(call)
    if campaign.kind is Kind.MASS or (transactional and campaign.kind is not Kind.TRANSACTIONAL):
        wanted = "TRANSACTIONAL" if transactional else "CONTINUOUS or TRANSACTIONAL"
        raise CampaignKind(f"the campaign '{campaign.name}' is {campaign.kind.value}; this call is for {wanted} ones")
    if campaign.state is not State.ACTIVE:
        raise service.wrong_state(campaign, "be triggered: launch it, or let it go on")
    sending = await _sending(call.db, campaign)
    call.afterwards.append(partial(delivery.announce, sending_id=sending.id))
    return campaign, await service.table_of(call, campaign), sending


async def trigger(
    call: Incoming, ready: tuple[Campaign, ProfileTable, Sending], profile: Profile, parameters: dict[str, Any],
    attachments: tuple[Attachment, ...] = (),
) -> Triggered:  # fmt: skip
    """Plan a mail to a profile. One that must not get it is told apart by its interaction's outcome."""
    campaign, table, sending = ready
    address, recorded = _reached_at(table, profile)
    languages = sending.document.languages
    excluded = None
    if not address:
        excluded = "noAddress"
    elif await _is_suppressed(call, campaign, address):
        excluded = "suppressed"
    elif not await _is_meant(call, campaign, table, profile.id):
        excluded = "unsubscribed"
    language = language_of(recorded, languages) or languages[0]
    recipient = Recipient(profile.id, address, language, parameters, excluded)
    number = await delivery.plan(call.db, sending, recipient, call.now, attachments)
    await audit.record(call.db, call, f"interaction/{number}")
    return Triggered(profile.id, number)


async def find_recipient(call: Incoming, table: ProfileTable, reference: str) -> Profile:
    """A profile by id or `attribute=value`. Raises `ProfileUnknown`, `Invalid`."""
    return await _profile(call, table, reference)


async def report(call: Incoming) -> tuple[Campaign, dict[tuple[str, str | None], int], dict[str, tuple[int, int]]]:
    """The campaign of the path, its recipients by state and reason, and what came of mails, by type."""
    campaign = await service.get(call)
    recipients, events = await delivery.tally(call.db, campaign.licence_id, campaign.id)
    return campaign, recipients, events


async def interactions(call: Incoming, wanted: WantedInteractions) -> Any:
    """The mails of a profile, newest first, with what came of each."""
    found = await delivery.interactions(call.db, call.caller.licence_id, wanted)
    events = await delivery.events_of(call.db, call.caller.licence_id, [each.id for each in found])
    return found, events


async def _is_suppressed(call: Incoming, campaign: Campaign, address: str) -> bool:
    transactional = campaign.kind is Kind.TRANSACTIONAL
    return await delivery.is_suppressed(call.db, campaign.licence_id, address, transactional=transactional)


async def _is_meant(call: Incoming, campaign: Campaign, table: ProfileTable, profile_id: int) -> bool:
    """Whether a continuous campaign's target, if it has one, means the profile; transactional mails go to everybody.

    Raises `CampaignIncomplete` where the table has not what it names.
    """
    if campaign.target is None or campaign.kind is Kind.TRANSACTIONAL:
        return True
    audience = await audience_of(call.db, campaign, table, call.caller.time_zone, call.now)
    own = Condition(f"(t.id = %s) AND ({audience.sql})", (profile_id, *audience.params))
    return await count_rows(call.db, table, own) > 0


async def _profile(call: Incoming, table: ProfileTable, reference: str) -> Profile:
    found = parse_reference(table, reference, call.caller.time_zone)
    profile = await read_row(call.db, table, found.attribute, found.value)
    if profile is None:
        raise service.profile_unknown(table, reference)
    return profile


def _reached_at(table: ProfileTable, profile: Profile) -> tuple[str | None, str | None]:
    """The e-mail address and the mother language of a profile, as far as they are known."""
    values = dict(zip((a.number for a in table.attributes), profile.values, strict=True))
    address = next((values[a.number] for a in table.attributes if is_email(a)), None)
    return address, next((values[a.number] for a in table.attributes if a.type == _MOTHER_LANGUAGE), None)


async def _only(call: Incoming, campaign: Campaign, name: str) -> ABTestPlan:
    """The campaign's A/B test with one of its variants alone."""
    plan = await store.ab_test(call.db, campaign.id)
    found = next((each for each in plan.variants if each.name.lower() == name.lower()), None) if plan else None
    if plan is None or found is None:
        raise invalid("variant", "structure.invalid", f"the campaign has no A/B test with a variant '{name[:100]}'")
    return service.replaced(plan, variants=(found,))


async def _check_fits(call: Incoming, campaign: Campaign, sending: Sending) -> None:
    """That what a mass campaign was launched with can go on. Raises `CampaignIncomplete`."""
    table = await service.kept_table_of(call, campaign)
    linked = await linked_of(call.db, campaign.licence_id, sending.document, keep=True)
    if faults := await sending_faults(call.db, campaign, sending, table, linked, call.now):
        raise CampaignIncomplete(faults)


async def _document(call: Incoming, campaign: Campaign, mark: str | None = None) -> delivery.Document:
    table = await service.kept_table_of(call, campaign)
    names = await service.names_in(call, campaign, table)
    plan = await store.ab_test(call.db, campaign.id) if campaign.kind is Kind.MASS else None
    document = await document_of(call.db, campaign, table, names, call.caller.time_zone, call.now, mark=mark, ab_test=plan)
    # What contents name was there when the call began; now it stays.
    if faults := document_faults(document, table, await linked_of(call.db, campaign.licence_id, document, keep=True)):
        raise CampaignIncomplete(faults)
    return document


async def _sending(db: Database, campaign: Campaign) -> Sending:
    found = await delivery.sending_of(db, campaign.id)
    if found is None:
        raise service.wrong_state(campaign, "be held: it was never launched")
    return found


async def _moved(call: Incoming, work: Callable[[Campaign], Awaitable[Campaign]], note: str | None = None) -> Campaign:
    """Do `work` with the campaign of the path locked, and keep its new state; `note` goes to the audit trail."""
    async with call.db.transaction():
        moved = await work(await service.get(call, lock=True))
        await store.set_state(call.db, moved, call.now)
        await audit.record(call.db, call, f"campaign/{moved.id}", note)
    return moved


def _after(campaign: Campaign, event: Event) -> State:
    state = after(campaign.kind, campaign.state, event)
    if state is None:
        raise service.wrong_state(campaign, _WORDS[event])
    return state


_WORDS = {
    Event.LAUNCH: "be launched",
    Event.SCHEDULE: "be scheduled",
    Event.PAUSE: "be paused",
    Event.RESUME: "be resumed",
    Event.CANCEL: "be cancelled",
}
