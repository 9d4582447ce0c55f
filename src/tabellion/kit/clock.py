"""Time is handed in; this is where it comes from in a running server."""

from datetime import UTC, datetime
from functools import cache
from zoneinfo import available_timezones


def utc_now() -> datetime:
    """The present moment, aware, UTC."""
    return datetime.now(UTC)


@cache
def time_zones() -> frozenset[str]:
    """The names of all time zones that this machine knows. Read once: hundreds of files are opened for it."""
    return frozenset(available_timezones())
