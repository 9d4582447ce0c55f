"""Charts as SVG, drawn by hand: a funnel and a line over time. Without scripts, fonts or anything from elsewhere. Pure."""

import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape
from pathlib import Path
from zoneinfo import ZoneInfo

from tabellion.features.tracking.reporting import Point

WIDTH = 880
_LEFT, _RIGHT = 150, 150
_BAR, _GAP = 30, 14
_PLOT_HEIGHT, _PLOT_LEFT, _PLOT_RIGHT, _PLOT_TOP, _PLOT_BOTTOM = 220, 60, 16, 34, 34
_MOST_FILLED, _TICKS = 1000, 7
# Colours that can be told apart with every kind of sight, on white and on black; lines differ by their dashes, too.
_RULES = Path(__file__).with_name("charts.css").read_text().splitlines()
STYLE = "".join(_RULES)


def _plain(rules: Sequence[str]) -> str:
    """The rules for what knows neither variables nor dark screens; the first one says what variables stand for."""
    known = dict(pair.split(":") for pair in rules[0].partition("{")[2].rstrip("}").split(";"))
    shown = "".join(rule for rule in rules[1:] if not rule.startswith("@media"))
    return re.sub(r"var\((--[a-z]+)\)", lambda found: known[found[1]], shown)


# The same in colours on white.
PLAIN_STYLE = _plain(_RULES)


def funnel(steps: Sequence[tuple[str, int]], whole: int, of: str) -> tuple[str, int]:
    """Bars for steps, with their share of a whole; the drawing and its height."""
    most = max((count for _, count in steps), default=0) or 1
    room = WIDTH - _LEFT - _RIGHT
    parts: list[str] = []
    for row, (name, count) in enumerate(steps):
        top = row * (_BAR + _GAP)
        width = max(room * count / most, 1.5 if count else 0)
        share = f" · {count / whole:.1%}" if whole else ""
        parts.append(
            f'<text class="e" x="{_LEFT - 12}" y="{top + 20}">{escape(name)}</text>'
            f'<rect class="f1" x="{_LEFT}" y="{top}" width="{width:.1f}" height="{_BAR}" rx="3"/>'
            f'<text class="b" x="{_LEFT + width + 10:.1f}" y="{top + 20}">{count:,}<tspan class="s">{share}</tspan></text>'
        )
    said = "; ".join(f"{name} {count:,}" for name, count in steps)
    text = f"<g><title>Share of {escape(of)}</title><desc>{escape(said)}</desc>{''.join(parts)}</g>"
    return text, len(steps) * (_BAR + _GAP)


def timeline(points: Sequence[Point], bucket: str, zone: ZoneInfo) -> tuple[str, int]:
    """Openings and clicks over time; the drawing and its height. Where nothing happened the lines go down to nothing."""
    filled = _filled(points, bucket, zone)
    if len(filled) == 1:
        # A line has two ends: it comes from nothing and goes back to it.
        before, after = (_stepped(filled[0].start, bucket, zone, steps) for steps in (-1, 1))
        filled = [Point(before), filled[0], Point(after)]
    height = _PLOT_TOP + _PLOT_HEIGHT + _PLOT_BOTTOM
    if not filled:
        return '<text class="s" x="0" y="20">There is nothing to draw yet.</text>', 32
    top = _nice(max(max(point.opens, point.clicks) for point in filled))
    first, last = filled[0].start, filled[-1].start
    room, span = WIDTH - _PLOT_LEFT - _PLOT_RIGHT, (last - first).total_seconds()

    def x(moment: datetime) -> float:
        return _PLOT_LEFT + room * (moment - first).total_seconds() / span

    def y(count: float) -> float:
        return _PLOT_TOP + _PLOT_HEIGHT * (1 - count / top)

    parts: list[str] = []
    for step in range(5):
        count = top * step / 4
        parts.append(
            f'<line class="g" x1="{_PLOT_LEFT}" x2="{WIDTH - _PLOT_RIGHT}" y1="{y(count):.1f}" y2="{y(count):.1f}"/>'
            f'<text class="s e" x="{_PLOT_LEFT - 8}" y="{y(count) + 4:.1f}">{_short(count)}</text>'
        )
    for at in _ticks(len(filled)):
        local = filled[at].start.astimezone(zone)
        words = f"{local:%d %b %H:%M}" if bucket == "hour" else f"{local:%d %b %Y}"
        side = " e" if at == len(filled) - 1 else "" if at == 0 else " m"
        parts.append(f'<text class="s{side}" x="{x(filled[at].start):.1f}" y="{height - 10}">{words}</text>')
    opens = " ".join(f"{x(p.start):.1f},{y(p.opens):.1f}" for p in filled)
    clicks = " ".join(f"{x(p.start):.1f},{y(p.clicks):.1f}" for p in filled)
    base = f"{y(0):.1f}"
    parts.append(
        f'<polygon class="a" points="{x(first):.1f},{base} {opens} {x(last):.1f},{base}"/>'
        f'<polyline class="l1" points="{opens}"/><polyline class="l2" points="{clicks}"/>'
        f'<line class="l1" x1="{_PLOT_LEFT}" x2="{_PLOT_LEFT + 26}" y1="14" y2="14"/>'
        f'<text x="{_PLOT_LEFT + 34}" y="18">Opens</text>'
        f'<line class="l2" x1="{_PLOT_LEFT + 100}" x2="{_PLOT_LEFT + 126}" y1="14" y2="14"/>'
        f'<text x="{_PLOT_LEFT + 134}" y="18">Clicks</text>'
    )
    said = f"{sum(p.opens for p in filled):,} opens and {sum(p.clicks for p in filled):,} clicks, by {bucket}"
    return f"<g><title>Over time</title><desc>{said}</desc>{''.join(parts)}</g>", height


