"""When something runs by itself: a cron expression read on the clocks of a time zone."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from croniter import croniter
from croniter.croniter import CroniterBadDateError, CroniterError

from tabellion.kit.problem import FieldError

_FIELDS = {
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day of month": "1 to 31",
    "month": "1 to 12 or JAN to DEC",
    "day of week": "0 to 7 or SUN to SAT",
}
# Hashed and random times of other crons would differ from one reading to the next. Names have these letters too (FRI, MAR).
_not_cron = re.compile("(?<![a-z])[hr](?![a-z])|@", re.IGNORECASE).search


@dataclass(frozen=True, slots=True)
class Schedule:
    """`cron`: minute, hour, day of month, month, day of week, as crontab(5) has them. `time_zone`: an IANA name."""

    cron: str
    time_zone: str

    def next_after(self, moment: datetime) -> datetime:
        """The first time after an aware moment, in UTC.

        A time that clocks skip in spring comes at the first moment after the gap; one that they show twice in autumn
        comes once when the schedule names its hour, as crontab(5) promises.
        """
        fields = self.cron.split()
        if len(fields) != len(_FIELDS):
            raise CroniterError
        local = moment.astimezone(ZoneInfo(self.time_zone))
        times = croniter(self.cron, local)
        found: datetime = times.get_next(datetime)
        names_its_hour = fields[1].replace(",", "").isdigit()
        while names_its_hour and found.fold and found.replace(tzinfo=None, fold=0) == local.replace(tzinfo=None, fold=0):
            found = times.get_next(datetime)
        return found.astimezone(UTC)


def schedule_faults(place: str, cron: str, time_zone: str) -> list[FieldError]:
    """What is wrong with a schedule, with the places of `cron` and `timeZone` in the document that stands at a place."""
    zone, unknown = time_zone, ""
    try:
        ZoneInfo(time_zone)
    except (KeyError, ValueError, OSError):
        zone, unknown = "UTC", f"the time zone '{time_zone[:60]}' is unknown: IANA names are meant, 'Europe/Paris'"
    wrong = ""
    try:
        # Not in `next_after`: what earlier releases took goes on, and keeps nobody else's schedule waiting.
        if _not_cron(cron):
            raise CroniterError  # noqa: TRY301 - told below
        Schedule(cron, zone).next_after(datetime(2000, 1, 1, tzinfo=UTC))
    except CroniterBadDateError:
        wrong = f"'{cron[:60]}' is no schedule: its day never comes"
    except CroniterError:
        wrong = f"'{cron[:60]}' is no schedule: {_fault(cron)}"
    told = {"cron": wrong, "timeZone": unknown}
    return [FieldError(f"{place}.{name}", "structure.invalid", message) for name, message in told.items() if message]


def _fault(cron: str) -> str:
    """What is wrong with a cron expression that is none: each field is tried without the others."""
    fields = cron.split()
    if len(fields) != len(_FIELDS):
        return f"five fields are expected ({', '.join(_FIELDS)}), as in '0 3 * * 1', every Monday at three"
    for place, (name, values) in enumerate(_FIELDS.items()):
        field = fields[place]
        alone = ["*"] * place + [field] + ["*"] * (len(_FIELDS) - place - 1)
        if not croniter.is_valid(" ".join(alone)) or _not_cron(field):
            return f"the {name} '{field[:30]}' is none: * stands for any, else it is of {values} (3  1,3  1-3  */3)"
    return "its fields do not go together"
