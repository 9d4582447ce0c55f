"""The documents of what a campaign is, version 4."""

import re
from datetime import datetime, tzinfo
from typing import Annotated, Any, Literal, LiteralString

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from tabellion.features.campaigns import goals
from tabellion.features.campaigns.model import MAX_LINE, Campaign, Content, Kind, Settings, State, name_and_address
from tabellion.features.campaigns.store import Search
from tabellion.features.tables import LANGUAGES, moment_or_null, render_moment
from tabellion.features.tables.filters import query_moment
from tabellion.kit.charsets import LATIN_1, LATIN_9, UTF_8
from tabellion.kit.names import SIGNS_OF_ADDRESSES, name_fault
from tabellion.kit.problem import FieldError, invalid
from tabellion.platform.http.shapes import Text
from tabellion.platform.mail import address_of, formless, one_line

_INVALID, _MANDATORY = "structure.invalid", "member.mandatory"
_ENCODINGS = (UTF_8, LATIN_1, LATIN_9)
_ADDRESS = re.compile(r"[^\s@<>,;\"()]+@[^\s@<>,;\"()]+\.[^\s@<>,;\"()]+")
_TYPES = {Kind.MASS: "MASS_SENDING", Kind.CONTINUOUS: "CONTINUOUS", Kind.TRANSACTIONAL: "TRANSACTIONAL"}
# Integrations look for their transactional mails among the continuous ones.
_KINDS = {
    "MASS_SENDING": (Kind.MASS,),
    "CONTINUOUS": (Kind.CONTINUOUS, Kind.TRANSACTIONAL),
    "TRANSACTIONAL": (Kind.TRANSACTIONAL,),
}
_DATE_FILTER = re.compile(r"(creationMoment|updateMoment|startedAt)\s*(>=|<=|!=|=|>|<)(.*)", re.IGNORECASE | re.DOTALL)
_COLUMNS: dict[str, LiteralString] = {
    "creationmoment": "created_at",
    "updatemoment": "updated_at",
    "startedat": "started_at",
}
_NEVER_NULL = frozenset({"target_table", "supported_languages", "encoding"})
_OPERATORS: dict[str, LiteralString] = {">=": ">=", "<=": "<=", "!=": "<>", "=": "=", ">": ">", "<": "<"}


class MailIn(msgspec.Struct, rename="camel"):
    """A campaign to be defined. `from` is a display name or an address; `entityOfTarget` null: the entity of the address.

    Null is as good as nothing: `encoding` is UTF-8, `contentType` HTML, `sendingMode` MASS then.
    """

    name: Text
    target_table: Text
    supported_languages: list[str]
    display_name: str | None = None
    sender: str | None = msgspec.field(default=None, name="from")
    reply_to: str | None = None
    entity_of_target: str | None = None
    encoding: str | None = None
    content_type: Literal["HTML"] | None = None
    sending_mode: Literal["MASS", "CONTINUOUS", "TRANSACTIONAL"] | None = None
    goal_tracking: Text | None = None


class MailChange(msgspec.Struct, rename="camel"):
    """What is to be changed; the name stays, and so does what is null and cannot be without a value."""

    display_name: str | None | UnsetType = UNSET
    sender: str | None | UnsetType = msgspec.field(default=UNSET, name="from")
    reply_to: str | None | UnsetType = UNSET
    entity_of_target: str | None | UnsetType = UNSET
    target_table: Text | None | UnsetType = UNSET
    supported_languages: list[str] | None | UnsetType = UNSET
    encoding: str | None | UnsetType = UNSET
    content_type: Literal["HTML"] | None | UnsetType = UNSET
    sending_mode: Literal["MASS", "CONTINUOUS", "TRANSACTIONAL"] | None | UnsetType = UNSET
    goal_tracking: Text | None | UnsetType = UNSET


class CampaignId(msgspec.Struct, rename="camel"):
    """The answer to a write."""

    campaign_id: int


