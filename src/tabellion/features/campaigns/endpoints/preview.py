"""The preview of a mail, version 5."""

from typing import Any

from tabellion.features.campaigns import languages, previewing, service
from tabellion.features.campaigns.endpoints.places import CAMPAIGN, CATEGORY, MODULE, ONE_V5
from tabellion.features.campaigns.wire import preview as wire
from tabellion.features.campaigns.wire.triggering import read_parameters, unknown_parameters
from tabellion.features.tables import ENTITY
from tabellion.platform.http.call import Answer, Call, Incoming


async def preview(call: Incoming) -> Answer:
    """Render the mail for a profile, without sending it."""
    body: wire.PreviewIn = call.body or wire.PreviewIn()
    campaign = await service.get(call)
    language = languages.known_language(campaign, body.language or "")
    # What is missing prints nothing: it is a preview.
    announced = campaign.content.personalisations
    call.ignored = [*call.ignored, *unknown_parameters(body.parameters, announced)]
    parameters = read_parameters(body.parameters, announced, [])
    made = await previewing.preview(call, campaign, language, body.profile, parameters, body.variant)
    return Answer(
        200,
        wire.PreviewOut(
            campaign_id=campaign.id,
            language=languages.spelt(campaign, made.language),
            sender=made.sender,
            reply_to=made.reply_to,
            subject=made.subject,
            preheader=made.preheader,
            html=made.html,
            text=made.text,
            text_is_own=made.text_is_own,
            bytes=len(made.html.encode()),
            links=[wire.PreviewLink(*link) for link in made.links],
        ),
    )


_OUT: dict[str, Any] = {
    "campaignId": 4711,
    "language": "NL",
    "from": "Harbour Hotels <news@example.com>",
    "replyTo": "reply@example.com",
    "subject": "Spring is here, Ann",
    "preheader": "Three nights for the price of two",
    "html": '<p>Dear Ann</p><p><a href="https://www.example.com/t/u/preview">Unsubscribe</a></p>',
    "text": "Dear Ann\n\nUnsubscribe [https://www.example.com/t/u/preview]\n",
    "textIsOwn": False,
    "bytes": 78,
    "links": [{"url": "https://www.example.com/t/u/preview", "text": "Unsubscribe", "tracked": False}],
}

CALLS = (
    Call(
        id="campaigns.v5.preview",
        method="POST",
        path=f"{ONE_V5}/preview",
        category=CATEGORY,
        module=MODULE,
        summary="Render a mail for a profile, without sending it",
        description=(
            "As the mail would be rendered now, in any state of the campaign; nothing is kept or counted. Links are "
            "shown as they were written, not as they lead through the server; those of the unsubscribe page and the online "
            "version lead nowhere."
        ),
        handler=preview,
        parameters=(ENTITY, CAMPAIGN),
        statuses={200: "The mail."},
        conflicts=("campaign.incomplete",),
        body=wire.PreviewIn,
        body_optional=True,
        body_example={
            "profile": "emailAddress=ann@example.com",
            "language": None,
            "parameters": [{"key": "stayRef", "values": ["ST-00017"]}],
        },
        answer=wire.PreviewOut,
        answer_example=_OUT,
    ),
)
