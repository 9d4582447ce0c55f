"""From a campaign to what is sent: contents prepared, links marked, the sender found; or all that is missing for that."""

from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from tabellion.features.audiences import audiences_of
from tabellion.features.campaigns import content, goals
from tabellion.features.campaigns.encodings import declared
from tabellion.features.campaigns.errors import CampaignIncomplete
from tabellion.features.campaigns.fitting import address_faults, hours_faults, subscription_of, target_faults
from tabellion.features.campaigns.model import ABTestPlan, Campaign, Kind, Part, name_and_address
from tabellion.features.delivery import Document, Message, Parameter, Policy, identity_of
from tabellion.features.tables import ProfileTable
from tabellion.kit.problem import FieldError
from tabellion.platform.database.connection import Database
from tabellion.platform.mail import address_of, formless, relayed_form
from tabellion.platform.templates import Mistake, Report, Vocabulary, new_mark

# A link that people do not see and machines follow; a picture that tells of openings.
_PIXEL = (
    '<a href="{{ trapUrl }}" style="display:none" aria-hidden="true" tabindex="-1"></a>'
    '<img src="{{ openUrl }}" width="1" height="1" alt="" style="display:block;border:0">'
)


class Identity(NamedTuple):
    """The name and the address that mails come from, and where answers go; `reply_to` empty: to the address."""

    name: str
    address: str
    reply_to: str


async def document_of(  # noqa: PLR0913 - what a launch knows
    db: Database, campaign: Campaign, table: ProfileTable, names: Vocabulary, zone: ZoneInfo, now: datetime,
    *, mark: str | None = None, languages: tuple[str, ...] | None = None, test: bool = False,
    ab_test: ABTestPlan | None = None,
) -> Document:  # fmt: skip
    """What is sent. `mark`: that of an earlier document, so that nothing changes where nothing was changed.

    A test mail takes its contents from the one variant that `ab_test` has then.

    Raises `CampaignIncomplete` with all that is missing, `Unavailable`.
    """
    wanted = languages or tuple(language.lower() for language in campaign.settings.supported_languages)
    mark = mark or new_mark()
    parts = parts_of(campaign, wanted, ab_test, test=test)
    messages, uses, faults = await _written(parts, names, campaign.settings.encoding, mark)
    if campaign.kind is Kind.MASS and campaign.target is None and not test:
        faults.append(FieldError("target", "member.mandatory", "a mass campaign needs a target"))
    if not test:
        faults += [*address_faults(table), *await target_faults(db, campaign, table, zone, now)]
        faults += await hours_faults(db, campaign, table)
    sender = await sender_of(db, campaign)
    if address_of(sender.address) is None:
        message = f"mails cannot come from '{sender.address[:100]}'; set 'from', or the sender of the entity"
        faults.append(FieldError("from", "attribute.value", message))
    if sender.reply_to and address_of(sender.reply_to) is None:
        message = f"nobody can answer to '{sender.reply_to[:100]}', for {formless(sender.reply_to)}; set another 'replyTo'"
        faults.append(FieldError("replyTo", "attribute.value", message))
    if faults:
        raise CampaignIncomplete(faults)
    transactional = campaign.kind is Kind.TRANSACTIONAL
    return Document(
        entity_id=campaign.entity_id,
        table_id=table.id,
        campaign_name=campaign.name,
        sender_name=sender.name,
        sender_address=relayed_form(sender.address),
        reply_to=relayed_form(sender.reply_to),
        charset=campaign.settings.encoding.lower(),
        time_zone=str(zone),
        languages=wanted,
        messages=messages,
        uses={root: sorted(members) for root, members in uses.items()},
        mark=mark,
        parameters=tuple(Parameter(each.key, each.default_value) for each in campaign.content.personalisations),
        subscription=None if transactional or test else await _subscription(db, campaign, table),
        policy=Policy.RESEND if transactional else Policy.HOLD,
        transactional=transactional,
        triggered=campaign.kind is not Kind.MASS and not test,
        test=test,
        tracking=content.public_url(),
        goals=_goals(campaign, sender.address),
        ab_test=None if ab_test is None or test else ab_test.frozen(),
        once_per_address=_is_once_per_address(campaign) and not test,
    )


