"""What happens to campaigns by themselves: they begin, end, and are held."""

import logging
from datetime import datetime

from msgspec.structs import replace

from tabellion.features import delivery
from tabellion.features.audiences import audiences_of
from tabellion.features.campaigns import store
from tabellion.features.campaigns.errors import CampaignIncomplete
from tabellion.features.campaigns.fitting import as_aimed, audience_of, zone_of
from tabellion.features.campaigns.model import Campaign, Event, Kind, State, after
from tabellion.features.delivery import Overtaken, Sending
from tabellion.features.tables import profile_tables
from tabellion.platform import audit
from tabellion.platform.database.connection import Database

_log = logging.getLogger(__name__)
_MAX_TOLD = 1000


async def gather(db: Database, sending: Sending, now: datetime) -> bool:
    """Freeze the audience of a mass campaign, which thereby begins; called by a worker in a transaction.

    False: it cannot begin, because its table has not any more what it names; it is held, and somebody has to look at it.

    The campaign is locked in the end only: whoever pauses, cancels or puts it off meanwhile is not to wait for a million
    rows. Raises `Overtaken` then, and all of it is done anew where it is to begin still.
    """
    campaign = await store.by_id(db, sending.campaign_id)
    if campaign is None or campaign.target is None:
        return True
    if campaign.state is State.SCHEDULED and campaign.scheduled_at is not None and campaign.scheduled_at > now:
        # It was put off after the worker had found it due, and is locked too late to wait for that.
        raise Overtaken
    tables = await profile_tables.load(db, campaign.licence_id)
    table = next(table for table in tables if table.id == sending.document.table_id)
    begun = campaign
    if campaign.state is State.SCHEDULED:
        begun = replace(campaign, state=State.IN_PROGRESS, started_at=now)
    # Read once: by what it means and by whose subscription its mails leave, an audience is the same.
    audiences = await audiences_of(db, campaign.licence_id, campaign.target)
    document = as_aimed(campaign, sending, table, audiences)
    try:
        audience = await audience_of(db, campaign, table, zone_of(document), now, document, audiences)
    except CampaignIncomplete as error:
        lacks = "; ".join(f"{each.field}: {each.message}" for each in error.errors)
        told = f"it does not fit the table '{table.name}' any more: {lacks}"
        await _lock(db, campaign, sending)
        _log.warning("the campaign %d '%s' is paused and has sent nothing: %s", campaign.id, campaign.name, told)
        await _hold(db, begun, sending, "does not fit its table", now, told)
        return False
    await delivery.gather(db, sending, table, audience, campaign.target.max_profiles, now)
    await _lock(db, campaign, sending)
    if document is not sending.document:
        await delivery.go_by(db, sending, document, now)
    if begun is not campaign:
        await store.set_state(db, begun, now)
    return True


async def _lock(db: Database, campaign: Campaign, sending: Sending) -> None:
    """Lock a campaign that was read before. Raises `Overtaken` where it or its sending is not as it was then."""
    locked = await store.by_id(db, campaign.id, lock=True)
    found = await delivery.sending_of(db, campaign.id)
    if locked is None or locked.version != campaign.version:
        raise Overtaken
    if found is None or (found.id, found.state) != (sending.id, sending.state):
        raise Overtaken


async def ended(db: Database, sending: Sending, now: datetime) -> None:
    """Everybody's fate is known; called by a worker in a transaction. A cancelled campaign stays that."""
    campaign = await store.by_id(db, sending.campaign_id, lock=True)
    if campaign is not None and (state := after(campaign.kind, campaign.state, Event.HANDLED)) is not None:
        await store.set_state(db, replace(campaign, state=state, ended_at=now), now)


async def hold_begun(db: Database, before: datetime, why: str, now: datetime, told: str) -> list[Campaign]:
    """Hold the mass campaigns that were launched before a moment and go on, or should have begun; in a transaction."""
    held: list[Campaign] = []
    for campaign_id in await store.begun_before(db, before, now):
        campaign = await store.by_id(db, campaign_id, lock=True)
        sending = await delivery.sending_of(db, campaign_id)
        if campaign is None or sending is None:
            continue
        if campaign.state is State.SCHEDULED:
            campaign = replace(campaign, state=State.IN_PROGRESS, started_at=now)
        if await _hold(db, campaign, sending, why, now, told):
            held.append(campaign)
    return held


async def hold(db: Database, campaign_id: int, why: str, now: datetime, told: str) -> bool:
    """Hold a mass campaign that goes on, without anybody having asked; in a transaction. False: it does not go on.

    `why` is for the audit trail, `told` for those who read the campaign.
    """
    campaign = await store.by_id(db, campaign_id, lock=True)
    if campaign is None or campaign.kind is not Kind.MASS:
        return False
    sending = await delivery.sending_of(db, campaign_id)
    return sending is not None and await _hold(db, campaign, sending, why, now, told)


async def _hold(db: Database, campaign: Campaign, sending: Sending, why: str, now: datetime, told: str) -> bool:
    state = after(campaign.kind, campaign.state, Event.PAUSE)
    if state is None:
        return False
    await delivery.pause(db, sending, now)
    await store.set_state(db, replace(campaign, state=state, paused_because=told[:_MAX_TOLD]), now)
    await audit.record_server(db, campaign.licence_id, f"campaign pause: {why}", f"campaign/{campaign.id}", now)
    return True
