"""The checklist before a launch: what keeps it from being launched, and what readers and receivers would take amiss."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from tabellion.features.campaigns import content, senders, service
from tabellion.features.campaigns.checks import Finding, check_links, network
from tabellion.features.campaigns.errors import CampaignIncomplete
from tabellion.features.campaigns.launching import document_of
from tabellion.features.campaigns.model import Campaign, Kind
from tabellion.platform.http.call import Incoming
from tabellion.platform.templates import Prepared, checklist
from tabellion.platform.templates import Severity as Warn

_WEB = ("https://", "http://")


class Severity(StrEnum):
    """What becomes of a launch: refused, or possible and not advised, or possible."""

    BLOCKING = "BLOCKING"
    ERROR = "ERROR"
    WARNING = "WARNING"


class Item(NamedTuple):
    """One thing to look at; `languages` empty: it is the same for all."""

    severity: Severity
    code: str
    message: str
    advice: str
    languages: tuple[str, ...] = ()


class Checklist(NamedTuple):
    """All things to look at, the worst first."""

    campaign: Campaign
    items: list[Item]
    addresses: int
    looked_at: int


async def check(call: Incoming) -> Callable[[], Awaitable[Checklist]]:
    """The checklist of the campaign of the path: what needs the database at once, what needs others when it is called.

    Raises `CampaignUnknown`, `Unavailable`.
    """
    campaign = await service.get(call)
    items = await _blocking(call, campaign)
    found: dict[Finding, list[str]] = {}
    urls: list[str] = []
    for language in campaign.settings.supported_languages:
        part = campaign.content.part(language)
        if part.subject is None or not part.has_body:
            continue
        made = await content.made_of(part)
        unsubscribe = None if campaign.kind is Kind.TRANSACTIONAL else (content.UNSUBSCRIBE,)
        for finding in checklist(part.subject, made, unsubscribe=unsubscribe):
            found.setdefault(finding, []).append(language)
        for note in made.notes:
            message = f"line {note.line}, column {note.column}: {note.message}"
            found.setdefault(Finding(Warn.WARNING, note.code, message, "see whether it looks as it should"), []).append(
                language
            )
        urls += _addresses(made)
    everywhere = len(campaign.settings.supported_languages)
    items += [
        _item(finding, () if len(languages) == everywhere else tuple(languages)) for finding, languages in found.items()
    ]
    items += _of_server()
    around = network()
    known = await senders.known_of(call.db, campaign, around)
    table = await service.table_of(call, campaign)
    refused = known.has_relay and await senders.is_bulk(call.db, campaign, table, call.caller.time_zone, call.now)

    async def whole() -> Checklist:
        looked = await check_links(urls, around.client)
        of_sender = [*known.findings, *await senders.asked(known, around)]
        every = [*items, *(_item(finding) for finding in looked.findings)]
        every += [_refused(finding) if refused and senders.demanded(finding) else _item(finding) for finding in of_sender]
        order = list(Severity)
        every.sort(key=lambda item: order.index(item.severity))
        return Checklist(campaign, every, looked.addresses, looked.looked_at)

    return whole


async def _blocking(call: Incoming, campaign: Campaign) -> list[Item]:
    """What a launch would be refused for."""
    table = await service.table_of(call, campaign)
    try:
        names = await service.names_in(call, campaign)
        await document_of(call.db, campaign, table, names, call.caller.time_zone, call.now)
    except CampaignIncomplete as error:
        return [
            Item(Severity.BLOCKING, fault.code, f"{fault.field}: {fault.message}", "a launch is refused until this is done")
            for fault in error.errors
        ]
    return []


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


def _item(finding: Finding, languages: tuple[str, ...] = ()) -> Item:
    return Item(Severity(finding.severity.value.upper()), finding.code, finding.message, finding.advice, languages)


def _refused(finding: Finding) -> Item:
    """What large mailbox providers demand, and a launch to many is refused for."""
    advice = f"{finding.advice}; until then a launch to more than {senders.BULK_RECIPIENTS:,} is refused, unless it says"
    return Item(Severity.BLOCKING, finding.code, finding.message, f"{advice} 'overrideSenderCheck'")