async def _written(
    parts: list[tuple[str, str, Part]], names: Vocabulary, charset: str, mark: str
) -> tuple[dict[str, Message], dict[str, set[str]], list[FieldError]]:
    """Messages by their keys, what their contents name, and what is wrong with them. Raises `Unavailable`."""
    faults: list[FieldError] = []
    messages: dict[str, Message] = {}
    uses: dict[str, set[str]] = {}
    for language, key, part in parts:
        faults += content.missing_in(part, language)
        if part.subject is None or not part.is_written:
            continue
        messages[key] = await _message(part, charset, language, mark, faults)
        for place, source in part.sources:
            report = await content.checked(source, names)
            # It was right when it was written; what it names may have been removed since.
            faults += _mistakes(report, language, "subject" if place == "subject" else "body")
            content.note_uses(uses, report)
    return messages, uses, faults


def parts_of(
    campaign: Campaign, languages: tuple[str, ...], ab_test: ABTestPlan | None, *, test: bool
) -> list[tuple[str, str, Part]]:
    """Language, name of the message and sources of all that has to be prepared."""
    own = {language: campaign.content.part(language) for language in languages}
    variants = () if ab_test is None else ab_test.variants
    if test and variants:
        return [(language, language, variants[0].part(language, part)) for language, part in own.items()]
    found = [(language, language, part) for language, part in own.items()]
    for number, variant in enumerate(variants, 1):
        made = {language: variant.part(language, part) for language, part in own.items()}
        found += [(language, f"{language}/{number}", part) for language, part in made.items() if part != own[language]]
    return found


async def _subscription(db: Database, campaign: Campaign, table: ProfileTable) -> int | None:
    return subscription_of(campaign.target, table, await audiences_of(db, campaign.licence_id, campaign.target))


def _is_once_per_address(campaign: Campaign) -> bool:
    """Whether profiles with one address get one mail together. Each trigger is an event of its own."""
    return campaign.kind is Kind.MASS and campaign.target is not None and campaign.target.once_per_address


async def sender_of(db: Database, campaign: Campaign) -> Identity:
    """Who a campaign comes from: what it says, filled up with what the entity says."""
    known = await identity_of(db, campaign.entity_id)
    name, address = name_and_address(campaign.settings.sender or "")
    host = urlsplit(content.public_url()).hostname or "localhost"
    fallback = known.address if known else f"no-reply@{host if '.' in host else 'localhost.localdomain'}"
    reply_to = campaign.settings.reply_to or (known.reply_to if known else "")
    return Identity(name or (known.name if known else ""), address or fallback, reply_to)


def _goals(campaign: Campaign, sender_address: str) -> goals.Parameters:
    """What the links carry. What an earlier version took and cannot be read has no effect, as before."""
    said = campaign.settings.goal_tracking
    try:
        return goals.complete(goals.read(None if said is None else str(said)), sender_address)
    except goals.BadGoals:
        return ()


async def _message(part: Part, charset: str, language: str, mark: str, faults: list[FieldError]) -> Message:
    prepared = await content.prepared(part, mark, _PIXEL)
    faults += [_mistake(each, language, "body") for each in prepared.errors]
    html = content.in_language(part, declared(prepared.html, charset), language)
    return Message(part.subject or "", html, prepared.text)


def _mistakes(report: Report, language: str, what: str) -> list[FieldError]:
    return [_mistake(each, language, what) for each in report.mistakes]


def _mistake(mistake: Mistake, language: str, what: str) -> FieldError:
    message = f"{language.upper()}: line {mistake.line}, column {mistake.column}: {mistake.message}"
    return FieldError(f"content.{what}", mistake.code, message)


__all__ = ["Identity", "document_of", "parts_of", "sender_of"]
