"""What goes wrong again and again: pauses that grow, and lines in the log that become rare."""

import logging
from collections import Counter
from collections.abc import Callable
from time import monotonic

import psycopg

from tabellion.features.delivery.model import words_of
from tabellion.platform.templates import CageUnavailable

_log = logging.getLogger(__name__)
# What goes by itself is tried again soon: a database or a disk that is away, a machine without memory.
_PASSING = (psycopg.OperationalError, OSError, CageUnavailable)
_LONGEST_PASSING_S = 5.0
# What has not happened for so long is new when it happens again.
_FORGOTTEN_AFTER_S = 3600.0


def passes(error: BaseException) -> bool:
    """Whether an error says nothing about the work itself, and goes by itself."""
    return isinstance(error, _PASSING)


class Setbacks:
    """Failures of one piece of work. `what` begins the lines of the log: "the sending 7 was interrupted".

    The first of a kind is logged with where it came from; of its repetitions the 2nd, the 4th, the 8th and so on, with their
    number. `last`: what happened last, in words for others; None: it went well since.
    """

    def __init__(
        self, what: str, *, first_s: float = 1.0, longest_s: float = 60.0, clock: Callable[[], float] = monotonic
    ) -> None:
        self._what, self._first_s, self._longest_s, self._clock = what, first_s, longest_s, clock
        self._kinds: Counter[str] = Counter()
        self._pause_s = self._last_at = 0.0
        self.last: str | None = None

    def happened(self, error: BaseException) -> float:
        """Take note of a failure; how long to wait before the next try."""
        now = self._clock()
        if now - self._last_at > _FORGOTTEN_AFTER_S:
            self.over()
        self._last_at, self.last = now, words_of(error)
        longest_s = min(self._longest_s, _LONGEST_PASSING_S) if passes(error) else self._longest_s
        self._pause_s = min(self._pause_s * 2 or self._first_s, longest_s)
        kind = type(error).__name__
        self._kinds[kind] += 1
        count = self._kinds[kind]
        if count == 1:
            told = None if passes(error) else error
            _log.warning("%s (%s: %s)", self._what, kind, error, exc_info=told)
        elif count & (count - 1) == 0:
            _log.warning("%s, for the %dth time (%s: %s)", self._what, count, kind, error)
        return self._pause_s

    def over(self) -> None:
        """It went well."""
        if self._kinds:
            self._kinds.clear()
            self.last = None
            self._pause_s = 0.0
