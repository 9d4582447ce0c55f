"""The checklist before a launch: what keeps it from being launched, and what readers and receivers would take amiss."""

from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from msgspec.structs import replace

from tabellion.features.audiences import audiences_of
from tabellion.features.campaigns import content, senders, service, store
from tabellion.features.campaigns.checks import Finding, check_links, network, warning
from tabellion.features.campaigns.errors import CampaignIncomplete
from tabellion.features.campaigns.forecasting import forecast
from tabellion.features.campaigns.languages import spelt
from tabellion.features.campaigns.launching import document_of
from tabellion.features.campaigns.model import ABTestPlan, Campaign, Kind, Part
from tabellion.features.campaigns.sampling import Found, Written, trial
from tabellion.features.delivery import Document, Forecast
from tabellion.features.tables import ProfileTable
from tabellion.features.tables.filters import demanded_subscriptions
from tabellion.platform.http.call import Incoming
from tabellion.platform.templates import Prepared, checklist

_LEAVING = frozenset({"html.unsubscribe", "text.unsubscribe"})
_WEB = ("https://", "http://")


class Severity(StrEnum):
    """What becomes of a launch: refused, or possible and not advised, or possible."""

    BLOCKING = "BLOCKING"
    ERROR = "ERROR"
    WARNING = "WARNING"


class Item(NamedTuple):
    """One thing to look at; `languages`, or `variants` of the A/B test, empty: it is the same for all."""

    severity: Severity
    code: str
    message: str
    advice: str
    languages: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()


class Checklist(NamedTuple):
    """All things to look at, the worst first. `recipients`: how many mails it would be now, if that is known."""

    campaign: Campaign
    items: list[Item]
    addresses: int
    looked_at: int
    recipients: Forecast | None


async def check(call: Incoming) -> Callable[[], Awaitable[Checklist]]:
    """The checklist of the campaign of the path: what needs the database at once, what needs others when it is called.

    Raises `CampaignUnknown`, `Unavailable`.
    """
    campaign = await service.get(call)
    table = await service.table_of(call, campaign)
    plan = await store.ab_test(call.db, campaign.id) if campaign.kind is Kind.MASS else None
    written = _written(campaign, plan)
    items, document = await _blocking(call, campaign, table, plan)
    items += _of_server()
    tried = None if document is None else await trial(call, campaign, table, document)
    if document is not None and tried is not None:
        items += await _of_target(call, campaign, document, tried.meant)
    recipients = None if document is None else await forecast(call, campaign, table, document)
    items += _of_recipients(recipients)
    in_mails, urls = await _of_contents(campaign, written)
    around = network()
    known = await senders.known_of(call.db, campaign, around)
    refused = known.leaves and await senders.is_bulk(call.db, campaign, table, call.caller.time_zone, call.now)

    async def whole() -> Checklist:
        looked = await check_links(urls, around.client)
        in_trial = await tried.run(written) if tried else []
        # How long a mail is as it is sent is told instead of how long it is as it was written.
        long = {found.written for found in in_trial if found.finding.code == "html.large"}
        seen = [each for each in in_mails if each.finding.code != "html.large" or each.written not in long] + in_trial
        of_sender = [*known.findings, *await senders.asked(known, around)]
        every = [*items, *_of_mails(seen, written, campaign), *(_item(finding) for finding in looked.findings)]
        every += [_refused(finding) if refused and senders.demanded(finding) else _item(finding) for finding in of_sender]
        order = list(Severity)
        every.sort(key=lambda item: order.index(item.severity))
        return Checklist(campaign, every, looked.addresses, looked.looked_at, recipients)

    return whole


def _written(campaign: Campaign, plan: ABTestPlan | None) -> list[Written]:
    """All that is sent: with an A/B test its variants, and nothing else."""
    found: list[Written] = []
    for language in campaign.settings.supported_languages:
        key, own = language.lower(), campaign.content.part(language)
        if plan is None:
            found.append(Written(key, "", key, own))
        else:
            found += [
                Written(key, variant.name, f"{key}/{number}", variant.part(key, own))
                for number, variant in enumerate(plan.variants, 1)
            ]
    return found


async def _of_contents(campaign: Campaign, written: Sequence[Written]) -> tuple[list[Found], list[str]]:
    """What is seen in contents as they were written, and the addresses to ask for."""
    found: list[Found] = []
    urls: list[str] = []
    unsubscribe = None if campaign.kind is Kind.TRANSACTIONAL else (content.UNSUBSCRIBE,)
    made_of: dict[Part, Prepared] = {}
    for each in written:
        part = each.part
        if part.subject is None or not part.is_written:
            continue
        body = replace(part, subject=None)
        if body not in made_of:
            made_of[body] = await content.made_of(part)
            urls += _addresses(made_of[body])
        made = made_of[body]
        found += [Found(finding, each) for finding in checklist(part.subject, made, unsubscribe=unsubscribe)]
        for note in made.notes:
            message = f"line {note.line}, column {note.column}: {note.message}"
            finding = warning(note.code, message, "see whether it looks as it should")
            found.append(Found(finding, each))
    return found, urls


