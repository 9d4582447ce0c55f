"""DATE and TIMESTAMP. Moments are kept and answered in UTC, to the millisecond.

Accepted besides ISO 8601: `yyyy-MM-dd HH:mm:ss`, `dd/MM/yyyy` and `dd/MM/yyyy HH:mm:ss`. A moment without offset is in the
licence's time zone; one that a change to summer time skips is read with the offset before the change (PEP 495, fold 0),
one that occurs twice is the first of the two.
"""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from tabellion.features.tables.types.base import BadValue, ValueType

_DATE = r"(?:(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})|(?P<d2>\d{2})/(?P<m2>\d{2})/(?P<y2>\d{4}))"
_TIME = r"(?P<H>\d{2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?"
_OFFSET = r"(?P<z>[Zz]|[+-]\d{2}(?::?\d{2})?)"
_MOMENT = re.compile(rf"{_DATE}(?:(?:[Tt]|\s+){_TIME}\s*{_OFFSET}?)?", re.ASCII)
_RAW_PLUS = re.compile(r"(\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?) (\d{2}(?::?\d{2})?)\Z", re.ASCII)
_LAST_HOUR = 24
_MAX_OFFSET = timedelta(hours=18)


def parse_date(value: Any, zone: tzinfo) -> date | None:
    """A date; of a moment its date as written. Raises `BadValue`."""
    found = _match(value, "a date (yyyy-MM-dd)")
    if found is None:
        return None
    day = _day(found)
    _wall_time(found, day)
    if found["z"] is not None:
        _offset(found["z"])
    return day


def parse_moment(value: Any, zone: tzinfo) -> datetime | None:
    """A moment in UTC, cut to milliseconds; a date is its midnight. Raises `BadValue`."""
    found = _match(value, "a moment (yyyy-MM-ddTHH:mm:ssZ)")
    if found is None:
        return None
    wall = _wall_time(found, _day(found))
    try:
        if found["z"] is None:
            return wall.replace(tzinfo=zone).astimezone(UTC)
        return (wall - _offset(found["z"])).replace(tzinfo=UTC)
    except OverflowError:
        raise BadValue("takes moments of the years 1 to 9999", "attribute.value") from None


def with_plus(text: str) -> str:
    """A moment of a query, whose offset was sent with a raw `+`: the query made a blank of it."""
    return _RAW_PLUS.sub(r"\1+\2", text)


def render_moment(value: datetime) -> str:
    """`2027-03-01T08:15:00.000Z`."""
    return f"{value.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def moment_or_null(value: datetime | None) -> str | None:
    """The same of a moment that there need not be."""
    return None if value is None else render_moment(value)


def _match(value: Any, expected: str) -> re.Match[str] | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadValue(f"expects {expected}")
    text = value.strip()
    if not text:
        return None
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise BadValue(f"expects {expected}")
    return found


def _day(found: re.Match[str]) -> date:
    year, month, day = (int(found[name] or found[f"{name}2"]) for name in ("y", "m", "d"))
    try:
        return date(year, month, day)
    except ValueError:
        raise BadValue("expects a date that exists") from None


def _wall_time(found: re.Match[str], day: date) -> datetime:
    """The time as written. 24:00 is the next midnight; a leap second counts as the last second before it."""
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - the offset comes later
    if found["H"] is None:
        return midnight
    hour, minute, second = int(found["H"]), int(found["M"]), int(found["S"] or 0)
    milliseconds = int((found["f"] or "").ljust(3, "0")[:3])
    exact_midnight = hour == _LAST_HOUR and (minute, second, milliseconds) == (0, 0, 0)
    if (hour >= _LAST_HOUR and not exact_midnight) or minute > 59 or second > 60:  # noqa: PLR2004 - clocks
        raise BadValue("expects a time that exists")
    try:
        return midnight + timedelta(hours=hour, minutes=minute, seconds=min(second, 59), milliseconds=milliseconds)
    except OverflowError:
        raise BadValue("takes moments of the years 1 to 9999", "attribute.value") from None


def _offset(text: str) -> timedelta:
    if text in "Zz":
        return timedelta(0)
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if offset > _MAX_OFFSET or int(digits[2:]) > 59:  # noqa: PLR2004 - minutes
        raise BadValue("expects an offset that exists")
    return -offset if text[0] == "-" else offset


def _iso(value: date) -> str:
    return value.isoformat()


DATE = ValueType("DATE", "Datum", "date", "date", parse_date, _iso, _iso)
TIMESTAMP = ValueType("TIMESTAMP", "Moment", "timestamptz", "timestamptz", parse_moment, render_moment, render_moment)
