"""A report as one table, for spreadsheets: a row for each part, and the same columns for all of them. Pure."""

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from tabellion.features.tracking.wire import ReportOut
from tabellion.kit.formulas import as_text

COLUMNS = (
    "part", "name", "detail", "sent", "delivered", "softBounces", "hardBounces", "opens", "uniqueOpens", "clicks",
    "uniqueClicks", "unsubscribes", "complaints", "count",
)  # fmt: skip


def table(report: ReportOut) -> bytes:
    """The table, UTF-8 with the mark that spreadsheets look for."""
    target = io.StringIO(newline="")
    writer = csv.writer(target)
    writer.writerow(COLUMNS)
    for row in _rows(report):
        writer.writerow([_cell(row.get(column, "")) for column in COLUMNS])
    return b"\xef\xbb\xbf" + target.getvalue().encode()


def _rows(report: ReportOut) -> Iterator[dict[str, Any]]:
    yield {"part": "total", "name": report.campaign_name, "detail": report.state} | _figures(report.totals)
    yield {"part": "targeted", "name": "all", "count": report.targeted}
    for name, count in report.excluded.items():
        yield {"part": "excluded", "name": name, "count": count}
    for name, count in (("pending", report.pending), ("uncertain", report.uncertain)):
        yield {"part": name, "name": "all", "count": count}
    for wait in report.waits:
        yield {"part": "wait", "name": wait.reason, "detail": wait.until or "", "count": wait.mails}
    for delay in report.delays:
        yield {"part": "delay", "name": delay.cause, "detail": delay.message}
    for bounce in report.bounces:
        yield {"part": "bounce", "name": bounce.kind, "detail": bounce.status or bounce.reported, "count": bounce.count}
    for link in report.links:
        yield {"part": "link", "name": link.address, "detail": link.language or ""} | _figures(link)
    for each in report.ab_test.results if report.ab_test else ():
        told = report.ab_test.winner if report.ab_test else None
        yield {
            "part": "abTest", "name": each.name, "detail": "winner" if each.name == told else "", "sent": each.sent,
            "uniqueOpens": each.opened, "uniqueClicks": each.clicked, "unsubscribes": each.unsubscribed,
            "count": each.targeted,
        }  # fmt: skip
    for part, found, name in (
        ("language", report.languages, "language"),
        ("domain", report.domains, "domain"),
        ("variant", report.variants, "name"),
        ("device", report.devices, "device"),
        ("actor", report.actors, "actor"),
    ):
        for each in found:
            yield {"part": part, "name": getattr(each, name)} | _figures(each)
    zone = ZoneInfo(report.time_zone)
    for point in report.timeline.points:
        # For people: a day of theirs begins at midnight.
        local = datetime.fromisoformat(point.start).astimezone(zone)
        yield {"part": report.timeline.bucket, "name": local.isoformat()} | _figures(point)


def _figures(struct: Any) -> dict[str, Any]:
    names = zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True)
    return {encoded: getattr(struct, field) for field, encoded in names if encoded in COLUMNS}


def _cell(value: Any) -> Any:
    return as_text(value) if isinstance(value, str) else value
