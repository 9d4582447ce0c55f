"""For how long this process has seen nothing new of others: it shares no clock with them that is sure not to jump."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from time import monotonic


class Silences:
    """Of workers that are looked at again and again."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._since: dict[int, tuple[datetime, float]] = {}

    def look(self, seen: Mapping[int, datetime]) -> dict[int, timedelta]:
        """For how long each of these has had the moment at which it was seen last; the others are forgotten."""
        now = self._clock()
        fresh = {worker: (at, now) for worker, at in seen.items()}
        kept = {worker: was for worker, was in self._since.items() if was[0] == seen.get(worker)}
        self._since = fresh | kept
        return {worker: timedelta(seconds=now - since) for worker, (_, since) in self._since.items()}