class MailOut(msgspec.Struct, rename="camel"):
    """A campaign."""

    campaign_id: int
    name: str
    display_name: str
    sender: str | None = msgspec.field(name="from")
    reply_to: str | None
    entity_of_target: str
    target_table: str
    supported_languages: tuple[str, ...]
    encoding: str
    content_type: str
    sending_mode: str
    goal_tracking: str | None
    state: str
    scheduled_at: str | None
    started_at: str | None
    ended_at: str | None
    creation_moment: str
    update_moment: str
    paused_because: Annotated[
        str | None, Meta(description="why the server holds it; null: somebody has paused it, if at all")
    ]


class MailBrief(msgspec.Struct, rename="camel"):
    """A campaign in a list."""

    campaign_id: int
    name: str
    display_name: str
    type: str
    target_table: str
    state: str
    creation_moment: str


class MailsOut(msgspec.Struct, rename="camel"):
    """Campaigns, by id."""

    mail_documents: list[MailBrief]


def read_new(body: MailIn, entity: str, now: datetime) -> tuple[Campaign, list[FieldError]]:
    """The campaign to be defined, and what is wrong with it."""
    settings = Settings(
        display_name=body.display_name or body.name,
        sender=body.sender,
        reply_to=body.reply_to,
        entity_of_target=body.entity_of_target or entity,
        target_table=body.target_table,
        supported_languages=tuple(body.supported_languages),
        encoding="UTF-8" if body.encoding is None else body.encoding,
        goal_tracking=_goals(body.goal_tracking, body.name),
    )
    kind = Kind(body.sending_mode or "MASS")
    new = Campaign(0, 0, 0, None, body.name, kind, State.IN_DEFINITION, 1, settings, Content(), None, now, now)
    return new, name_faults(body.name) + _settings_faults(settings)


def read_changed(before: Campaign, body: MailChange, entity: str) -> tuple[Campaign, list[FieldError]]:
    """The campaign with what a body changes, and what is wrong with it."""
    members: dict[str, Any] = {
        name: getattr(body, name) for name in body.__struct_fields__ if name not in {"content_type", "sending_mode"}
    }
    changes = {
        name: value for name, value in members.items()
        if value is not UNSET and not (value is None and name in _NEVER_NULL)
    }  # fmt: skip
    if "goal_tracking" in changes:
        changes["goal_tracking"] = _goals(changes["goal_tracking"], before.name)
    if "display_name" in changes:
        changes["display_name"] = changes["display_name"] or before.name
    if "entity_of_target" in changes:
        changes["entity_of_target"] = changes["entity_of_target"] or entity
    if "supported_languages" in changes:
        changes["supported_languages"] = tuple(changes["supported_languages"] or ())
    settings = replace(before.settings, **changes)
    kind = Kind(body.sending_mode) if isinstance(body.sending_mode, str) else before.kind
    return replace(before, settings=settings, kind=kind), _settings_faults(settings)


def _goals(said: str | None, name: str) -> str | None:
    """What links carry. Integrations that only switch it on or off mean the campaign by it, or nothing."""
    word = "" if said is None else said.strip().lower()
    return {"true": goals.of_name(name), "false": None}.get(word, said)


def mail_out(campaign: Campaign) -> MailOut:
    """One campaign as it is answered."""
    settings = campaign.settings
    return MailOut(
        campaign_id=campaign.id,
        name=campaign.name,
        display_name=settings.display_name,
        sender=settings.sender,
        reply_to=settings.reply_to,
        entity_of_target=settings.entity_of_target,
        target_table=settings.target_table,
        supported_languages=settings.supported_languages,
        encoding=settings.encoding,
        content_type="HTML",
        sending_mode=campaign.kind.value,
        goal_tracking=settings.goal_tracking,
        state=campaign.state.value,
        scheduled_at=moment_or_null(campaign.scheduled_at),
        started_at=moment_or_null(campaign.started_at),
        ended_at=moment_or_null(campaign.ended_at),
        creation_moment=render_moment(campaign.created_at),
        update_moment=render_moment(campaign.updated_at),
        paused_because=campaign.paused_because,
    )


def mail_brief(campaign: Campaign) -> MailBrief:
    """One campaign as it is listed."""
    return MailBrief(
        campaign.id,
        campaign.name,
        campaign.settings.display_name,
        _TYPES[campaign.kind],
        campaign.settings.target_table,
        campaign.state.value,
        render_moment(campaign.created_at),
    )


