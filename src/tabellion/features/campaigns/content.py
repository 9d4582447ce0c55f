"""What contents may say: the names of a campaign, checks of its templates, addresses of its images."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from tabellion.features.campaigns.model import Part, Personalisation
from tabellion.features.customdata import CustomTable
from tabellion.features.tables import PROFILE_TABLES, Attribute, ProfileTable
from tabellion.kit.problem import FieldError
from tabellion.platform.database.errors import Unavailable
from tabellion.platform.templates import (
    Cages,
    CageUnavailable,
    Content,
    Kind,
    Link,
    Mistake,
    Outcome,
    Report,
    Shape,
    Template,
    Values,
    Vocabulary,
    mark_links,
    mark_text_links,
    vocabulary,
)
from tabellion.platform.templates import Prepared as Made

UNSUBSCRIBE, ONLINE, PREFERENCES = "unsubscribeUrl", "onlineUrl", "preferencesUrl"
_ADDRESSES = {UNSUBSCRIBE: "u", ONLINE: "v", PREFERENCES: "p"}
_HIDDEN = {"openUrl": "o", "trapUrl": "x"}
# What templates may name that is no custom table.
ROOTS = frozenset(vocabulary({}, others=dict.fromkeys(_ADDRESSES, Kind.TEXT)).roots)
MAX_SUBJECT = 500
# What MJML becomes whose author says nothing of a language.
_UNKNOWN_LANGUAGE = '<html lang="und"'
_END_OF_BODY = re.compile(r"</body>", re.IGNORECASE)
_KINDS = {
    "INTEGER": Kind.NUMBER,
    "LONG": Kind.NUMBER,
    "NUMBER": Kind.NUMBER,
    "BOOLEAN": Kind.BOOLEAN,
    "DATE": Kind.DATE,
    "TIMESTAMP": Kind.MOMENT,
}


class _Tools:
    """What the process has for contents: caged processes, and the address that the world knows it by."""

    def __init__(self) -> None:
        self.cages: Cages | None = None
        self.public_url = ""


_tools = _Tools()


def use_cages(cages: Cages | None) -> None:
    """Say where templates are checked; None: nowhere any more."""
    _tools.cages = cages


def use_public_url(url: str) -> None:
    """Say under which address the server is reached from outside, without a slash at its end."""
    _tools.public_url = url


def image_address(token: str, name: str) -> str:
    """The address of an image; the name is for people."""
    return f"{_tools.public_url}{image_path(token)}{quote(name)}"


def image_path(token: str) -> str:
    """What the address of an image has before its name."""
    return f"/i/{token}/"


def names_of(table: ProfileTable, linked: Iterable[CustomTable], personalisations: Sequence[Personalisation]) -> Vocabulary:
    """What templates may name: the profile, records of the custom tables that refer to it, the trigger's parameters."""
    return vocabulary(
        {PROFILE_TABLES.id_name: Kind.NUMBER, **_attributes(table.attributes)},
        tables={custom.name: _attributes(custom.attributes) for custom in linked},
        parameters={each.key: Kind.ANY for each in personalisations},
        subscriptions=[subscription.name for subscription in table.subscriptions],
        segmentations={g.name: Kind.BOOLEAN if g.type == "SIMPLE" else Kind.TEXT for g in table.segmentations},
        others=dict.fromkeys(_ADDRESSES, Kind.TEXT),
    )


async def mistakes(source: str, names: Vocabulary, place: str) -> list[FieldError]:
    """All that is wrong with a template, with line and column. Raises `Unavailable`."""
    report = await checked(source, names)
    return [
        FieldError(place, each.code, f"line {each.line}, column {each.column}: {each.message}{_hint(each)}")
        for each in report.mistakes
    ]


def _hint(mistake: Mistake) -> str:
    """What integrators forget who send contents first: parameters have to be announced."""
    if mistake.code != "template.name" or not mistake.message.startswith("there is no "):
        return ""
    if ";" in mistake.message:  # it tells of a name that is near, which may be another thing than was meant
        return " Parameters are announced by PUT .../content/personalisation."
    return ", no attribute and no parameter (PUT .../content/personalisation announces parameters)"


