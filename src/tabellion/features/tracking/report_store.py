"""From the facts that are kept of a campaign to the parts of its report."""

from collections.abc import Sequence
from datetime import UTC, datetime

from tabellion.features.delivery import Counts, Fact, sums
from tabellion.features.tracking.reporting import Bounce, Doings, Figures, LinkFigures, Point, Summary


def summary(facts: Sequence[Fact]) -> Summary:
    """Everybody, counted once."""
    tally = sums.tally_of(facts)
    languages, domains, variants = (_figures(facts, part) for part in ("language", "domain", "variant"))
    totals = _of(tally.sent)
    rest_of = totals.without(list(domains.values()))
    if any(getattr(rest_of, field) for field in rest_of.__struct_fields__):
        domains["*"] = rest_of
    excluded = dict(tally.excluded)
    if failed := sum(tally.failed.values()):
        excluded["failed"] = failed
    return Summary(
        targeted=tally.targeted,
        excluded=excluded,
        pending=tally.pending,
        uncertain=tally.uncertain,
        totals=totals,
        languages=languages,
        domains={name: f for name, f in domains.items() if f.sent},
        variants={int(name): variants[name] for name in sorted(variants, key=lambda name: int(name or 0)) if name},
    )


def bounces(facts: Sequence[Fact]) -> list[Bounce]:
    """Bounces by class, by who reported them, and by the status of the mail system."""
    found = [Bounce(f.key[0], f.key[1], f.key[2] or None, f.counts.mails) for f in facts if f.part == "bounce"]
    return sorted(found, key=lambda each: (-each.count, each.kind, each.reported, each.status or "~"))


def links(facts: Sequence[Fact]) -> list[LinkFigures]:
    """Links that people followed, the most followed first; an address of each, which may be that of one mail alone."""
    found = [
        LinkFigures(
            f.key[0] or None, _number(f.key[1]), _number(f.key[2]), f.label or "", f.counts.clicks, f.counts.unique_clicks
        )
        for f in facts
        if f.part == "link"
    ]
    return sorted(
        found, key=lambda each: (-each.unique_clicks, -each.clicks, each.language or "~", each.variant or 0, each.link or 0)
    )


def doings(facts: Sequence[Fact], part: str) -> dict[str, Doings]:
    """Openings and clicks by device, of people alone, or by actor."""
    return {
        f.key[0]: Doings(f.counts.opens, f.counts.unique_opens, f.counts.clicks, f.counts.unique_clicks)
        for f in facts
        if f.part == part
    }


def points(facts: Sequence[Fact]) -> list[Point]:
    """What happened when; where nothing did, there is no point."""
    return sorted(
        (Point(datetime.fromtimestamp(int(f.key[0]), UTC), *f.counts) for f in facts if f.part == "time"),
        key=lambda point: point.start,
    )


def _figures(facts: Sequence[Fact], part: str) -> dict[str, Figures]:
    found = sorted((f for f in facts if f.part == part), key=lambda f: (-f.counts.mails, f.key))
    return {f.key[0]: _of(f.counts) for f in found}


def _of(counts: Counts) -> Figures:
    mails, soft, hard, *rest = counts
    return Figures(mails, mails - soft - hard, soft, hard, *rest)


def _number(text: str) -> int | None:
    return int(text) if text else None
