"""The contents of e-mail campaigns, version 5: HTML or MJML, text, subject and preheader of one language."""

from typing import Any

from tabellion.features.campaigns import authoring, languages, service
from tabellion.features.campaigns.endpoints.places import CAMPAIGN, CATEGORY, MODULE, ONE_V5
from tabellion.features.campaigns.model import Campaign, Part
from tabellion.features.campaigns.wire import contents as wire
from tabellion.features.tables import ENTITY
from tabellion.platform.http.call import Answer, Call, Incoming, Parameter

_PATH = ONE_V5 + "/contents"
_ONE = _PATH + "/{language}"
_LANGUAGE = Parameter("language", "one of the campaign's languages; `default`: for all that have no own", "default")


async def search(call: Incoming) -> Answer:
    """List the contents of a campaign."""
    found = await service.get(call)
    return Answer(200, wire.contents_out(found, found.settings.supported_languages), etag=service.etag(found))


async def get(call: Incoming) -> Answer:
    """Read the content of a language."""
    found = await service.get(call)
    language = _language(call, found)
    part = found.content.parts.get(language)
    if part is None:
        raise authoring.missing_content("content of its own", language)
    return Answer(200, wire.content_out(_shown(found, language), part), etag=service.etag(found))


async def put(call: Incoming) -> Answer:
    """Set the content of a language."""
    new = wire.read_content(call.body)
    return await _written(call, lambda _: new)


async def patch(call: Incoming) -> Answer:
    """Change the content of a language."""
    return await _written(call, lambda before: wire.read_change(before, call.body))


async def delete(call: Incoming) -> Answer:
    """Take the content of a language away."""
    await authoring.delete_part(call, _language(call, await service.get(call)))
    return Answer(204)


async def _written(call: Incoming, changed: Any) -> Answer:
    language = _language(call, await service.get(call))
    after = await authoring.set_part(call, language, changed)
    return Answer(200, wire.content_out(_shown(after, language), after.content.parts.get(language, Part())))


def _language(call: Incoming, campaign: Campaign) -> str:
    text = call.path["language"].strip()
    return "" if text.lower() == wire.DEFAULT else languages.known_language(campaign, text)


def _shown(campaign: Campaign, language: str) -> str:
    return languages.spelt(campaign, language) or wire.DEFAULT


_EXAMPLE: dict[str, Any] = {
    "subject": "Spring is here, {{ profile.firstName }}",
    "preheader": "Three nights for the price of two",
    "html": '<p>Dear {{ profile.firstName }}</p><p><a href="{{ unsubscribeUrl }}">Unsubscribe</a></p>',
    "mjml": None,
    "text": None,
}
_OUT = {"language": "default", **_EXAMPLE}
_COMMON: dict[str, Any] = {"category": CATEGORY, "module": MODULE, "etag": True}

CALLS = (
    Call(
        id="campaigns.v5.contents.list",
        method="GET",
        path=_PATH,
        summary="List the contents of an e-mail campaign",
        handler=search,
        parameters=(ENTITY, CAMPAIGN),
        statuses={200: "The default content first, then the campaign's languages."},
        answer=wire.ContentsOut,
        answer_example={
            "contents": [
                {
                    "language": "default",
                    "subject": "Spring is here",
                    "preheader": None,
                    "body": "HTML",
                    "hasText": False,
                    "complete": True,
                }
            ]
        },
        **_COMMON,
    ),
    Call(
        id="campaigns.v5.contents.get",
        method="GET",
        path=_ONE,
        summary="Read the content of a language",
        description="What the language has of its own, as it was written.",
        handler=get,
        parameters=(ENTITY, CAMPAIGN, _LANGUAGE),
        statuses={200: "The content."},
        answer=wire.ContentOut,
        answer_example=_OUT,
        **_COMMON,
    ),
    Call(
        id="campaigns.v5.contents.put",
        method="PUT",
        path=_ONE,
        summary="Set the content of a language",
        description=(
            "All of it: what is not sent is gone. The body is `html` or `mjml`; the plain text is made of it unless there "
            "is `text`. All is checked at once, and mistakes are told with line and column. Images of a zip stay."
        ),
        handler=put,
        parameters=(ENTITY, CAMPAIGN, _LANGUAGE),
        statuses={200: "The content as it is now."},
        conflicts=("campaign.state",),
        body=wire.ContentIn,
        body_example=_EXAMPLE,
        answer=wire.ContentOut,
        answer_example=_OUT,
        **_COMMON,
    ),
    Call(
        id="campaigns.v5.contents.patch",
        method="PATCH",
        path=_ONE,
        summary="Change the content of a language",
        description="What is sent; null takes away. `mjml` takes the place of `html`, and the other way round.",
        handler=patch,
        parameters=(ENTITY, CAMPAIGN, _LANGUAGE),
        statuses={200: "The content as it is now."},
        conflicts=("campaign.state",),
        body=wire.ContentChange,
        body_example={"preheader": "Three nights for the price of two"},
        answer=wire.ContentOut,
        answer_example=_OUT,
        **_COMMON,
    ),
    Call(
        id="campaigns.v5.contents.delete",
        method="DELETE",
        path=_ONE,
        summary="Take the content of a language away",
        description="Its images go too, unless others name them or mails have left with them; the default takes its place.",
        handler=delete,
        parameters=(ENTITY, CAMPAIGN, _LANGUAGE),
        statuses={204: "The language has no content of its own any more."},
        conflicts=("campaign.state",),
        **_COMMON,
    ),
)
