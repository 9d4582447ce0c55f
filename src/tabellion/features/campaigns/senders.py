"""What receivers know of a campaign's sender, and for which launches that counts."""

import asyncio
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tabellion.features import delivery
from tabellion.features.audiences import is_over
from tabellion.features.campaigns import service
from tabellion.features.campaigns.checks import Finding, Network, check_sender, error, network, warning
from tabellion.features.campaigns.checks.domains import Sender
from tabellion.features.campaigns.errors import SenderRefused
from tabellion.features.campaigns.launching import sender_of
from tabellion.features.campaigns.model import Campaign, Event, Kind, after
from tabellion.features.tables import ProfileTable
from tabellion.kit.problem import FieldError, Invalid
from tabellion.platform.database.connection import Database
from tabellion.platform.http.call import Incoming
from tabellion.platform.mail import address_of

# Whoever sends more than this in a day is a bulk sender to large mailbox providers, which refuse their mails without these.
BULK_RECIPIENTS = 5_000
# A launch holds a connection while name servers are asked.
_LAUNCH_WAITS_S = 5.0
_DEMANDED = frozenset({
    "sender.domain", "sender.local", "spf.missing", "spf.several", "dkim.missing", "dkim.unpublished", "dkim.mismatch",
    "dkim.unreadable", "dmarc.missing", "dmarc.several", "dmarc.unaligned",
})  # fmt: skip
_LOCAL = frozenset({"internal", "local", "localdomain", "localhost"})


class Known(NamedTuple):
    """What is known of a sender without asking anybody.

    `leaves`: mails go to a relay, or wait for one. `to_ask` None: nobody is asked, because there is no address, or none
    that others know.
    """

    leaves: bool
    findings: list[Finding]
    to_ask: Sender | None


async def known_of(db: Database, campaign: Campaign, around: Network) -> Known:
    """Who a campaign comes from."""
    identity = await sender_of(db, campaign)
    facts = await delivery.sender_facts(db, campaign.licence_id, campaign.entity_id, identity.address)
    findings: list[Finding] = []
    if facts.waits:
        message = "the licence has no relay any more: mails wait until it has one"
        advice = "name a relay, with tabellion relay add, or have mails kept in the outbox, with tabellion relay outbox"
        findings.append(error("relay.missing", message, advice))
    elif not facts.leaves:
        message = "the licence has no relay: mails stay in the outbox"
        findings.append(warning("relay.missing", message, "name a relay, with tabellion relay add"))
    if facts.dkim_record is None:
        message = "the key of the sender's signatures cannot be read, and no mail can leave: another server has sealed it"
        advice = "give the server that one's TABELLION_SECRET_KEY or secret.key, or the sender another selector"
        return Known(facts.leaves, [*findings, error("dkim.unreadable", message, advice)], None)
    address = address_of(identity.address)
    if address is None:
        return Known(facts.leaves, findings, None)
    domain = address.rpartition("@")[2].lower()
    if _is_local(domain):
        # Nothing has left while there is no relay, and whoever tries things out need not set up a sender first.
        severity = error if facts.leaves else warning
        message = f"mails come from {address}, and nobody outside of this network knows {domain}"
        findings.append(severity("sender.local", message, "set the entity's sender, with tabellion sender set"))
        return Known(facts.leaves, findings, None)
    if not facts.dkim_record:
        advice = "give the sender a selector, and publish its key"
        findings.append(warning("dkim.missing", "mails are not signed (DKIM)", advice))
    returns_to = facts.bounce_domain or around.bounce_domain or domain
    return Known(facts.leaves, findings, Sender(address, returns_to, facts.dkim_name, facts.dkim_record))


async def asked(known: Known, around: Network, within_s: float | None = None) -> list[Finding]:
    """What name servers say of a sender. Never raises for what they answer, nor when they take longer than `within_s`."""
    if known.to_ask is None:
        return []
    try:
        async with asyncio.timeout(within_s):
            return await check_sender(known.to_ask, around.names)
    except TimeoutError:
        message = f"the sender's domain was not looked at: name servers took more than {within_s:g} s"
        return [warning("sender.unchecked", message, "look again later")]


async def is_bulk(db: Database, campaign: Campaign, table: ProfileTable, zone: ZoneInfo, now: datetime) -> bool:
    """Whether a launch is for so many that large mailbox providers look at the sender's domain."""
    if campaign.kind is not Kind.MASS or campaign.target is None:
        return False
    try:
        return await is_over(db, table, campaign.target, BULK_RECIPIENTS, zone, now)
    except Invalid:
        # The target does not fit the table, for which the launch is refused anyhow.
        return False


def demanded(finding: Finding) -> bool:
    """Whether large mailbox providers refuse mails to many for this."""
    return finding.code in _DEMANDED


class Looked(NamedTuple):
    """What was found of the sender of a campaign, as the campaign was in a version.

    `refused`: for what a launch is refused; `notice`: that nobody could be asked.
    """

    version: int
    refused: list[Finding]
    notice: str | None


async def look_before_launch(call: Incoming) -> Looked:
    """What large mailbox providers would refuse the campaign of the path for, if it is for many and mails leave.

    Raises `CampaignUnknown`.
    """
    campaign = await service.get(call)
    nothing = Looked(campaign.version, [], None)
    if campaign.kind is not Kind.MASS or after(campaign.kind, campaign.state, Event.SCHEDULE) is None:
        return nothing
    around = network()
    known = await known_of(call.db, campaign, around)
    if not known.leaves:
        return nothing
    table = await service.table_of(call, campaign)
    if not await is_bulk(call.db, campaign, table, call.caller.time_zone, call.now):
        return nothing
    found = [*known.findings, *await asked(known, around, _LAUNCH_WAITS_S)]
    notice = next((finding.message for finding in found if finding.code == "sender.unchecked"), None)
    return Looked(campaign.version, [finding for finding in found if demanded(finding)], notice)


def refusal(found: list[Finding]) -> SenderRefused:
    """The refusal of a launch for what was found."""
    faults = [FieldError("from", finding.code, f"{finding.message}; {finding.advice}") for finding in found]
    what = "; ".join(finding.message for finding in found)
    message = f"large mailbox providers refuse campaigns to more than {BULK_RECIPIENTS:,} from this sender: {what}"
    return SenderRefused(f"{message}. Mend it, or launch with 'overrideSenderCheck' and the reason", errors=faults)


def _is_local(domain: str) -> bool:
    """Whether a domain, by its name, is no public one: an address of the server, or of a network of its own."""
    last = domain.rpartition(".")[2]
    return "." not in domain or last.isdigit() or last in _LOCAL
