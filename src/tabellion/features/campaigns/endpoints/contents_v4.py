"""The contents of e-mail campaigns, version 4: subject and HTML of a language, and the parameters of both."""

import json
from typing import Any

from tabellion.features.campaigns import archive, authoring, languages, service
from tabellion.features.campaigns.content import image_address
from tabellion.features.campaigns.endpoints.places import CAMPAIGN, CATEGORY, MODULE, ONE_V4, WRITE, written
from tabellion.features.campaigns.model import Campaign
from tabellion.features.campaigns.wire import contents as wire
from tabellion.features.tables import ENTITY
from tabellion.kit.problem import Malformed
from tabellion.platform.http import json_codec, negotiation, shapes, xml_codec
from tabellion.platform.http.call import Answer, Call, Form, Incoming, Parameter

_LANGUAGE = Parameter("language", "one of the campaign's languages; without it: the content of all that have no own", "NL")
_CHARSET = Parameter(
    "charset",
    "encoding of the HTML: utf-8, utf-16, iso-8859-1, iso-8859-15 or windows-1252; default: the campaign's, unless the HTML "
    "is in another one and says so",
    "utf8",
)
_FILE = "inputFile"
_HTML = "text/html"


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
    subject = wire.read_line("subject", _subject(call))
    language = languages.read_language(call, await service.get(call))
    return written(await authoring.set_subject(call, language, subject))


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
    upload = None if call.upload is None else call.upload.wanted(_FILE)
    language = languages.read_language(call, await service.get(call))

    async def read(campaign: Campaign) -> archive.Html:
        charset, usual = call.query.first("charset") or None, campaign.settings.encoding
        if upload is None:
            charset = negotiation.charset(call.headers.get("content-type")) or charset
            return archive.of_page(call.raw_body, charset, usual, image_address)
        return archive.read_html(upload.path, charset, usual, image_address)

    return written(await authoring.set_html(call, language, read))


async def get_personalisation(call: Incoming) -> Answer:
    """Read the parameters of a campaign."""
    return Answer(200, wire.personalisations_out(await service.get(call)))


async def put_personalisation(call: Incoming) -> Answer:
    """Set the parameters of a campaign."""
    return written(await authoring.set_personalisations(call, wire.read_personalisations(call.body)))


def _subject(call: Incoming) -> str:
    """The subject of the body: as it is, whatever it is called, unless it is JSON or XML."""
    content_type = call.headers.get("content-type")
    is_json = negotiation.media_type(content_type) == "application/json"
    document: Any = _json(call.raw_body) if is_json else None
    if document is not None:
        text = document if isinstance(document, str) else _read(call, document, from_xml=False)
    elif negotiation.is_xml(content_type) and _is_element(call.raw_body):
        document = xml_codec.decode(call.raw_body, wire.Subject, "mailSubject", negotiation.charset(content_type))
        text = _read(call, document, from_xml=True)
    else:
        try:
            text = call.raw_body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Malformed(f"the subject is not in UTF-8: byte {error.start}") from None
    return text


def _is_element(raw: bytes) -> bool:
    return raw.removeprefix(json_codec.BOM).lstrip().startswith(b"<")


def _json(raw: bytes) -> Any:
    """The document of a body that is called JSON, if it is an object or a string; None: the body is the subject itself.

    `12`, `{{ firstName }}, hello` and `"Spring" is here` are subjects; a document that is cut off is none.
    """
    start = raw.removeprefix(json_codec.BOM).strip()
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
    read, call.ignored = shapes.reader(wire.Subject).read(document, from_xml=from_xml, strict=call.is_strict)
    return read.subject


_EXAMPLE_HTML = '<p>Dear {{ profile.firstName }}</p><p><a href="{{ unsubscribeUrl }}">Unsubscribe</a></p>'
_KEYS: dict[str, Any] = {"personalisations": [{"key": "stayRef", "mandatory": True, "defaultValue": None}]}
_BODY_TEXT = (
    "A zip with one HTML file and its images in folders, or the HTML alone, as `inputFile`; or the HTML itself as "
    "`text/html`. References to images of the zip are replaced by addresses on this server. The content is checked: all "
    "that it names must exist, and what does not is told with line and column."
)

CALLS = (
    Call(
        id="campaigns.v4.subject.get",
        method="GET",
        path=ONE_V4 + "/content/subject",
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
        path=ONE_V4 + "/content/subject",
        summary="Set the subject",
        description="The text itself, in UTF-8, whatever its content type says; or JSON or XML. One line, with names in it.",
        handler=put_subject,
        parameters=(ENTITY, CAMPAIGN, _LANGUAGE),
        body=wire.Subject,
        body_root="mailSubject",
        body_types=("text/plain",),
        body_example={"subject": "Spring is here, {{ firstName }}"},
        raw=True,
        **WRITE,
    ),
    Call(
        id="campaigns.v4.body.get",
        method="GET",
        path=ONE_V4 + "/content/body",
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
            path=ONE_V4 + "/content/body",
            summary="Set the HTML",
            description=_BODY_TEXT,
            handler=put_body,
            parameters=(ENTITY, CAMPAIGN, _LANGUAGE, _CHARSET),
            form=Form(_FILE, "newsletter.zip", raw_types=(_HTML,), raw_example=_EXAMPLE_HTML),
            **WRITE,
        )
        for method in ("POST", "PUT")
    ),
    Call(
        id="campaigns.v4.personalisation.get",
        method="GET",
        path=ONE_V4 + "/content/personalisation",
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
        path=ONE_V4 + "/content/personalisation",
        summary="Set the parameters of the content",
        handler=put_personalisation,
        parameters=(ENTITY, CAMPAIGN),
        body=wire.Personalisations,
        body_root="personalisations",
        body_example=_KEYS,
        **WRITE,
    ),
)
