"""A look at whom a campaign would go to, version 5."""

from tabellion.features.audiences import ProfileSample, read_sample_size, sample_out
from tabellion.features.audiences.examples import LIMIT, SAMPLE
from tabellion.features.campaigns import aiming, service
from tabellion.features.campaigns.endpoints.contents import MAILS
from tabellion.features.campaigns.endpoints.definition import CAMPAIGN, CATEGORY, MODULE
from tabellion.features.tables import ENTITY
from tabellion.platform.http.call import Answer, Call, Incoming


async def sample(call: Incoming) -> Answer:
    """How many profiles the target means, and some of them."""
    most = read_sample_size(call.query.first("limit"))
    return Answer(200, sample_out(*await aiming.sample(call, await service.get(call), most)))


CALLS = (
    Call(
        id="campaigns.v5.target.sample",
        method="GET",
        path=f"{MAILS}/target/sample",
        category=CATEGORY,
        module=MODULE,
        summary="Read some of the profiles that an e-mail campaign is for",
        description="The same ones each time, spread over the table, before suppression and languages are looked at.",
        handler=sample,
        parameters=(ENTITY, CAMPAIGN, LIMIT),
        statuses={200: "How many profiles are meant at the moment, and some of them."},
        conflicts=("campaign.incomplete",),
        answer=ProfileSample,
        answer_example=SAMPLE,
    ),
)
