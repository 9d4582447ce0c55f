"""The e-mail campaign calls of v4 before a launch."""

import json
from typing import Any

from tabellion.features.audiences import audiences_of, resolve
from tabellion.features.campaigns import aiming, archive, authoring, encodings, languages, service
from tabellion.features.campaigns.content import image_address
from tabellion.features.campaigns.model import Campaign
from tabellion.features.campaigns.wire import definition as wire
from tabellion.features.campaigns.wire.contents import read_line
from tabellion.features.licences import entity_of
from tabellion.features.tables import ENTITY
from tabellion.features.tables.filters import row_limit
from tabellion.kit.problem import Malformed, invalid
from tabellion.platform.http import json_codec, negotiation, shapes, xml_codec
from tabellion.platform.http.call import Answer, Call, Form, Incoming, Parameter

_PATH = "/v4/entity/{e}/mail"
ONE = _PATH + "/{c}"
CATEGORY, MODULE = "email-campaigns", "campaigns"
CAMPAIGN = Parameter("c", "id or name of the campaign", "SpringOffer")
_LANGUAGE = Parameter("language", "one of the campaign's languages; without it: the content of all that have no own", "NL")
_CHARSET = Parameter("charset", "encoding of the HTML: utf-8, iso-8859-1 or iso-8859-15; default: the campaign's", "utf8")
_FILE = "inputFile"
_HTML = "text/html"


async def create(call: Incoming) -> Answer:
    """Define a campaign."""
    number = await service.create(call, wire.read_new(call.body, entity_of(call).name, call.now))
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
    return _written(await service.change(call, lambda before: wire.read_changed(before, call.body, entity)))


async def delete(call: Incoming) -> Answer:
    """Delete a campaign."""
    await service.delete(call)
    return Answer(204)


async def get_subject(call: Incoming) -> Answer:
    """Read a subject."""
    found = await service.get(call)
    language = languages.read_language(call, found)
    subject = found.content.part(language).subject
    if subject is None:
        raise authoring.missing_content("subject", language)
    return Answer(200, wire.Subject(subject))


async def put_subject(call: Incoming) -> Answer:
    """Set a subject."""
    subject = read_line("subject", _subject(call))
    language = languages.read_language(call, await service.get(call))
    return _written(await authoring.set_subject(call, language, subject))


async def get_body(call: Incoming) -> Answer:
    """Read the HTML."""
    found = await service.get(call)
    language = languages.read_language(call, found)
    html = await authoring.html_of(found, language)
    if html is None:
        raise authoring.missing_content("body", language)
    encoding = found.settings.encoding
    content = html.encode(encoding, errors="xmlcharrefreplace")
    return Answer(200, content=content, headers={"Content-Type": f"{_HTML};charset={encoding.upper()}"})


async def put_body(call: Incoming) -> Answer:
    """Set the HTML with its images."""
    upload = None if call.upload is None else call.upload.file(_FILE)
    if upload is None and (call.upload is not None or not call.raw_body):
        raise invalid(_FILE, "member.mandatory", f"the form has no file '{_FILE}'")
    language = languages.read_language(call, await service.get(call))

    async def read(campaign: Campaign) -> archive.Html:
        charset = call.query.first("charset") or campaign.settings.encoding
        if upload is None:
            charset = negotiation.charset(call.headers.get("content-type")) or charset
            return archive.Html(encodings.decoded(call.raw_body, charset), [])
        return archive.read_html(upload.path, charset, image_address)

    return _written(await authoring.set_html(call, language, read))


async def get_personalisation(call: Incoming) -> Answer:
    """Read the parameters of a campaign."""
    return Answer(200, wire.personalisations_out(await service.get(call)))


async def put_personalisation(call: Incoming) -> Answer:
    """Set the parameters of a campaign."""
    return _written(await authoring.set_personalisations(call, wire.read_personalisations(call.body)))


async def get_target(call: Incoming) -> Answer:
    """Read whom a campaign is for."""
    found = await service.get(call)
    names = await audiences_of(call.db, found.licence_id, found.target)
    return Answer(200, wire.target_out(found.target, await aiming.estimate(call, found), names))