async def checked(source: str, names: Vocabulary) -> Report:
    """The check of a source. Raises `Unavailable`."""
    try:
        return await _cages().check(source, names)
    except CageUnavailable as error:
        raise Unavailable(f"templates cannot be checked at the moment: {error}") from None


class Prepared(NamedTuple):
    """HTML and text, ready to be rendered; no HTML where the mail is text alone. With errors there is neither."""

    html: str
    text: str
    errors: list[Mistake]


async def mjml_mistakes(source: str, place: str) -> list[FieldError]:
    """All that is wrong with MJML, with line and column. Raises `Unavailable`."""
    return mjml_faults(await made_of(Part(mjml=source)), place)


def mjml_faults(made: Made, place: str) -> list[FieldError]:
    """What was wrong with the MJML of a member, with line and column."""
    return [FieldError(place, e.code, f"line {e.line}, column {e.column}: {e.message}") for e in made.errors]


def in_language(part: Part, html: str, language: str) -> str:
    """The HTML of a part of which readers' programs know the language: screen readers and translators go by it."""
    return html if part.mjml is None else html.replace(_UNKNOWN_LANGUAGE, f'<html lang="{language}"', 1)


async def made_of(part: Part) -> Made:
    """HTML with inlined styles and preheader, and text, of what an author wrote. Raises `Unavailable`."""
    given = Content(part.html or "", part.mjml or "", part.text or "", part.preheader or "")
    try:
        return await _cages().prepare(given)
    except CageUnavailable as error:
        raise Unavailable(f"contents cannot be prepared at the moment: {error}") from None


async def rendered(template: Template, context: Mapping[str, Any], now: datetime) -> Outcome:
    """One mail. Raises `Unavailable`."""
    try:
        (outcome,) = await _cages().render(template, [context], now=now)
    except CageUnavailable as error:
        raise Unavailable(f"contents cannot be rendered at the moment: {error}") from None
    return outcome


async def prepared(part: Part, mark: str, pixel: str) -> Prepared:
    """HTML with inlined styles, marked links and a picture that tells of its opening; and its text, or that alone.

    Raises `Unavailable`.
    """
    made = await made_of(part)
    text = mark_text_links(made.text, mark)
    if not made.html:
        return Prepared("", text, made.errors)
    return Prepared(with_pixel(mark_links(made.html, mark, leads_away), pixel), text, made.errors)


def with_pixel(html: str, pixel: str) -> str:
    """HTML with something last in its body."""
    # Not by the places in `html.lower()`: of a Turkish İ that makes two characters.
    at = max((found.start() for found in _END_OF_BODY.finditer(html)), default=len(html))
    return f"{html[:at]}{pixel}{html[at:]}"


def sample_addresses() -> dict[str, str]:
    """What stands for the addresses of one recipient in a mail that nobody gets, the hidden ones too."""
    return {name: f"{_tools.public_url}/t/{page}/preview" for name, page in (_ADDRESSES | _HIDDEN).items()}


def public_url() -> str:
    """The address that mails lead to."""
    return _tools.public_url


def _cages() -> Cages:
    if _tools.cages is None:
        raise Unavailable("templates cannot be checked: the server is starting or stopping")
    return _tools.cages


def leads_away(link: Link) -> bool:
    """Whether a link is counted: not those to our own pages, nor what is no page at all."""
    return link.scheme in {"http", "https"} or (link.dynamic and not link.scheme and not _own(link.href))


def _own(href: str) -> bool:
    return any(name in href for name in _ADDRESSES)


def _attributes(attributes: Iterable[Attribute]) -> dict[str, Shape]:
    found: dict[str, Any] = {}
    for attribute in attributes:
        kind = _KINDS.get(attribute.value_type, Kind.TEXT)
        found[attribute.name] = Values(kind) if attribute.multi_valued else kind
    return found


def missing_in(part: Part, language: str) -> list[FieldError]:
    """What a mail cannot do without."""
    return [
        FieldError(f"content.{what}", "content.unknown", f"there is no {what} for {language.upper()}, and no default")
        for what, is_there in (("subject", part.subject is not None), ("body", part.is_written))
        if not is_there
    ]


def note_uses(uses: dict[str, set[str]], report: Report) -> None:
    """Add what a source names: roots, and members of each."""
    for root, members in report.uses.items():
        uses.setdefault(root, set()).update(members)
