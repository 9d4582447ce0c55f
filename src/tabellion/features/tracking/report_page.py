"""A report as a page, and its charts as a file: in themselves, without scripts or anything from elsewhere. Pure."""

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from zoneinfo import ZoneInfo

from tabellion.features.tracking import charts
from tabellion.features.tracking.reporting import Point, Report
from tabellion.features.tracking.wire import ReportOut

_STYLE = charts.STYLE + Path(__file__).with_name("report.css").read_text().replace("\n", "")
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
CHART_HEADERS = HEADERS | {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
_FIGURES = (
    ("Sent", "sent"), ("Delivered", "delivered"), ("Opened", "unique_opens"), ("Clicked", "unique_clicks"),
    ("Bounced", ""), ("Unsubscribed", "unsubscribes"), ("Complaints", "complaints"),
)  # fmt: skip
_DOINGS = (
    ("Opens", "opens"), ("Mails opened", "unique_opens"), ("Clicks", "clicks"), ("Mails clicked", "unique_clicks"),
)  # fmt: skip
_TESTED = (("Sent", "sent"), ("Opened", "opened"), ("Clicked", "clicked"), ("Unsubscribed", "unsubscribed"))
_EXCLUDED = {
    "noAddress": "no address",
    "unsubscribed": "unsubscribed",
    "suppressed": "suppressed address",
    "language": "other language",
    "deleted": "profile deleted",
    "cancelled": "campaign cancelled",
    "failed": "mail could not be written",
    "pressure": "contact pressure limit",
    "duplicateAddress": "address of another profile, which gets the mail",
}


_WAITS = {
    "ready": "ready to leave",
    "leaving": "leaving right now",
    "retry": "put off by a relay, and tried again",
    "hours": "sending hours of the recipient",
    "domain": "room at the recipient's domain",
    "winner": "the winner of the A/B test",
}


def page(out: ReportOut, report: Report, zone: ZoneInfo) -> bytes:
    """The whole page."""
    title = escape(out.display_name)
    funnel, timeline = _drawings(out, report, zone)
    over_time = charts.drawing(*timeline, "Opens and clicks over time") + _times(report, zone)
    bounces = [(f"{b.kind.lower()}, {b.status or 'no status'}, told by {b.reported.lower()}", b.count) for b in out.bounces]
    domains = [("all others" if each.domain == "*" else each.domain, each) for each in out.domains]
    sections = [
        _section("Still to send", _pending(out, zone)),
        _section("Way of the mails", charts.drawing(*funnel, "Way of the mails")),
        _section(f"Over time, by {out.timeline.bucket}", over_time),
        _section("Links", _links(out)),
        _section("Languages", _table("Language", [(each.language, each) for each in out.languages], _FIGURES)),
        _section("Domains", _table("Domain", domains, _FIGURES)),
        _section("Variants", _table("Variant", [(each.name, each) for each in out.variants], _FIGURES)),
        _section("A/B test", _ab_test(out, zone)),
        _section("Devices of people", _table("Device", [(each.device, each) for each in out.devices], _DOINGS)),
        _section("People and machines", _table("Who", [(each.actor, each) for each in out.actors], _DOINGS) + _NOTE),
        _section("Bounces", _counts("Class", bounces)),
        _section("Left out", _counts("Why", [(_EXCLUDED.get(name, name), count) for name, count in out.excluded.items()])),
    ]
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,'
        f'initial-scale=1"><title>{title} · report</title><style>{_STYLE}</style></head><body><main><header>'
        f'<p class="soft">Campaign {out.campaign_id} · {escape(out.campaign_name)}</p><h1>{title}</h1>'
        f'<p class="soft">{_standing(out, zone)}</p>{_tiles(out)}</header>{"".join(sections)}</main></body></html>'
    )
    return text.encode()


def chart(out: ReportOut, report: Report, zone: ZoneInfo, style: str = charts.STYLE) -> bytes:
    """The charts as an SVG file."""
    funnel, timeline = _drawings(out, report, zone)
    parts = [("Way of the mails", *funnel), (f"Over time, by {out.timeline.bucket}", *timeline)]
    return charts.document(out.display_name, parts, style).encode()


def _drawings(out: ReportOut, report: Report, zone: ZoneInfo) -> tuple[tuple[str, int], tuple[str, int]]:
    totals = out.totals
    steps = [
        ("Targeted", out.targeted), ("Sent", totals.sent), ("Delivered", totals.delivered), ("Opened", totals.unique_opens),
        ("Clicked", totals.unique_clicks),
    ]  # fmt: skip
    return charts.funnel(steps, out.targeted, "those targeted"), charts.timeline(report.points, report.bucket, zone)


_NOTE = (
    '<p class="soft">human: people. proxy: mail services that fetch pictures for people, sometimes before they read. '
    "scanner: gateways and robots, which count nowhere else.</p>"
)


def _pending(out: ReportOut, zone: ZoneInfo) -> str:
    """What delays all, and what each waits for."""
    delays = "".join(f'<p class="notice">{escape(each.message)}{_until(each.until, zone)}.</p>' for each in out.delays)
    waits = [
        (_WAITS[each.reason], each.mails, *each.details, *([f"first: {_moment(each.until, zone)}"] if each.until else []))
        for each in out.waits
    ]
    return delays + _counts("Wait for", waits)