async def put_target(call: Incoming) -> Answer:
    """Say whom a campaign is for."""
    body: wire.TargetIn = call.body
    if body == wire.TargetIn():
        call.refuse_ignored(wire.TargetOut, "the target is the whole table")
    audience = None if body.audience is None else (await resolve(call, [("audience", body.audience)]))[0]
    excluded = await resolve(call, [(f"excludeAudiences[{i}]", each) for i, each in enumerate(body.exclude_audiences)])
    return _written(await aiming.set_target(call, wire.read_target(body, audience, excluded)))


def _written(campaign: Campaign) -> Answer:
    return Answer(200, wire.CampaignId(campaign.id))


def _subject(call: Incoming) -> str:
    """The subject of the body: as it is, whatever it is called, unless it is JSON or XML."""
    content_type = call.headers.get("content-type")
    media_type = (content_type or "").partition(";")[0].strip().lower()
    document: Any = _json(call.raw_body) if media_type == "application/json" else None
    if document is not None:
        text = document if isinstance(document, str) else _read(call, document, from_xml=False)
    elif media_type in {"application/xml", "text/xml"}:
        document = xml_codec.decode(call.raw_body, wire.Subject, "mailSubject", negotiation.charset(content_type))
        text = _read(call, document, from_xml=True)
    else:
        try:
            text = call.raw_body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Malformed(f"the subject is not in UTF-8: byte {error.start}") from None
    return text


def _json(raw: bytes) -> Any:
    """The document of a body that is called JSON, if it is an object or a string; None: the body is the subject itself.

    `12`, `{{ firstName }}, hello` and `"Spring" is here` are subjects; a document that is cut off is none.
    """
    start = raw.removeprefix(b"\xef\xbb\xbf").strip()
    if start.startswith(b"{") and not start.startswith((b"{{", b"{%")):
        return json_codec.decode(raw)
    if not start.startswith(b'"'):
        return None
    try:
        text = start.decode()
        _, end = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return json_codec.decode(raw)
    return json_codec.decode(raw) if end == len(text) else None


def _read(call: Incoming, document: object, *, from_xml: bool) -> str:
    read: Any
    read, call.ignored = shapes.reader(wire.Subject).read(document, from_xml=from_xml)
    return read.subject


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
_ID = {"campaignId": 4711}
_EXAMPLE_HTML = '<p>Dear {{ profile.firstName }}</p><p><a href="{{ unsubscribeUrl }}">Unsubscribe</a></p>'
_TARGET: dict[str, Any] = {
    "subscription": "Newsletter",
    "filter": 'addressCountry = "BE"',
    "exclude": None,
    "keys": None,
    "maxProfiles": None,
    "segmentations": [{"name": "Loyalty", "category": "Gold"}],
    "audience": "Belgians",
    "excludeAudiences": [],
    "oncePerAddress": True,
}
_KEYS: dict[str, Any] = {"personalisations": [{"key": "stayRef", "mandatory": True, "defaultValue": None}]}
_WRITE: dict[str, Any] = {
    "category": CATEGORY,
    "module": MODULE,
    "statuses": {200: "Done."},
    "conflicts": ("campaign.state",),
    "answer": wire.CampaignId,
    "answer_root": "mail",
    "answer_example": _ID,
    "etag": True,
}
_BODY_TEXT = (
    "A zip with one HTML file and its images in folders, or the HTML alone, as `inputFile`; or the HTML itself as "
    "`text/html`. References to images of the zip are replaced by addresses on this server. The content is checked: all "
    "that it names must exist, and what does not is told with line and column."
)

