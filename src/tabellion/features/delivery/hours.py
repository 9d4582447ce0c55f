"""Sending hours: on which days, from when until when, on whose clocks. Pure."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from importlib import resources
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from tabellion.kit.clock import time_zones

DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
Day = Literal["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]
Clock = Literal["LICENCE", "RECIPIENT"]
MINUTES_OF_DAY = 24 * 60
_HOUR_MIN = 60
# Countries with islands or exclaves on other clocks: where nearly everybody lives (CLDR, primary zones).
_PRIMARY = {
    "CL": "America/Santiago", "CN": "Asia/Shanghai", "CY": "Asia/Nicosia", "DE": "Europe/Berlin", "EC": "America/Guayaquil",
    "ES": "Europe/Madrid", "MY": "Asia/Kuala_Lumpur", "NZ": "Pacific/Auckland", "PT": "Europe/Lisbon", "UA": "Europe/Kiev",
    "UZ": "Asia/Tashkent",
}  # fmt: skip


class Window(msgspec.Struct, frozen=True):
    """On these days from one minute of the day until before another."""

    days: tuple[Day, ...]
    begin: int
    end: int


class Hours(msgspec.Struct, frozen=True):
    """When mails may leave. `attribute`: what tells a recipient's zone or country; None: the attribute of the country."""

    windows: tuple[Window, ...]
    clock: Clock = "LICENCE"
    attribute: str | None = None


def opens_at(hours: Hours, zone: ZoneInfo, now: datetime) -> datetime | None:
    """When mails may leave again in a zone; None: they may now."""
    if _is_open(hours, zone, now):
        return None
    today = now.astimezone(zone).date()
    # A window can be missing in one week: the clocks jump over it.
    for day in (today + timedelta(days=ahead) for ahead in range(15)):
        windows = [each for each in hours.windows if DAYS[day.weekday()] in each.days]
        found = [moment for each in windows for moment in _beginnings(each, day, zone) if moment > now]
        if opening := next((moment for moment in sorted(found) if _is_open(hours, zone, moment)), None):
            return opening
    raise AssertionError("no window opens within two weeks")


def _is_open(hours: Hours, zone: ZoneInfo, moment: datetime) -> bool:
    local = moment.astimezone(zone)
    minute = local.hour * _HOUR_MIN + local.minute
    return any(DAYS[local.weekday()] in each.days and each.begin <= minute < each.end for each in hours.windows)


def _beginnings(window: Window, day: date, zone: ZoneInfo) -> list[datetime]:
    """When a window may begin on a day: one moment, but where the clocks change each minute that may be it."""
    local = datetime.combine(day, time(window.begin // _HOUR_MIN, window.begin % _HOUR_MIN), zone)
    first, last = sorted(local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    return [first + timedelta(minutes=ahead) for ahead in range((last - first) // timedelta(minutes=1) + 1)]


def openings(hours: Hours, now: datetime) -> dict[str, datetime | None]:
    """By what an attribute may say, in lower case (a zone's name, or a country's code): when mails may leave; None: now."""
    return _openings(hours, now.replace(second=0, microsecond=0))


@lru_cache(maxsize=64)
def _openings(hours: Hours, minute: datetime) -> dict[str, datetime | None]:
    by_zone = {name: opens_at(hours, ZoneInfo(name), minute) for name in _zones()}
    found = {name.lower(): moment for name, moment in by_zone.items()}
    for country, zones in _countries().items():
        moments = {by_zone[name] for name in zones if name in by_zone}
        if len(moments) == 1:
            found[country.lower()] = moments.pop()
    return found


@cache
def _zones() -> frozenset[str]:
    # Names such as `localtime` and `EST` are no places.
    return frozenset(name for name in time_zones() if "/" in name and not name.startswith(("Etc/", "posix", "right")))


@cache
def _countries() -> dict[str, tuple[str, ...]]:
    """The zones of each country; only one where nearly everybody lives in it."""
    found: dict[str, tuple[str, ...]] = {}
    text = resources.files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            country, _, zone = line.split("\t")[:3]
            found[country] = (*found.get(country, ()), zone)
    return found | {country: (zone,) for country, zone in _PRIMARY.items()}
