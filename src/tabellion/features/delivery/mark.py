"""Where claims of a round begin to look, so that they need not pass all who were claimed before.

What has left the index of those that are due stays in it until it is tidied up, which no long snapshot (a dump, a replica)
lets happen: each claim would step over all mails that have left (docs/adr/0064-marks.md).
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import NamedTuple

# Who is planned gets the moment of the plan, and is seen once that is committed; clocks of machines differ, too.
_LATE = timedelta(seconds=5)
# How long those behind the mark wait while others are claimed; and longer where the look at them takes a tenth of the time.
_LOOK_EVERY_S, _SHARE = 1.0, 10


class Place(NamedTuple):
    """Of a recipient among those of a sending, in the order in which they are due."""

    due_at: datetime
    id: int


BEGINNING = Place(datetime.min.replace(tzinfo=UTC), 0)


class Mark:
    """Up to where a round has come. Nobody is missed: it says only where to look first."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._place = BEGINNING
        self._from_beginning_at = 0.0

    def after(self, now: datetime) -> Place:
        """Where the next claim is to look first; now and then, the beginning."""
        if self._clock() >= self._from_beginning_at:
            return BEGINNING
        return min(self._place, Place(now - _LATE, 0))

    def looked(self, after: Place, last: Place | None, took_s: float) -> None:
        """Take note of a claim: where it began, the last place it has met (None: nobody), and how long it took."""
        if after == BEGINNING:
            self._from_beginning_at = self._clock() + max(_LOOK_EVERY_S, took_s * _SHARE)
        elif last is None:
            self._from_beginning_at = 0.0
        if last is not None:
            self._place = last