CALLS = (
    Call(
        id="campaigns.v4.create",
        method="POST",
        path=_PATH,
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
        answer_example=_ID,
    ),
    Call(
        id="campaigns.v4.list",
        method="GET",
        path=_PATH,
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
            Parameter("number", "most campaigns: default 100, at most 1000", "10", schema={"type": "integer"}),
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
        path=ONE,
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
        path=ONE,
        summary="Change the settings of an e-mail campaign",
        description="Only what is sent changes; only in definition.",
        handler=change,
        parameters=(ENTITY, CAMPAIGN),
        body=wire.MailChange,
        body_root="mail",
        body_example={"displayName": "Spring is here", "supportedLanguages": ["NL"]},
        **_WRITE,
    ),
    Call(
        id="campaigns.v4.delete",
        method="DELETE",
        path=ONE,
        category=CATEGORY,
        module=MODULE,
        summary="Delete an e-mail campaign in definition",
        handler=delete,
        parameters=(ENTITY, CAMPAIGN),
        statuses={204: "The campaign is deleted."},
        conflicts=("campaign.state",),
        etag=True,
    ),
    Call(
        id="campaigns.v4.subject.get",
        method="GET",
        path=ONE + "/content/subject",
        category=CATEGORY,
        module=MODULE,
        summary="Read the subject",
        handler=get_subject,
        parameters=(ENTITY, CAMPAIGN, _LANGUAGE),
        statuses={200: "The subject of the language."},
        answer=wire.Subject,
        answer_root="mailSubject",
        answer_example={"subject": "Spring is here, {{ firstName }}"},
    ),
    Call(
        id="campaigns.v4.subject.put",
        method="PUT",
        path=ONE + "/content/subject",
        summary="Set the subject",
        description="The text itself, in UTF-8, whatever its content type says; or JSON or XML. One line, with names in it.",
        handler=put_subject,
        parameters=(ENTITY, CAMPAIGN, _LANGUAGE),
        body=wire.Subject,
        body_root="mailSubject",
        body_types=("text/plain",),
        body_example={"subject": "Spring is here, {{ firstName }}"},
        raw=True,
        **_WRITE,
    ),
    Call(
        id="campaigns.v4.body.get",
        method="GET",
        path=ONE + "/content/body",
        category=CATEGORY,
        module=MODULE,
        summary="Read the HTML",
        handler=get_body,
        parameters=(ENTITY, CAMPAIGN, _LANGUAGE),
        statuses={200: "The HTML of the language, in the campaign's encoding."},
        download=_HTML,
    ),
    *(
        Call(
            id=f"campaigns.v4.body.{method.lower()}",
            method=method,
            path=ONE + "/content/body",
            summary="Set the HTML",
            description=_BODY_TEXT,
            handler=put_body,
            parameters=(ENTITY, CAMPAIGN, _LANGUAGE, _CHARSET),
            form=Form(_FILE, raw_types=(_HTML,), raw_example=_EXAMPLE_HTML),
            **_WRITE,
        )
        for method in ("POST", "PUT")
    ),
    Call(
        id="campaigns.v4.personalisation.get",
        method="GET",
        path=ONE + "/content/personalisation",
        category=CATEGORY,
        module=MODULE,
        summary="Read the parameters of the content",
        handler=get_personalisation,
        parameters=(ENTITY, CAMPAIGN),
        statuses={200: "The parameters that triggers hand over."},
        answer=wire.Personalisations,
        answer_root="personalisations",
        answer_example=_KEYS,
    ),
    Call(
        id="campaigns.v4.personalisation.put",
        method="PUT",
        path=ONE + "/content/personalisation",
        summary="Set the parameters of the content",
        handler=put_personalisation,
        parameters=(ENTITY, CAMPAIGN),
        body=wire.Personalisations,
        body_root="personalisations",
        body_example=_KEYS,
        **_WRITE,
    ),
    Call(
        id="campaigns.v4.target.get",
        method="GET",
        path=ONE + "/target",
        category=CATEGORY,
        module=MODULE,
        summary="Read whom an e-mail campaign is for",
        handler=get_target,
        parameters=(ENTITY, CAMPAIGN),
        statuses={200: "The target, and how many profiles it means at the moment."},
        answer=wire.TargetOut,
        answer_root="mailTarget",
        answer_example={**_TARGET, "estimatedCount": 1840},
    ),
    Call(
        id="campaigns.v4.target.put",
        method="PUT",
        path=ONE + "/target",
        summary="Say whom an e-mail campaign is for",
        description="All that is said must hold; nothing said: the whole table. Filters are those of the v5 lists.",
        handler=put_target,
        parameters=(ENTITY, CAMPAIGN),
        body=wire.TargetIn,
        body_root="mailTarget",
        body_example=_TARGET,
        **_WRITE,
    ),
)
