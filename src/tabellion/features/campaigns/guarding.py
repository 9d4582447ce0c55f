"""What launched campaigns need is not taken out of their table."""

from collections import Counter

from tabellion.features import delivery
from tabellion.features.campaigns import store
from tabellion.features.campaigns.fitting import sending_faults
from tabellion.features.campaigns.model import Campaign, Kind
from tabellion.features.tables import ProfileTable, TableInUse
from tabellion.kit.problem import FieldError
from tabellion.platform.http.call import Incoming


async def check_change(call: Incoming, before: ProfileTable, after: ProfileTable) -> None:
    """That a change of a table leaves launched campaigns what they need. Raises `TableInUse` with all who lose something.

    A campaign that has lost something already keeps nobody from further changes.
    """
    known = {entity.id for entity in call.caller.entities}
    faults: list[FieldError] = []
    for campaign in await store.on_their_way(call.db, after.licence_id, after.id):
        sending = await delivery.sending_of(call.db, campaign.id)
        if sending is None:
            continue
        lost = await sending_faults(call.db, campaign, sending, after, call.now)
        if not lost:
            continue
        already = await sending_faults(call.db, campaign, sending, before, call.now)
        missed = Counter((each.field, each.code) for each in already)
        if Counter((each.field, each.code) for each in lost) <= missed:
            continue
        name = f"the campaign '{campaign.name}'" if campaign.entity_id in known else "a campaign of another entity"
        message = f"{name} is {campaign.state.value} and needs what is taken away: {lost[0].message}; {_way_out(campaign)}"
        faults.append(FieldError("operations", TableInUse.code, message))
    if faults:
        raise TableInUse(faults[0].message, errors=faults)


def _way_out(campaign: Campaign) -> str:
    if campaign.kind is Kind.MASS:
        return "cancel it, or wait until it has ended"
    return "stop it; or, where contents need it, pause it, change them and let it go on"
