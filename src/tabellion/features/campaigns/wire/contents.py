"""The documents of contents: what a mail says in one language, and the parameters that triggers hand over."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from tabellion.features.campaigns.content import MAX_SUBJECT
from tabellion.features.campaigns.model import Campaign, Part, Personalisation
from tabellion.kit.names import name_fault
from tabellion.kit.problem import FieldError, Invalid, invalid
from tabellion.platform.http.shapes import Flag, Text
from tabellion.platform.mail import one_line

DEFAULT = "default"
_MEMBERS = ("subject", "preheader", "html", "mjml", "text")
_INVALID = "structure.invalid"
_MAX_KEYS = 200


class Subject(msgspec.Struct):
    """A subject."""

    subject: Text


class PersonalisationDocument(msgspec.Struct, rename="camel"):
    """A parameter that triggers hand over; contents name it."""

    key: str
    mandatory: Flag | None = False
    default_value: Text | None = None


class Personalisations(msgspec.Struct):
    """The parameters of a campaign."""

    personalisations: list[PersonalisationDocument]


class ContentIn(msgspec.Struct):
    """The content of a language; what is not there is not there any more. The body is `html` or `mjml`.

    `text` null: the plain text is made of the body. `text` without a body: the mail is plain text. `preheader`: what lists
    of mails show behind the subject.
    """

    subject: str | None = None
    preheader: str | None = None
    html: str | None = None
    mjml: str | None = None
    text: str | None = None


class ContentChange(msgspec.Struct):
    """What is to be changed of the content of a language; null takes away."""

    subject: str | None | UnsetType = UNSET
    preheader: str | None | UnsetType = UNSET
    html: str | None | UnsetType = UNSET
    mjml: str | None | UnsetType = UNSET
    text: str | None | UnsetType = UNSET


class ContentOut(msgspec.Struct):
    """What a language has of its own; `default` is for all that have no own."""

    language: str
    subject: str | None
    preheader: str | None
    html: str | None
    mjml: str | None
    text: str | None


class ContentBrief(msgspec.Struct, rename="camel"):
    """A content in a list. `body`: HTML, MJML or null. `complete`: with the default it can be sent."""

    language: str
    subject: str | None
    preheader: str | None
    body: str | None
    has_text: bool
    complete: bool


class ContentsOut(msgspec.Struct):
    """The default content and those of the campaign's languages."""

    contents: list[ContentBrief]


def read_line(place: str, text: str) -> str:
    """A subject or preheader: one line. Raises `Invalid`."""
    text = text.strip()
    if not 1 <= len(text) <= MAX_SUBJECT:
        raise invalid(place, _INVALID, f"the {place} has 1 to {MAX_SUBJECT} characters")
    if not one_line(text):
        raise invalid(place, "text.control", f"the {place} is one line without control characters")
    return text


def read_personalisations(body: Personalisations) -> tuple[Personalisation, ...]:
    """The parameters. Raises `Invalid`."""
    faults: list[FieldError] = []
    seen: set[str] = set()
    if len(body.personalisations) > _MAX_KEYS:
        faults.append(FieldError("personalisations", "structure.tooMany", f"a campaign has at most {_MAX_KEYS} parameters"))
    for i, each in enumerate(body.personalisations):
        place = f"personalisations[{i}].key"
        if fault := name_fault(each.key):
            faults.append(FieldError(place, "structure.nameInvalid", f"'key' expects {fault}"))
        if each.key in seen:
            faults.append(FieldError(place, "structure.nameTaken", f"the key '{each.key}' stands here twice"))
        seen.add(each.key)
    if faults:
        raise Invalid(faults)
    return tuple(Personalisation(p.key, bool(p.mandatory), p.default_value) for p in body.personalisations)


def personalisations_out(campaign: Campaign) -> Personalisations:
    """The parameters as they are answered."""
    listed = campaign.content.personalisations
    return Personalisations([PersonalisationDocument(p.key, p.mandatory, p.default_value) for p in listed])


def read_content(body: ContentIn) -> Part:
    """The content. Raises `Invalid`."""
    return _checked(Part(**{name: getattr(body, name) for name in _MEMBERS}))


def read_change(before: Part, body: ContentChange) -> Part:
    """The content with what a body changes; a body of one kind takes the place of the other. Raises `Invalid`."""
    changes: dict[str, Any] = {name: value for name in _MEMBERS if (value := getattr(body, name)) is not UNSET}
    for kind, other in (("html", "mjml"), ("mjml", "html")):
        if changes.get(kind) is not None:
            changes.setdefault(other, None)
    return _checked(replace(before, **changes))


def content_out(language: str, part: Part) -> ContentOut:
    """A content as it is answered."""
    return ContentOut(language, part.subject, part.preheader, part.html, part.mjml, part.text)


def contents_out(campaign: Campaign, languages: Sequence[str]) -> ContentsOut:
    """All contents as they are listed."""
    found: list[ContentBrief] = []
    for language in ("", *languages):
        own = campaign.content.parts.get(language.lower(), Part())
        whole = campaign.content.part(language)
        body = "MJML" if own.mjml is not None else "HTML" if own.html is not None else None
        found.append(
            ContentBrief(
                language or DEFAULT,
                own.subject,
                own.preheader,
                body,
                own.text is not None,
                whole.subject is not None and whole.is_written,
            )
        )
    return ContentsOut(found)


def _checked(part: Part) -> Part:
    faults: list[FieldError] = []
    changes: dict[str, Any] = {}
    for place in ("subject", "preheader"):
        text: str | None = getattr(part, place)
        if text is not None:
            try:
                changes[place] = read_line(place, text)
            except Invalid as error:
                faults += error.errors
    if part.html is not None and part.mjml is not None:
        faults.append(FieldError("mjml", _INVALID, "the body is 'html' or 'mjml', not both"))
    for place in ("html", "mjml", "text"):
        source: str | None = getattr(part, place)
        if source is not None and not source.strip():
            faults.append(FieldError(place, _INVALID, f"'{place}' is empty; null takes it away"))
    if faults:
        raise Invalid(faults)
    return replace(part, **changes)
