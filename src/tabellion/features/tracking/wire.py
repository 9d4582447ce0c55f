"""The documents of reports (v5)."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from tabellion.features.campaigns import Campaign, Delay, VariantResult, Wait, delays_out, spelt, waits_out
from tabellion.features.tables import moment_or_null, render_moment
from tabellion.features.tracking.reporting import Bounce, Doings, Figures, LinkFigures, Point, Rates, Report, rates


class LanguageFigures(Figures, frozen=True, kw_only=True, rename="camel"):
    """Figures of the mails in a language."""

    language: str


class DomainFigures(Figures, frozen=True, kw_only=True, rename="camel"):
    """Figures of the mails to the addresses of a domain; `*` stands for all that are not listed."""

    domain: str


class VariantFigures(Figures, frozen=True, kw_only=True, rename="camel"):
    """Figures of all mails with a variant of an A/B test, counted from 1: of the test, and of those who got the winner."""

    variant: int
    name: str


class ABTestFigures(msgspec.Struct, frozen=True, rename="camel"):
    """The test: by what the winner is chosen, which one it is since when, and by which figures of the test alone."""

    criterion: str
    winner: str | None
    decided_at: str | None
    results: list[VariantResult]


class DeviceFigures(Doings, frozen=True, kw_only=True, rename="camel"):
    """What people did on a kind of device: desktop, mobile, tablet, unknown."""

    device: str


class ActorFigures(Doings, frozen=True, kw_only=True, rename="camel"):
    """What people (human), picture proxies (proxy) and machines (scanner) did; the last ones count nowhere else."""

    actor: str


class TimePoint(msgspec.Struct, frozen=True, rename="camel"):
    """What happened in the hour or day that begins at `start`. `unique...`: mails of which it was the first time."""

    start: str
    sent: int
    soft_bounces: int
    hard_bounces: int
    opens: int
    unique_opens: int
    clicks: int
    unique_clicks: int
    unsubscribes: int
    complaints: int


class Timeline(msgspec.Struct, frozen=True):
    """What happened when, by `hour` or `day` of `timeZone`; where nothing did, there is no point."""

    bucket: str
    points: list[TimePoint]


class ReportOut(msgspec.Struct, rename="camel"):
    """What became of a campaign. `targeted` is the sum of `excluded`, `totals.sent`, `uncertain` and `pending`.

    `waits`: what the pending ones wait for, together `pending`; `delays`: what holds or slows all of them.
    """

    campaign_id: int
    campaign_name: str
    display_name: str
    sending_mode: str
    state: str
    started_at: str | None
    ended_at: str | None
    time_zone: str
    made_at: str
    targeted: int
    excluded: dict[str, int]
    pending: int
    waits: list[Wait]
    delays: list[Delay]
    uncertain: int
    totals: Figures
    rates: Rates
    bounces: list[Bounce]
    links: list[LinkFigures]
    languages: list[LanguageFigures]
    domains: list[DomainFigures]
    variants: list[VariantFigures]
    ab_test: ABTestFigures | None
    devices: list[DeviceFigures]
    actors: list[ActorFigures]
    timeline: Timeline


def report_out(campaign: Campaign, report: Report, zone: ZoneInfo, now: datetime) -> ReportOut:
    """The report as it is answered."""
    summary = report.summary
    return ReportOut(
        campaign_id=campaign.id,
        campaign_name=campaign.name,
        display_name=campaign.settings.display_name,
        sending_mode=campaign.kind.value,
        state=campaign.state.value,
        started_at=moment_or_null(campaign.started_at),
        ended_at=moment_or_null(campaign.ended_at),
        time_zone=str(zone),
        made_at=render_moment(now),
        targeted=summary.targeted,
        excluded=dict(summary.excluded),
        pending=summary.pending,
        waits=waits_out(report.pending),
        delays=delays_out(report.pending.delays),
        uncertain=summary.uncertain,
        totals=summary.totals,
        rates=rates(summary.totals),
        bounces=list(report.bounces),
        links=[_link(campaign, link) for link in report.links],
        languages=[LanguageFigures(*_all(f), language=spelt(campaign, name)) for name, f in _sent_first(summary.languages)],
        domains=[DomainFigures(*_all(f), domain=name) for name, f in summary.domains.items()],
        variants=[
            VariantFigures(*_all(f), variant=number, name=_variant(report, number)) for number, f in summary.variants.items()
        ],
        ab_test=_ab_test(report),
        devices=[DeviceFigures(*_all(d), device=name) for name, d in _busy_first(report.devices)],
        actors=[ActorFigures(*_all(d), actor=name) for name, d in _busy_first(report.actors)],
        timeline=Timeline(report.bucket, [_point(point) for point in report.points]),
    )


def _variant(report: Report, number: int) -> str:
    names = report.ab_test.test.variants if report.ab_test else ()
    return names[number - 1] if number <= len(names) else str(number)


def _ab_test(report: Report) -> ABTestFigures | None:
    if report.ab_test is None:
        return None
    test, decision, results = report.ab_test
    return ABTestFigures(
        criterion=test.criterion.value,
        winner=None if decision.winner is None else _variant(report, decision.winner),
        decided_at=moment_or_null(decision.chosen_at),
        results=[VariantResult(_variant(report, each.variant), *each[1:]) for each in results],
    )


def _link(campaign: Campaign, link: LinkFigures) -> LinkFigures:
    return link if link.language is None else msgspec.structs.replace(link, language=spelt(campaign, link.language))


def _point(point: Point) -> TimePoint:
    return TimePoint(render_moment(point.start), *_all(point)[1:])


def _sent_first(parts: Mapping[str, Figures]) -> Iterable[tuple[str, Figures]]:
    return sorted(((name, f) for name, f in parts.items() if f.sent), key=lambda each: (-each[1].sent, each[0]))


def _busy_first(parts: Mapping[str, Doings]) -> Iterable[tuple[str, Doings]]:
    return sorted(parts.items(), key=lambda each: (-each[1].opens - each[1].clicks, each[0]))


def _all(struct: msgspec.Struct) -> tuple[int, ...]:
    return msgspec.structs.astuple(struct)