def read_search(name: str | None, type_: str | None, dates: list[str], limit: int, zone: tzinfo) -> Search:
    """What a list is to hold. Raises `Invalid`."""
    if type_ and type_.upper() not in _KINDS:
        raise invalid("type", "parameter.invalid", f"'type' expects one of {', '.join(_KINDS)}")
    if name and not name.isprintable():
        raise invalid("name", "parameter.invalid", "'name' expects the name of a campaign")
    kinds = _KINDS[type_.upper()] if type_ else tuple(Kind)
    return Search(name or None, kinds, tuple(_date_filter(text, zone) for text in dates if text.strip()), limit)


def name_faults(name: str) -> list[FieldError]:
    """Why a campaign cannot have a name."""
    # These two mean something else in addresses.
    dots = "more than dots, which lead elsewhere in addresses" if name in {".", ".."} else None
    fault = name_fault(name, SIGNS_OF_ADDRESSES) or dots
    return [] if fault is None else [FieldError("name", "structure.nameInvalid", f"'name' expects {fault}")]


def line_faults(member: str, text: str | None) -> list[FieldError]:
    """Why a text cannot stand in one line."""
    if text is not None and len(text) > MAX_LINE:
        return [FieldError(member, _INVALID, f"'{member}' expects at most {MAX_LINE} characters")]
    if text is not None and not one_line(text):
        return [FieldError(member, "text.control", f"'{member}' is one line without control characters")]
    return []


def _settings_faults(settings: Settings) -> list[FieldError]:
    faults = line_faults("displayName", settings.display_name) + line_faults("from", settings.sender)
    _, address = name_and_address(settings.sender or "")
    if not faults and address and address_of(address) is None:
        rule = (
            f"'from' expects a name, an address, or both: Harbour Hotels <news@example.com>; '{address[:100]}' is no address"
        )
        faults.append(FieldError("from", "attribute.value", f"{rule} that mails can come from"))
    reply_to = settings.reply_to
    if reply_to and (len(reply_to) > MAX_LINE or not _ADDRESS.fullmatch(reply_to) or not reply_to.isprintable()):
        faults.append(FieldError("replyTo", "attribute.value", "'replyTo' expects an e-mail address"))
    elif reply_to and address_of(reply_to) is None:
        message = f"'replyTo' expects an e-mail address that mails can go to: {formless(reply_to)}"
        faults.append(FieldError("replyTo", "attribute.value", message))
    if settings.encoding.upper() not in _ENCODINGS:
        faults.append(FieldError("encoding", "member.type", f"'encoding' expects one of {', '.join(_ENCODINGS)}"))
    try:
        goals.read(settings.goal_tracking)
    except goals.BadGoals as error:
        faults.append(FieldError("goalTracking", _INVALID, f"'goalTracking' {error}"))
    languages = [language.upper() for language in settings.supported_languages]
    if not languages:
        faults.append(FieldError("supportedLanguages", _MANDATORY, "'supportedLanguages' names at least one language"))
    for i, language in enumerate(languages):
        place = f"supportedLanguages[{i}]"
        if language not in LANGUAGES:
            message = f"'{language[:20]}' is no language code of ISO 639-1 such as NL"
            faults.append(FieldError(place, "attribute.value", message))
        elif language in languages[:i]:
            faults.append(FieldError(place, _INVALID, f"the language '{language}' stands here twice"))
    return faults


def _date_filter(text: str, zone: tzinfo) -> tuple[LiteralString, LiteralString, datetime]:
    found = _DATE_FILTER.fullmatch(text.strip())
    if found is None:
        message = "'dateFilter' expects creationMoment, updateMoment or startedAt, a comparison and a moment"
        raise invalid("dateFilter", "parameter.invalid", message)
    moment = query_moment(found[3].strip(), "dateFilter", zone)
    if moment is None:
        raise invalid("dateFilter", "parameter.invalid", "'dateFilter' expects a moment behind the comparison")
    return _COLUMNS[found[1].lower()], _OPERATORS[found[2]], moment
