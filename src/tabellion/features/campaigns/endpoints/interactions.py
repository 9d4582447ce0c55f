"""What profiles got and did, version 4."""

from typing import Any

from tabellion.features.campaigns import control, recipients, service
from tabellion.features.campaigns.endpoints.places import CAMPAIGN, CATEGORY, MODULE, ONE_V4
from tabellion.features.campaigns.wire import interactions as wire
from tabellion.features.delivery import WantedInteractions
from tabellion.features.profiles import PROFILE
from tabellion.features.tables import ENTITY, TABLE, ProfileTable, find_table
from tabellion.features.tables.filters import query_moment, row_limit, row_parameter
from tabellion.kit.digits import number_of
from tabellion.kit.problem import invalid
from tabellion.platform.http.call import Answer, Call, Incoming, Parameter


async def interactions_of_campaign(call: Incoming) -> Answer:
    """What a profile got of one campaign."""
    campaign = await service.get(call)
    table = await service.table_of(call, campaign)
    return await _interactions(call, table, campaign.id)


async def interactions(call: Incoming) -> Answer:
    """What a profile received and did."""
    table = await find_table(call, call.path["e"], call.path["t"])
    reference = call.query.first("campaign") or None
    if reference is not None and not reference.isprintable():
        raise invalid("campaign", "parameter.invalid", "'campaign' expects the id or the name of a campaign")
    return await _interactions(call, table, None if reference is None else number_of(reference), reference)


async def _interactions(
    call: Incoming, table: ProfileTable, campaign_id: int | None, campaign_name: str | None = None
) -> Answer:
    limit = row_limit(call.query.first("number"), "number")
    profile = await recipients.profile_of(call, table, call.path["p"])
    channel = (call.query.first("channel") or "EMAIL").upper()
    if channel not in {"EMAIL", "SMS", "PUSH"}:
        raise invalid("channel", "parameter.invalid", "'channel' expects EMAIL, SMS or PUSH")
    begin, end = (query_moment(call.query.first(name), name, call.caller.time_zone) for name in ("from", "to"))
    if channel != "EMAIL":
        return Answer(200, wire.InteractionsOut([]))
    wanted = WantedInteractions(table.id, profile.id, campaign_id, begin, end, limit, campaign_name)
    return Answer(200, wire.interactions_out(*await control.interactions(call, wanted)))


_INTERACTIONS: dict[str, Any] = {
    "interactions": [
        {
            "interactionId": 987,
            "channel": "EMAIL",
            "campaignId": 4711,
            "campaignName": "SpringOffer",
            "sentAt": "2027-03-02T09:00:00.000Z",
            "outcome": "DELIVERED",
            "events": [
                {"type": "OPEN", "moment": "2027-03-02T10:11:00.000Z"},
                {"type": "CLICK", "moment": "2027-03-02T10:12:00.000Z", "url": "https://www.example.com/spring"},
            ],
        }
    ]
}
_INTERACTION_FILTERS = (
    Parameter("channel", "EMAIL, SMS or PUSH", "EMAIL"),
    Parameter("from", "sent not before this moment", "2027-03-01"),
    Parameter("to", "sent before this moment", "2027-04-01"),
    row_parameter("number", "rows to answer"),
)

CALLS = (
    Call(
        id="campaigns.v4.interactions",
        method="GET",
        path=f"{ONE_V4}/profile/{{p}}/interaction",
        summary="Read what a profile got of a campaign",
        handler=interactions_of_campaign,
        parameters=(ENTITY, CAMPAIGN, PROFILE, *_INTERACTION_FILTERS),
        statuses={200: "The mails, newest first."},
        answer=wire.InteractionsOut,
        answer_root="interactions",
        answer_example=_INTERACTIONS,
        category=CATEGORY,
        module=MODULE,
    ),
    Call(
        id="profiles.v4.interactions",
        method="GET",
        path="/v4/entity/{e}/table/{t}/profile/{p}/interaction",
        category="profiles",
        module="profiles",
        summary="Read what a profile received and did",
        handler=interactions,
        parameters=(
            ENTITY,
            TABLE,
            PROFILE,
            Parameter("campaign", "of this campaign only: its id or name", "4711"),
            *_INTERACTION_FILTERS,
        ),
        statuses={200: "The mails, newest first."},
        answer=wire.InteractionsOut,
        answer_root="interactions",
        answer_example=_INTERACTIONS,
    ),
)