def drawing(content: str, height: int, label: str) -> str:
    """A drawing in a page whose style has `STYLE`; as wide as there is room."""
    return f'<svg class="c" role="img" aria-label="{escape(label)}" viewBox="0 0 {WIDTH} {height}">{content}</svg>'


def document(title: str, parts: Sequence[tuple[str, str, int]], style: str = STYLE) -> str:
    """A file of its own: headed drawings (heading, content, height) below each other."""
    margin, top = 30, 60
    content = [f'<text class="b" x="0" y="6" font-size="20">{escape(title)}</text>']
    for heading, drawn, height in parts:
        content.append(f'<text class="b s" x="0" y="{top - 12}">{escape(heading)}</text><g transform="translate(0 {top})">')
        content.append(f"{drawn}</g>")
        top += height + 56
    height, width = top + margin, WIDTH + 2 * margin
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="c" role="img" aria-label="{escape(title)}" '
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"><style>{style}</style>'
        f'<rect class="p" width="{width}" height="{height}"/><g transform="translate({margin} {margin})">{"".join(content)}'
        "</g></svg>"
    )


def _filled(points: Sequence[Point], bucket: str, zone: ZoneInfo) -> list[Point]:
    """The points with those between them in which nothing happened, as long as that is no great number."""
    if not points:
        return []
    known = {point.start: point for point in points}
    moment, last = points[0].start, points[-1].start
    found: list[Point] = []
    while moment <= last:
        if len(found) >= _MOST_FILLED:
            return list(points)
        found.append(known.get(moment) or Point(moment))
        moment = _stepped(moment, bucket, zone, 1)
    return found if all(point.start in {each.start for each in found} for point in points) else list(points)


def _stepped(moment: datetime, bucket: str, zone: ZoneInfo, steps: int) -> datetime:
    """The beginning of an hour or day so many further."""
    if bucket == "hour":
        return moment + timedelta(hours=steps)
    # Noon is on the day that is meant, however long it was.
    day = (moment.astimezone(zone) + timedelta(days=steps, hours=12)).date()
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(moment.tzinfo)


def _ticks(count: int) -> list[int]:
    wanted = min(_TICKS, count)
    return sorted({round(i * (count - 1) / (wanted - 1)) for i in range(wanted)})


def _nice(most: int) -> int:
    """The end of an axis: a multiple of 4 that is short to write."""
    if most <= 4:  # noqa: PLR2004 - four steps of one
        return 4
    size = 10 ** math.floor(math.log10(most))
    return next(int(step * size) for step in (1, 2, 4, 6, 8, 10, 20) if step * size >= most and step * size % 4 == 0)


def _short(count: float) -> str:
    for size, unit in ((1_000_000, "M"), (1000, "k")):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return f"{count:.0f}"
