"""The use case of reports: one snapshot of a campaign's mails, by all that they can be told apart by."""

import html
import re
from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from tabellion.features.campaigns import Campaign, get_campaign
from tabellion.features.delivery import Document, sending_of
from tabellion.features.tracking import report_store
from tabellion.features.tracking.report_store import Scope
from tabellion.features.tracking.reporting import MOST_HOURS, LinkFigures, Report, bucket_of
from tabellion.kit.problem import invalid
from tabellion.platform.http.call import Incoming


async def report(
    call: Incoming, from_at: datetime | None, to_at: datetime | None, bucket: str | None
) -> tuple[Campaign, Report]:
    """The campaign of the path, and what became of its mails. Raises `CampaignUnknown`, `Invalid`."""
    async with call.db.transaction():
        await report_store.begin(call.db)
        campaign = await get_campaign(call)
        by = _bucket(campaign, from_at, to_at, bucket, call.now)
        scope = Scope(campaign.licence_id, campaign.id, from_at, to_at)
        summary = await report_store.summary(call.db, scope)
        sending = await sending_of(call.db, campaign.id)
        links = await report_store.links(call.db, scope)
        devices, actors = await report_store.doings(call.db, scope)
        return campaign, Report(
            summary=summary,
            bounces=await report_store.bounces(call.db, scope),
            links=links if sending is None else _as_written(links, sending.document),
            devices=devices,
            actors=actors,
            bucket=by,
            points=await report_store.points(call.db, scope, by, str(call.caller.time_zone)),
        )


def _bucket(campaign: Campaign, from_at: datetime | None, to_at: datetime | None, said: str | None, now: datetime) -> str:
    """By hour or day: as it was said, or by how long the campaign, or the span that is asked for, has been going."""
    began_at = max(moment for moment in (campaign.started_at or campaign.created_at, from_at) if moment is not None)
    ends_at = now if to_at is None else min(to_at, now)
    if said == "hour" and ends_at - began_at > MOST_HOURS:
        message = f"'bucket' hour is for at most {MOST_HOURS.days} days; take day, or a span by 'from' and 'to'"
        raise invalid("bucket", "parameter.invalid", message)
    return said or bucket_of(began_at, ends_at)


def _as_written(links: Sequence[LinkFigures], document: Document) -> list[LinkFigures]:
    """Links with the addresses of the contents, which may hold names of data where mails hold the data."""
    written: dict[tuple[str, int | None], str] = {}
    mark = re.escape(document.mark)
    for language, message in document.messages.items():
        for found in re.finditer(f"{mark}([0-9]+):(.*?){mark}", message.html, re.DOTALL):
            written[language, int(found[1])] = html.unescape(found[2]).strip()
    # A mail in a language, or a variant, that has no message of its own got another one.
    only = next(iter(document.messages), "")

    def address(each: LinkFigures) -> str:
        for key in (f"{each.language}/{each.variant}", each.language or "", only):
            if key in document.messages:
                return written.get((key, each.link), each.address)
        return each.address

    return [replace(each, address=address(each)) if each.link is not None else each for each in links]
