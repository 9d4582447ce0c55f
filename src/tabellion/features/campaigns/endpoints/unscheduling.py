"""Back from SCHEDULED into definition (our own call, v5)."""

from tabellion.features.campaigns import control
from tabellion.features.campaigns.endpoints.places import CAMPAIGN, CATEGORY, MODULE, ONE_V5
from tabellion.features.campaigns.wire import control as wire
from tabellion.features.tables import ENTITY
from tabellion.platform.http.call import Answer, Call, Incoming


async def unschedule(call: Incoming) -> Answer:
    """Take a scheduled campaign back."""
    campaign = await control.unschedule(call)
    return Answer(200, wire.StateOut(campaign.id, campaign.state.value))


CALLS = (
    Call(
        id="campaigns.v5.unschedule",
        method="POST",
        path=f"{ONE_V5}/unschedule",
        category=CATEGORY,
        module=MODULE,
        summary="Take a scheduled campaign back into definition",
        description=(
            "It does not begin at its moment any more, can be changed, deleted, and launched again. A campaign that has "
            "begun is refused: either it begins, or it is taken back. Launched with another moment, it is moved."
        ),
        handler=unschedule,
        parameters=(ENTITY, CAMPAIGN),
        statuses={200: "It is in definition."},
        conflicts=("campaign.state",),
        answer=wire.StateOut,
        answer_example={"campaignId": 4711, "state": "IN_DEFINITION"},
    ),
)
