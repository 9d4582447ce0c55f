"""The report calls (v5): figures as JSON and CSV, as a page, a drawing and a picture."""

from collections.abc import Callable
from typing import Any

from tabellion.features.campaigns import PENDING_EXAMPLE
from tabellion.features.tables import ENTITY
from tabellion.features.tables.filters import query_moment
from tabellion.features.tracking import charts, report_csv, report_page, reports, wire
from tabellion.features.tracking.reporting import Report
from tabellion.kit.problem import invalid
from tabellion.platform import pictures
from tabellion.platform.http.call import Answer, Call, Incoming, Parameter

_PATH = "/v5/entities/{e}/mails/{c}/report"


async def read(call: Incoming) -> Answer:
    """The report as a document."""
    out, _ = await _report(call)
    return Answer(200, out)


async def csv(call: Incoming) -> Answer:
    """The report as a table for spreadsheets."""
    out, _ = await _report(call)
    return _file(report_csv.table(out), f"report-{out.campaign_id}.csv", {"X-Content-Type-Options": "nosniff"})


async def page(call: Incoming) -> Answer:
    """The report as a page."""
    out, report = await _report(call)
    return Answer(200, content=report_page.page(out, report, call.caller.time_zone), headers=report_page.HEADERS)


async def chart(call: Incoming) -> Answer:
    """The charts of the report as a file."""
    out, report = await _report(call)
    drawn = report_page.chart(out, report, call.caller.time_zone)
    return _file(drawn, f"report-{out.campaign_id}.svg", report_page.CHART_HEADERS)


async def picture(call: Incoming) -> Answer:
    """The charts of the report as a picture."""
    out, report = await _report(call)
    drawn = report_page.chart(out, report, call.caller.time_zone, charts.PLAIN_STYLE)
    return _file(await pictures.png(drawn), f"report-{out.campaign_id}.png", report_page.HEADERS)


async def _report(call: Incoming) -> tuple[wire.ReportOut, Report]:
    begin, end = (query_moment(call.query.first(name), name, call.caller.time_zone) for name in ("from", "to"))
    bucket = (call.query.first("bucket") or "").lower() or None
    if bucket not in {None, "hour", "day"}:
        raise invalid("bucket", "parameter.invalid", "'bucket' expects hour or day")
    campaign, report = await reports.report(call, begin, end, bucket)
    return wire.report_out(campaign, report, call.caller.time_zone, call.now), report


def _file(content: bytes, name: str, headers: Any) -> Answer:
    return Answer(200, content=content, name=name, headers=headers)


_FIGURES = {
    "sent": 980, "delivered": 971, "softBounces": 6, "hardBounces": 3, "opens": 620, "uniqueOpens": 410, "clicks": 130,
    "uniqueClicks": 95, "unsubscribes": 4, "complaints": 0,
}  # fmt: skip
_DOINGS = {"opens": 620, "uniqueOpens": 410, "clicks": 130, "uniqueClicks": 95}
_EXAMPLE: dict[str, Any] = {
    "campaignId": 4711,
    "campaignName": "SpringOffer",
    "displayName": "Spring offer",
    "sendingMode": "MASS",
    "state": "IN_PROGRESS",
    "startedAt": "2027-03-02T09:00:00.000Z",
    "endedAt": None,
    "timeZone": "Europe/Brussels",
    "madeAt": "2027-03-02T09:30:00.000Z",
    "targeted": 1430,
    "excluded": {"noAddress": 3, "suppressed": 5, "unsubscribed": 12},
    **PENDING_EXAMPLE,
    "uncertain": 0,
    "totals": _FIGURES,
    "rates": {
        "deliveryRate": 0.9908, "bounceRate": 0.0092, "openRate": 0.4222, "clickRate": 0.0978, "clickToOpenRate": 0.2317,
        "unsubscribeRate": 0.0041, "complaintRate": 0.0,
    },
    "bounces": [{"class": "HARD", "reported": "RELAY", "status": "5.1.1", "count": 3}],
    "links": [
        {
            "language": "NL", "variant": None, "link": 0, "address": "https://www.example.com/spring", "clicks": 130,
            "uniqueClicks": 95,
        },
    ],
    "languages": [{**_FIGURES, "language": "NL"}],
    "domains": [{**_FIGURES, "domain": "example.com"}],
    "variants": [],
    "abTest": None,
    "devices": [{**_DOINGS, "device": "mobile"}],
    "actors": [{**_DOINGS, "actor": "human"}],
    "timeline": {"bucket": "hour", "points": [{"start": "2027-03-02T09:00:00.000Z", **_FIGURES}]},
}  # fmt: skip
del _EXAMPLE["timeline"]["points"][0]["delivered"]


def _call(name: str, end: str, summary: str, description: str, handler: Callable[[Incoming], Any], **more: Any) -> Call:
    return Call(
        id=f"campaigns.v5.{name}",
        method="GET",
        path=f"{_PATH}{end}",
        category="email-campaigns",
        module="campaigns",
        summary=summary,
        description=description,
        handler=handler,
        parameters=(
            ENTITY,
            Parameter("c", "id or name of the campaign", "SpringOffer"),
            Parameter("from", "only mails that were planned not before this moment", "2027-03-01"),
            Parameter("to", "only mails that were planned before this moment", "2027-04-01"),
            Parameter("bucket", "hour (at most 31 days) or day; default: by how long it took", "day"),
        ),
        statuses={200: "The report, as it is now."},
        **more,
    )


CALLS = (
    _call(
        "report",
        "",
        "Read what became of a campaign, in parts",
        "In all, and by link, language, domain, device, actor, and over time. Tests and scanners do not count.",
        read,
        answer=wire.ReportOut,
        answer_example=_EXAMPLE,
    ),
    _call(
        "reportCsv",
        "/csv",
        "Read the report for a spreadsheet",
        "One table: a row for each part, with the same columns for all.",
        csv,
        download="text/csv;charset=UTF-8",
    ),
    _call(
        "reportPage",
        "/page",
        "Read the report as a page",
        "A page in itself, with charts and tables; a browser asks for `licence/login` and the password of the API user.",
        page,
        download="text/html;charset=UTF-8",
    ),
    _call("reportChart", "/chart", "Read the charts of the report", "An SVG file.", chart, download="image/svg+xml"),
    _call(
        "reportPicture",
        "/png",
        "Read the charts of the report as a picture",
        "A PNG file, 1880 pixels wide, for mails, chats and slides.",
        picture,
        download="image/png",
    ),
)
