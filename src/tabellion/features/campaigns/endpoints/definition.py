"""The calls by which campaigns are defined, version 4."""

from typing import Any

from tabellion.features.campaigns import service
from tabellion.features.campaigns.endpoints.places import CAMPAIGN, CATEGORY, ID, MAILS, MODULE, ONE_V4, WRITE, written
from tabellion.features.campaigns.wire import definition as wire
from tabellion.features.licences import entity_of
from tabellion.features.tables import ENTITY
from tabellion.features.tables.filters import row_limit, row_parameter
from tabellion.platform.http.call import Answer, Call, Incoming, Parameter


async def create(call: Incoming) -> Answer:
    """Define a campaign."""
    number = await service.create(call, *wire.read_new(call.body, entity_of(call).name, call.now))
    return Answer(201, wire.CampaignId(number), location=f"/v4/entity/{call.path['e']}/mail/{number}")


async def search(call: Incoming) -> Answer:
    """List campaigns."""
    query = call.query
    limit = row_limit(query.first("number"), "number")
    wanted = wire.read_search(
        query.first("name"), query.first("type"), query.all("dateFilter"), limit, call.caller.time_zone
    )
    return Answer(200, wire.MailsOut([wire.mail_brief(found) for found in await service.search(call, wanted)]))


async def get(call: Incoming) -> Answer:
    """Read a campaign."""
    found = await service.get(call)
    return Answer(200, wire.mail_out(found), etag=service.etag(found))


async def change(call: Incoming) -> Answer:
    """Change the settings of a campaign."""
    entity = entity_of(call).name
    return written(await service.change(call, lambda before: wire.read_changed(before, call.body, entity)))


async def delete(call: Incoming) -> Answer:
    """Delete a campaign."""
    await service.delete(call)
    return Answer(204)


_IN: dict[str, Any] = {
    "name": "SpringOffer",
    "displayName": "Spring offer",
    "from": "Harbour Hotels",
    "replyTo": "reply@example.com",
    "entityOfTarget": "hotels",
    "targetTable": "Guests",
    "supportedLanguages": ["NL", "FR"],
    "encoding": "utf-8",
    "contentType": "HTML",
    "sendingMode": "MASS",
    "goalTracking": None,
}
OUT: dict[str, Any] = {
    "campaignId": 4711,
    **_IN,
    "state": "IN_DEFINITION",
    "scheduledAt": None,
    "startedAt": None,
    "endedAt": None,
    "pausedBecause": None,
    "creationMoment": "2027-03-01T08:15:00.000Z",
    "updateMoment": "2027-03-01T08:15:00.000Z",
}

CALLS = (
    Call(
        id="campaigns.v4.create",
        method="POST",
        path=MAILS,
        category=CATEGORY,
        module=MODULE,
        summary="Define an e-mail campaign",
        description="Nothing is sent by it. `name` is technical and stays; the table needs an e-mail attribute.",
        handler=create,
        parameters=(ENTITY,),
        statuses={201: "The campaign is in definition."},
        conflicts=("campaign.nameUsed",),
        body=wire.MailIn,
        body_root="mail",
        body_example=_IN,
        answer=wire.CampaignId,
        answer_root="mail",
        answer_example=ID,
    ),
    Call(
        id="campaigns.v4.list",
        method="GET",
        path=MAILS,
        category=CATEGORY,
        module=MODULE,
        summary="List e-mail campaigns",
        handler=search,
        parameters=(
            ENTITY,
            Parameter("name", "this name", "SpringOffer"),
            Parameter("type", "MASS_SENDING, CONTINUOUS (also transactional ones) or TRANSACTIONAL", "MASS_SENDING"),
            Parameter(
                "dateFilter",
                "creationMoment, updateMoment or startedAt, a comparison, a moment; repeated: all must hold",
                "creationMoment>=2027-03-01",
                repeatable=True,
            ),
            row_parameter("number", "campaigns"),
        ),
        statuses={200: "The campaigns, by id."},
        answer=wire.MailsOut,
        answer_root="mailDocuments",
        answer_example={
            "mailDocuments": [
                {
                    "campaignId": 4711,
                    "name": "SpringOffer",
                    "displayName": "Spring offer",
                    "type": "MASS_SENDING",
                    "targetTable": "Guests",
                    "state": "IN_DEFINITION",
                    "creationMoment": "2027-03-01T08:15:00.000Z",
                }
            ]
        },
    ),
    Call(
        id="campaigns.v4.get",
        method="GET",
        path=ONE_V4,
        category=CATEGORY,
        module=MODULE,
        summary="Read an e-mail campaign",
        handler=get,
        parameters=(ENTITY, CAMPAIGN),
        statuses={200: "The campaign."},
        answer=wire.MailOut,
        answer_root="mail",
        answer_example=OUT,
        etag=True,
    ),
    Call(
        id="campaigns.v4.change",
        method="PUT",
        path=ONE_V4,
        summary="Change the settings of an e-mail campaign",
        description="Only what is sent changes; only in definition.",
        handler=change,
        parameters=(ENTITY, CAMPAIGN),
        body=wire.MailChange,
        body_root="mail",
        body_example={"displayName": "Spring is here", "supportedLanguages": ["NL"]},
        **WRITE,
    ),
    Call(
        id="campaigns.v4.delete",
        method="DELETE",
        path=ONE_V4,
        category=CATEGORY,
        module=MODULE,
        summary="Delete an e-mail campaign in definition",
        handler=delete,
        parameters=(ENTITY, CAMPAIGN),
        statuses={204: "The campaign is deleted."},
        conflicts=("campaign.state",),
        etag=True,
    ),
)