def _of_mails(found: Sequence[Found], written: Sequence[Written], campaign: Campaign) -> list[Item]:
    """Each finding once, with the languages and variants that it is about."""
    about: dict[Finding, list[Written]] = {}
    leaving: dict[tuple[Written, str], Finding] = {}
    for finding, each in found:
        # What a mail lacks as it was written need not be told again of those who get it.
        if finding.code not in _LEAVING or leaving.setdefault((each, finding.code), finding) == finding:
            about.setdefault(finding, []).append(each)
    languages = dict.fromkeys(each.language for each in written)
    variants = dict.fromkeys(each.variant for each in written)
    items: list[Item] = []
    for finding, places in about.items():
        spoken = [spelt(campaign, language) for language in languages if any(each.language == language for each in places)]
        named = [variant for variant in variants if any(each.variant == variant for each in places)]
        items.append(
            _item(
                finding,
                () if len(spoken) == len(languages) else tuple(spoken),
                () if len(named) == len(variants) else tuple(named),
            )
        )
    return items


async def _blocking(
    call: Incoming, campaign: Campaign, table: ProfileTable, plan: ABTestPlan | None
) -> tuple[list[Item], Document | None]:
    """What a launch would be refused for; else what it would send."""
    try:
        names = await service.names_in(call, campaign, table)
        document = await document_of(call.db, campaign, table, names, call.caller.time_zone, call.now, ab_test=plan)
    except CampaignIncomplete as error:
        advice = "a launch is refused until this is done"
        blocking = [Item(Severity.BLOCKING, fault.code, f"{fault.field}: {fault.message}", advice) for fault in error.errors]
        return blocking, None
    return [], document


async def _of_target(call: Incoming, campaign: Campaign, document: Document, meant: int) -> list[Item]:
    """What is odd about whom the campaign is for. `meant`: how many that are now."""
    target = campaign.target
    if target is None:
        return []
    found: list[Item] = []
    if campaign.kind is Kind.MASS and not meant:
        advice = "see whether it says what you mean: who is in it when the campaign begins gets a mail"
        found.append(Item(Severity.WARNING, "target.empty", "the target has nobody in it now", advice))
    if document.transactional or document.subscription is not None:
        return found
    audience = (
        None if target.audience is None else (await audiences_of(call.db, campaign.licence_id, target)).get(target.audience)
    )
    filters = (target.filter, None if audience is None else audience.definition.filter)
    names = [name for text in filters if text for name in demanded_subscriptions(text)]
    if names:
        message = (
            f"the target demands the subscription '{names[0]}' in its filter: whoever unsubscribes ends all mails of the "
            "licence, and not that subscription"
        )
        advice = f"""name it as 'subscription': "{names[0]}" in the target, and unsubscribing ends it alone"""
        found.append(Item(Severity.WARNING, "target.subscription", message, advice))
    return found


def _of_recipients(recipients: Forecast | None) -> list[Item]:
    if recipients is None or recipients.mails or not any(recipients.excluded.values()):
        return []
    why = ", ".join(f"{number} {reason}" for reason, number in sorted(recipients.excluded.items()) if number)
    message = f"nobody in the target would get a mail now: {why}"
    return [Item(Severity.WARNING, "target.empty", message, "see whether target and supportedLanguages say what you mean")]


def _of_server() -> list[Item]:
    url = urlsplit(content.public_url())
    host = url.hostname or ""
    try:
        local = not ip_address(host).is_global
    except ValueError:
        local = "." not in host
    if not local and url.scheme == "https":
        return []
    what = "which readers cannot reach" if local else "which is not https"
    message = f"links, pictures and the unsubscribe page of mails lead to {content.public_url()}, {what}"
    return [Item(Severity.WARNING, "server.publicUrl", message, "set TABELLION_PUBLIC_URL")]


def _addresses(made: Prepared) -> list[str]:
    """The addresses of a mail that are the same for everybody and not on this server."""
    links = [link.href for link in made.links if not link.dynamic]
    images = [image.source for image in made.images if not image.dynamic]
    own = f"{content.public_url()}/"
    return [url for url in (*links, *images) if url.lower().startswith(_WEB) and not url.startswith(own)]


def _item(finding: Finding, languages: tuple[str, ...] = (), variants: tuple[str, ...] = ()) -> Item:
    severity = Severity(finding.severity.value.upper())
    return Item(severity, finding.code, finding.message, finding.advice, languages, variants)


def _refused(finding: Finding) -> Item:
    """What large mailbox providers demand, and a launch to many is refused for."""
    advice = f"{finding.advice}; until then a launch to more than {senders.BULK_RECIPIENTS:,} is refused, unless it says"
    return Item(Severity.BLOCKING, finding.code, finding.message, f"{advice} 'overrideSenderCheck'")
