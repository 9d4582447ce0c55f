"""Triggers of continuous and transactional campaigns: one mail to one profile."""

from functools import partial
from typing import Any, NamedTuple

from msgspec.structs import replace

from tabellion.features import delivery
from tabellion.features.audiences import audiences_of
from tabellion.features.campaigns import recipients, service
from tabellion.features.campaigns.control import sending_of
from tabellion.features.campaigns.errors import CampaignKind, CampaignState
from tabellion.features.campaigns.fitting import as_aimed, audience_of
from tabellion.features.campaigns.model import Campaign, Kind, State
from tabellion.features.delivery import Recipient, Sending, language_of
from tabellion.features.profiles import Profile, count_rows
from tabellion.features.tables import ProfileTable
from tabellion.features.tables.filters import Condition
from tabellion.platform import audit
from tabellion.platform.http.call import Incoming
from tabellion.platform.mail import Attachment


class Triggered(NamedTuple):
    """The profile that a mail was triggered for, and the interaction."""

    profile_id: int
    interaction_id: int


# What a trigger needs to know.
Ready = tuple[Campaign, ProfileTable, Sending]
_ADVICE = {
    State.IN_DEFINITION: ": launch it first",
    State.PAUSED: ": it takes triggers again after 'resume'",
    State.STOPPED: " any more: it was cancelled, and another campaign has to take its place",
}


async def triggered(call: Incoming, *, transactional: bool = False) -> Ready:
    """The campaign of the path, ready for triggers. Raises `CampaignUnknown`, `CampaignKind`, `CampaignState`."""
    campaign = await service.get(call)
    if campaign.kind is Kind.MASS or (transactional and campaign.kind is not Kind.TRANSACTIONAL):
        wanted = "TRANSACTIONAL" if transactional else "CONTINUOUS or TRANSACTIONAL"
        raise CampaignKind(f"the campaign '{campaign.name}' is {campaign.kind.value}; this call is for {wanted} ones")
    if campaign.state is not State.ACTIVE:
        raise _not_active(campaign)
    table = await service.table_of(call, campaign)
    sending = await _following(call, campaign, table, await sending_of(call.db, campaign))
    call.afterwards.append(partial(delivery.announce, sending_id=sending.id))
    return campaign, table, sending


async def _following(call: Incoming, campaign: Campaign, table: ProfileTable, sending: Sending) -> Sending:
    """A sending by the subscription that its audience has now: whoever ends another one by a mail would get the next."""
    if campaign.kind is Kind.TRANSACTIONAL or campaign.target is None or campaign.target.audience is None:
        return sending
    document = as_aimed(campaign, sending, table, await audiences_of(call.db, campaign.licence_id, campaign.target))
    return sending if document is sending.document else await delivery.go_by(call.db, sending, document, call.now)


def _not_active(campaign: Campaign) -> CampaignState:
    return service.wrong_state(campaign, f"be triggered{_ADVICE.get(campaign.state, '')}")


async def trigger(
    call: Incoming, ready: Ready, profile: Profile, parameters: dict[str, Any], attachments: tuple[Attachment, ...] = ()
) -> Triggered:
    """Plan a mail to a profile, last in its transaction. Raises as `one_of_many` does."""
    done = await one_of_many(call, ready, profile, parameters, attachments)
    await look_soon(call, ready)
    return done


async def look_soon(call: Incoming, ready: Ready) -> None:
    """Have workers look for what was triggered, last in its transaction: other triggers of the campaign wait for its end."""
    await delivery.look_soon(call.db, ready[2], call.now)


async def one_of_many(
    call: Incoming, ready: Ready, profile: Profile, parameters: dict[str, Any], attachments: tuple[Attachment, ...] = ()
) -> Triggered:
    """Plan a mail to a profile; `look_soon` has to follow. One that must not get it is told apart by its outcome.

    Raises `CampaignState` when the campaign was cancelled after it was read.
    """
    campaign, table, sending = ready
    address, recorded = recipients.reached_at(table, profile)
    languages = sending.document.languages
    excluded = None
    if not address:
        excluded = "noAddress"
    elif await recipients.is_suppressed(call, campaign, address):
        excluded = "suppressed"
    elif not await _is_meant(call, campaign, table, profile.id):
        excluded = "unsubscribed"
    language = language_of(recorded, languages) or languages[0]
    recipient = Recipient(profile.id, address, language, parameters, excluded)
    try:
        number = await delivery.plan(call.db, sending, recipient, call.now, attachments)
    except delivery.Stopped:
        raise _not_active(replace(campaign, state=State.STOPPED)) from None
    await audit.record(call.db, call, f"interaction/{number}")
    return Triggered(profile.id, number)


async def _is_meant(call: Incoming, campaign: Campaign, table: ProfileTable, profile_id: int) -> bool:
    """Whether a continuous campaign's target, if it has one, means the profile; transactional mails go to everybody.

    Raises `CampaignIncomplete` where the table has not what it names.
    """
    if campaign.target is None or campaign.kind is Kind.TRANSACTIONAL:
        return True
    audience = await audience_of(call.db, campaign, table, call.caller.time_zone, call.now)
    own = Condition(f"(t.id = %s) AND ({audience.sql})", (profile_id, *audience.params))
    return await count_rows(call.db, table, own) > 0
