"""What a report is made of. Pure: figures, their sums and rates; the SQL is in `report_store`."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from tabellion.features.delivery import ABTest, Pending, ab_tests

_AN_HOUR_EACH = timedelta(days=3)
MOST_HOURS = timedelta(days=31)


class Figures(msgspec.Struct, frozen=True, rename="camel"):
    """What came of a part of the mails. Openings and clicks are those of people and of picture proxies, never scanners'.

    `unique...`: of how many mails. `delivered` is `sent` without those that bounced.
    """

    sent: int = 0
    delivered: int = 0
    soft_bounces: int = 0
    hard_bounces: int = 0
    opens: int = 0
    unique_opens: int = 0
    clicks: int = 0
    unique_clicks: int = 0
    unsubscribes: int = 0
    complaints: int = 0

    def without(self, parts: Sequence["Figures"]) -> "Figures":
        """What is left of these when parts of them are taken away."""
        return Figures(*(getattr(self, f) - sum(getattr(p, f) for p in parts) for f in self.__struct_fields__))


class Doings(msgspec.Struct, frozen=True, rename="camel"):
    """Openings and clicks alone."""

    opens: int = 0
    unique_opens: int = 0
    clicks: int = 0
    unique_clicks: int = 0


class Bounce(msgspec.Struct, frozen=True, rename="camel"):
    """Bounces of one class. `reported`: by the relay at once, or by a mail that came back. `status`: as in RFC 3463."""

    kind: str = msgspec.field(name="class")
    reported: str = ""
    status: str | None = None
    count: int = 0


class LinkFigures(msgspec.Struct, frozen=True, rename="camel"):
    """A link of the contents of a language, counted from 0, as its author wrote it; or an address that was followed.

    `variant`: of an A/B test.
    """

    language: str | None
    variant: int | None
    link: int | None
    address: str
    clicks: int
    unique_clicks: int


class Point(msgspec.Struct, frozen=True, rename="camel"):
    """What happened in one hour or day. `unique...`: mails that were opened, or in which a link was followed, first then."""

    start: datetime
    sent: int = 0
    soft_bounces: int = 0
    hard_bounces: int = 0
    opens: int = 0
    unique_opens: int = 0
    clicks: int = 0
    unique_clicks: int = 0
    unsubscribes: int = 0
    complaints: int = 0


class Summary(msgspec.Struct, frozen=True):
    """What one look at all recipients gives. `pending` and `uncertain` are no part of `totals`."""

    targeted: int
    excluded: Mapping[str, int]
    pending: int
    uncertain: int
    totals: Figures
    languages: Mapping[str, Figures]
    domains: Mapping[str, Figures]
    variants: Mapping[int, Figures]


class Tested(NamedTuple):
    """An A/B test, how far it is, and what came of the test alone."""

    test: ABTest
    decision: ab_tests.Decision
    results: Sequence[ab_tests.Result]


class Report(msgspec.Struct, frozen=True):
    """All of it. `bucket` is `hour` or `day`."""

    summary: Summary
    bounces: Sequence[Bounce]
    links: Sequence[LinkFigures]
    devices: Mapping[str, Doings]
    actors: Mapping[str, Doings]
    bucket: str
    points: Sequence[Point]
    pending: Pending
    ab_test: Tested | None = None


class Rates(msgspec.Struct, frozen=True, rename="camel"):
    """Shares from 0 to 1, null of nothing: bounces of what was sent, clicks of opens, all else of what was delivered."""

    delivery_rate: float | None
    bounce_rate: float | None
    open_rate: float | None
    click_rate: float | None
    click_to_open_rate: float | None
    unsubscribe_rate: float | None
    complaint_rate: float | None


def rates(totals: Figures) -> Rates:
    """The rates of some figures."""
    return Rates(
        delivery_rate=_share(totals.delivered, totals.sent),
        bounce_rate=_share(totals.soft_bounces + totals.hard_bounces, totals.sent),
        open_rate=_share(totals.unique_opens, totals.delivered),
        click_rate=_share(totals.unique_clicks, totals.delivered),
        click_to_open_rate=_share(totals.unique_clicks, totals.unique_opens),
        unsubscribe_rate=_share(totals.unsubscribes, totals.delivered),
        complaint_rate=_share(totals.complaints, totals.delivered),
    )


def bucket_of(began_at: datetime, ends_at: datetime) -> str:
    """By what a report of a span goes when nobody said it: hours for three days, then days."""
    return "hour" if ends_at - began_at <= _AN_HOUR_EACH else "day"


def _share(part: int, whole: int) -> float | None:
    return None if whole <= 0 else round(part / whole, 4)
