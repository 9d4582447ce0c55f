"""Copies of e-mail campaigns (our own call, v5)."""

from typing import Any

import msgspec

from tabellion.features.campaigns import copying, service
from tabellion.features.campaigns.endpoints.definition import OUT
from tabellion.features.campaigns.endpoints.places import CAMPAIGN, CATEGORY, MODULE, ONE_V5
from tabellion.features.campaigns.wire import copying as wire
from tabellion.features.campaigns.wire.definition import mail_out
from tabellion.features.tables import ENTITY
from tabellion.platform.http.call import Answer, Call, Incoming


async def copy(call: Incoming) -> Answer:
    """Copy a campaign."""
    name, display_name = wire.read(call.body or wire.CopyIn())
    made, notice = await copying.copy(call, name, display_name)
    body = wire.CopyOut(**msgspec.structs.asdict(mail_out(made)), notice=notice)
    return Answer(201, body, etag=service.etag(made), location=f"/v4/entity/{call.path['e']}/mail/{made.id}")


_OUT: dict[str, Any] = OUT | {
    "campaignId": 4712, "name": "SpringOffer (2)", "displayName": "Spring offer (2)", "notice": None,
}  # fmt: skip

CALLS = (
    Call(
        id="campaigns.v5.copy",
        method="POST",
        path=f"{ONE_V5}/copies",
        category=CATEGORY,
        module=MODULE,
        summary="Copy an e-mail campaign",
        description=(
            "A new campaign in definition that says what this one says, in whatever state it is: settings, contents with "
            "their images, parameters, target, A/B test, delivery settings. Not copied are its moments, results and tests. "
            "All of the body may be left out. `goalTracking` that was the name of the campaign is that of the copy."
        ),
        handler=copy,
        parameters=(ENTITY, CAMPAIGN),
        statuses={201: "The copy is in definition."},
        conflicts=("campaign.nameUsed",),
        body=wire.CopyIn,
        body_optional=True,
        body_example={"name": "SpringOffer (2)", "displayName": "Spring offer (2)"},
        answer=wire.CopyOut,
        answer_example=_OUT,
        etag=True,
        tagged=True,
    ),
)
