"""Filters on dates and moments, in the template's language and time zone."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale, dates
from liquid import RenderContext
from liquid.filter import with_context

from tabellion.platform.templates.filters.values import refuse, settings, text
from tabellion.platform.templates.vocabulary import NOW, TODAY

STYLES = frozenset({"short", "medium", "long", "full"})
_MAX_FORMAT = 100
_REMEMBERED = 2_000
_DIRECTIVE = re.compile(r"%(-?)([A-Za-z%])")
# Directives of strftime and the CLDR pattern that says the same; with a dash, without a leading zero.
_PATTERNS = {
    "a": "EEE", "A": "EEEE", "b": "MMM", "B": "MMMM", "d": "dd", "-d": "d", "e": "d", "m": "MM", "-m": "M", "y": "yy",
    "Y": "yyyy", "H": "HH", "-H": "H", "I": "hh", "-I": "h", "M": "mm", "S": "ss", "p": "a", "j": "DDD", "Z": "zzz",
    "z": "ZZZ", "F": "yyyy-MM-dd", "T": "HH:mm:ss", "R": "HH:mm",
}  # fmt: skip


def language_of(context: RenderContext, language: object) -> Locale:
    """The language that a filter names, else the template's."""
    if language is None:
        return settings(context).locale
    found = settings(context).locales.get(str(text(language)))
    if found is None:
        raise refuse("the language must be written out, such as language: 'nl'")
    return found


@with_context
def date_(
    value: object,
    style: object = "medium",
    *,
    context: RenderContext,
    language: object = None,
    time_zone: object = None,
) -> str:
    """A date or moment by a style (short, medium, long, full), by `%d %B %Y` or by a pattern such as `d MMMM yyyy`."""
    said = _said(value, context)
    return _date(said, text(style), language_of(context, language), _zone_of(context, time_zone)) if said else ""


@with_context
def time_(
    value: object,
    style: object = "short",
    *,
    context: RenderContext,
    language: object = None,
    time_zone: object = None,
) -> str:
    """The time of a moment by a style or a pattern."""
    said = _said(value, context)
    return _time(said, text(style), language_of(context, language), _zone_of(context, time_zone)) if said else ""


# The mails of a campaign name the same days over and over.
@lru_cache(_REMEMBERED)
def _date(said: str, style: str, locale: Locale, zone: ZoneInfo) -> str:
    moment = _moment(said, zone)
    return dates.format_date(moment, style, locale=locale) if style in STYLES else formatted(moment, style, locale)


@lru_cache(_REMEMBERED)
def _time(said: str, style: str, locale: Locale, zone: ZoneInfo) -> str:
    moment = _moment(said, zone)
    return dates.format_time(moment, style, locale=locale) if style in STYLES else formatted(moment, style, locale)


def formatted(moment: datetime, wanted: str, locale: Locale) -> str:
    """A moment by `%d/%m/%Y` or by a pattern such as `d MMMM yyyy`. Raises when the format is none."""
    if len(wanted) > _MAX_FORMAT:
        raise refuse(f"a date format has at most {_MAX_FORMAT} characters")
    if "%" not in wanted:
        return dates.format_datetime(moment, wanted, tzinfo=moment.tzinfo, locale=locale)

    def directive(found: re.Match[str]) -> str:
        if found[2] == "%":
            return "%"
        if found[0] == "%V":
            # That of ISO 8601, which the week of a language, as patterns have it, often is not.
            return f"{moment.isocalendar().week:02}"
        pattern = _PATTERNS.get(found[1] + found[2])
        if pattern is None:
            raise refuse(f"dates know no {found[0]}")
        return dates.format_datetime(moment, pattern, tzinfo=moment.tzinfo, locale=locale)

    return _DIRECTIVE.sub(directive, wanted)


def _said(value: object, context: RenderContext) -> str:
    """What is written of a date; `now` and `today` in quotes are those of the mail."""
    if value is None or value == "":
        return ""
    found = str(text(value))
    if found in {NOW, TODAY}:
        found = str(context.globals[found])
    if len(found) > _MAX_FORMAT:
        raise refuse("this text is too long to be a date")
    return found


def _zone_of(context: RenderContext, time_zone: object) -> ZoneInfo:
    if time_zone is None:
        return settings(context).zone
    named = settings(context).zones.get(str(text(time_zone)))
    if named is None:
        raise refuse("the time zone must be written out, such as time_zone: 'Europe/Brussels'")
    return named


def _moment(said: str, zone: ZoneInfo) -> datetime:
    """A moment in the time zone; a plain date is its midnight and is never moved."""
    try:
        if "T" not in said and ":" not in said:
            return datetime.combine(date.fromisoformat(said), time(), zone)
        moment = datetime.fromisoformat(said)
    except ValueError:
        raise refuse("this is no date such as 2027-03-01 and no moment such as 2027-03-01T08:15:00Z") from None
    try:
        return moment.astimezone(zone) if moment.tzinfo else moment.replace(tzinfo=zone)
    except OverflowError:
        raise refuse("this moment is outside the calendar") from None


FILTERS: Mapping[str, Callable[..., Any]] = {"date": date_, "time": time_}
