"""Use cases of targets: whom a campaign is for, how many these are, and some of them."""

from msgspec.structs import replace

from tabellion.features.audiences import Sample, Target, audiences_of, condition_of, count_target, note_use, sample_target
from tabellion.features.campaigns import service
from tabellion.features.campaigns.errors import CampaignIncomplete
from tabellion.features.campaigns.model import Campaign
from tabellion.features.tables import ProfileTable
from tabellion.kit.problem import FieldError, Invalid, gathered
from tabellion.platform.http.call import Incoming


async def set_target(call: Incoming, target: Target, faults: list[FieldError]) -> Campaign:
    """Aim the campaign of the path. `faults`: what is known to be wrong.

    Raises `CampaignUnknown`, `CampaignState`, `Invalid`.
    """

    async def work(before: Campaign) -> Campaign:
        audiences = await audiences_of(call.db, before.licence_id, target, keep=True)
        table = await service.table_of(call, before)
        with gathered(faults):
            condition_of(table, target, call.caller.time_zone, call.now, audiences)
        if faults:
            raise Invalid(faults)
        await note_use(call.db, before.id, target)
        return replace(before, target=target)

    return await service.revise(call, work)


async def estimate(call: Incoming, campaign: Campaign) -> int | None:
    """How many profiles the target means now; None: there is no target yet, or no table any more."""
    if campaign.target is None or campaign.table_id is None:
        return None
    table = await service.table_of(call, campaign)
    return await count_target(call.db, table, campaign.target, call.caller.time_zone, call.now)


async def sample(call: Incoming, campaign: Campaign, most: int) -> tuple[ProfileTable, Sample]:
    """How many profiles the target means now, and some of them. Raises `CampaignIncomplete` without a target."""
    if campaign.target is None:
        raise CampaignIncomplete([FieldError("target", "member.mandatory", "there is no target yet")])
    table = await service.table_of(call, campaign)
    return table, await sample_target(call.db, table, campaign.target, call.caller.time_zone, call.now, most)
