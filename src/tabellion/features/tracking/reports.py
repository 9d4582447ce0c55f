"""The use case of reports: one snapshot of a campaign's mails, by all that they can be told apart by."""

import re
from collections.abc import Sequence
from datetime import datetime
from itertools import product

from msgspec.structs import replace

from tabellion.features.campaigns import Campaign, Kind, explain_pending, get_campaign
from tabellion.features.delivery import Document, Scope, ab_tests, sending_of, sums
from tabellion.features.tracking import report_store
from tabellion.features.tracking.reporting import MOST_HOURS, LinkFigures, Report, Summary, Tested, bucket_of
from tabellion.kit.problem import invalid
from tabellion.platform.http.call import Incoming
from tabellion.platform.templates import address_text

_NAME = re.compile(r"\{\{-?\s*(\w+)\s*-?\}\}")
# Names in contents that lead to pages of the server's own.
_PAGES = frozenset({"unsubscribeUrl", "onlineUrl", "preferencesUrl", "openUrl", "trapUrl"})


async def report(
    call: Incoming, from_at: datetime | None, to_at: datetime | None, bucket: str | None
) -> tuple[Campaign, Report]:
    """The campaign of the path, and what became of its mails. Raises `CampaignUnknown`, `Invalid`."""
    async with call.db.transaction():
        await sums.begin(call.db)
        campaign = await get_campaign(call)
        by = _bucket(campaign, from_at, to_at, bucket, call.now)
        scope = await _scope(call, campaign, from_at, to_at)
        facts = await sums.read(call.db, scope, bucket=by, zone=str(call.caller.time_zone))
        summary, links = report_store.summary(facts), report_store.links(facts)
        sending = await sending_of(call.db, campaign.id)
        return campaign, Report(
            summary=summary,
            bounces=report_store.bounces(facts),
            links=links if sending is None else _as_written(links, sending.document, summary),
            ab_test=None if sending is None else await _tested(call, campaign, sending.document),
            devices=report_store.doings(facts, "device"),
            actors=report_store.doings(facts, "actor"),
            bucket=by,
            points=report_store.points(facts),
            pending=await explain_pending(call, campaign, scope, summary.pending),
        )


async def _scope(call: Incoming, campaign: Campaign, from_at: datetime | None, to_at: datetime | None) -> Scope:
    """What is asked for; a span that has all of a mass campaign, which was planned at one moment, is all of it."""
    scope = Scope(campaign.licence_id, campaign.id, from_at, to_at)
    if campaign.kind is Kind.MASS and not scope.whole:
        at = await sums.planned_at(call.db, campaign.licence_id, campaign.id)
        if at is not None and (from_at is None or from_at <= at) and (to_at is None or at < to_at):
            return Scope(campaign.licence_id, campaign.id)
    return scope


async def _tested(call: Incoming, campaign: Campaign, document: Document) -> Tested | None:
    if document.ab_test is None:
        return None
    decision = await ab_tests.decision_of(call.db, campaign.id)
    if decision.winner is not None:
        return Tested(document.ab_test, decision, decision.results or [])
    return Tested(document.ab_test, decision, await ab_tests.results_of(call.db, campaign.licence_id, campaign.id))


def _bucket(campaign: Campaign, from_at: datetime | None, to_at: datetime | None, said: str | None, now: datetime) -> str:
    """By hour or day: as it was said, or by how long the campaign, or the span that is asked for, has been going."""
    began_at = max(moment for moment in (campaign.started_at or campaign.created_at, from_at) if moment is not None)
    ends_at = now if to_at is None else min(to_at, now)
    if said == "hour" and ends_at - began_at > MOST_HOURS:
        message = f"'bucket' hour is for at most {MOST_HOURS.days} days; take day, or a span by 'from' and 'to'"
        raise invalid("bucket", "parameter.invalid", message)
    return said or bucket_of(began_at, ends_at)


def _as_written(links: Sequence[LinkFigures], document: Document, summary: Summary) -> list[LinkFigures]:
    """Links with the addresses of the contents, which may hold names of data where mails hold the data.

    Behind those that were followed come the others of the contents that were sent.
    """
    written: dict[tuple[str, int | None], str] = {}
    mark = re.escape(document.mark)
    for language, message in document.messages.items():
        for found in re.finditer(f"{mark}([0-9]+):(.*?){mark}", message.html or message.text, re.DOTALL):
            written[language, int(found[1])] = address_text(found[2]) if message.html else found[2]
    # A mail in a language, or a variant, that has no message of its own got another one.
    only = next(iter(document.messages), "")

    def content(language: str | None, variant: int | None) -> str:
        return next((key for key in (f"{language}/{variant}", language or "") if key in document.messages), only)

    def address(each: LinkFigures) -> str:
        return written.get((content(each.language, each.variant), each.link), each.address)

    followed = [replace(each, address=address(each)) if each.link is not None else each for each in links]
    known = {(each.language, each.variant, each.link) for each in links}
    sent = [language for language, figures in sorted(summary.languages.items()) if figures.sent]
    variants = [variant for variant, figures in summary.variants.items() if figures.sent] or [None]
    others = [
        LinkFigures(language, variant, link, text, 0, 0)
        for language, variant in product(sent, variants)
        for (key, link), text in written.items()
        if key == content(language, variant) and (language, variant, link) not in known and _is_followed(text)
    ]
    return [*followed, *others[: max(sums.MOST_LINKS - len(followed), 0)]]


def _is_followed(address: str) -> bool:
    """Whether who follows a link of a content is led through the server and counted."""
    name = _NAME.fullmatch(address)
    return address.lower().startswith(("http://", "https://")) or (
        address.startswith("{{") and (name is None or name[1] not in _PAGES)
    )