def _until(moment: str | None, zone: ZoneInfo) -> str:
    return f", until {_moment(moment, zone)}" if moment else ""


def _moment(moment: str, zone: ZoneInfo) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(zone):%d %b %Y, %H:%M}"


def _standing(out: ReportOut, zone: ZoneInfo) -> str:
    words = [out.state.lower().replace("_", " ")]
    for word, moment in (("began", out.started_at), ("ended", out.ended_at), ("as of", out.made_at)):
        if moment:
            words.append(f"{word} {_moment(moment, zone)}")
    return escape(f"{' · '.join(words)} ({out.time_zone})")


def _tiles(out: ReportOut) -> str:
    totals, rates = out.totals, out.rates
    tiles = [
        ("Sent", totals.sent, None, ""),
        ("Delivered", totals.delivered, rates.delivery_rate, "of sent"),
        ("Opened", totals.unique_opens, rates.open_rate, "of delivered"),
        ("Clicked", totals.unique_clicks, rates.click_rate, "of delivered"),
        ("Bounced", totals.soft_bounces + totals.hard_bounces, rates.bounce_rate, "of sent"),
        ("Unsubscribed", totals.unsubscribes, rates.unsubscribe_rate, "of delivered"),
        ("Complaints", totals.complaints, rates.complaint_rate, "of delivered"),
    ]
    if out.pending:
        tiles.append(("Still to send", out.pending, None, ""))
    if out.uncertain:
        tiles.append(("Uncertain", out.uncertain, None, ""))
    shown = "".join(
        f"<div><dt>{name}</dt><dd>{count:,}<small>{'' if rate is None else f'{rate:.2%} {of}'}</small></dd></div>"
        for name, count, rate, of in tiles
    )
    return f"<dl>{shown}</dl>"


def _section(heading: str, content: str) -> str:
    return f"<section><h2>{escape(heading)}</h2>{content}</section>" if content else ""


def _links(out: ReportOut) -> str:
    rows = [
        (f"{each.address} ({each.language})" if each.language and len(out.languages) > 1 else each.address, each)
        for each in out.links
    ]
    return _table("Link", rows, (("Clicks", "clicks"), ("Mails clicked", "unique_clicks")))


def _ab_test(out: ReportOut, zone: ZoneInfo) -> str:
    """What the winner was chosen by: the figures by variant hold the mails of the others, too."""
    test = out.ab_test
    if test is None:
        return ""
    words = "No winner has been chosen yet."
    if test.winner is not None:
        since = f" on {_moment(test.decided_at, zone)}" if test.decided_at else ""
        by = {"OPENS": "by opens", "CLICKS": "by clicks"}.get(test.criterion, "by hand")
        words = f"{test.winner} was chosen{since}, {by}. These are the figures of the test at that moment."
    rows = [(each.name, each) for each in test.results]
    return f'<p class="soft">{escape(words)}</p>{_table("Variant", rows, _TESTED)}'


def _times(report: Report, zone: ZoneInfo) -> str:
    """The same as a table, for those who do not see drawings."""

    def words(point: Point) -> str:
        local = point.start.astimezone(zone)
        return f"{local:%d %b %Y %H:%M %Z}" if report.bucket == "hour" else f"{local:%d %b %Y}"

    rows = [(words(point), point) for point in report.points]
    columns = (("Sent", "sent"), *_DOINGS, ("Unsubscribed", "unsubscribes"))
    return f"<details><summary>As a table</summary>{_table('Time', rows, columns)}</details>" if rows else ""


def _table(first: str, rows: Sequence[tuple[str, object]], columns: Sequence[tuple[str, str]]) -> str:
    """A table; on a telephone, where its columns have no room, each figure stands with the name of its column."""
    if not rows:
        return ""
    heads = "".join(f'<th scope="col">{name}</th>' for name, _ in columns)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f'<td data-name="{column}">{_count(each, field):,}</td>' for column, field in columns)
        + "</tr>"
        for name, each in rows
    )
    return f'<table class="wide"><thead><tr><th scope="col">{first}</th>{heads}</tr></thead><tbody>{body}</tbody></table>'


def _count(each: object, field: str) -> int:
    """A figure; without a name, all bounces."""
    if field:
        return getattr(each, field)
    return getattr(each, "soft_bounces", 0) + getattr(each, "hard_bounces", 0)


def _counts(first: str, rows: Sequence[tuple[str, int, *tuple[str, ...]]]) -> str:
    """A table of numbers; what more there is to say of a row stands below its name."""
    if not rows:
        return ""
    body = "".join(
        f'<tr><th scope="row">{escape(name)}'
        + "".join(f'<span class="soft">{escape(line)}</span>' for line in below)
        + f"</th><td>{count:,}</td></tr>"
        for name, count, *below in rows
    )
    return (
        f'<table><thead><tr><th scope="col">{first}</th><th scope="col">Mails</th></tr></thead><tbody>{body}</tbody></table>'
    )
