"""Which sendings a process works on: as many at a time as there are places, shared by licence.

Triggered mails, mass mails and what is one long statement (an audience that is frozen, one that is taken back) have places
of their own, so that none of them waits for the others. See docs/adr/0062-shared-by-licence.md.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from enum import Enum, auto
from time import monotonic

from tabellion.features.delivery.store import Due


class _Kind(Enum):
    TRIGGERED = auto()
    MASS = auto()
    LONG = auto()


# Each holds a connection until it has ended, and gives it to nobody meanwhile.
_LONG_AT_ONCE = 2


class Turns:
    """`places`: of triggered and of mass sendings each. `turn_s`: how long one works at least while another one waits."""

    def __init__(self, places: int, turn_s: float, clock: Callable[[], float] = monotonic) -> None:
        self._places, self._turn_s, self._clock = places, turn_s, clock
        self._due: dict[int, Due] = {}
        self._begun_at: dict[int, float] = {}
        self._waiting: dict[int, Due] = {}
        self._leaving: set[int] = set()
        self._working: Counter[int] = Counter()

    def order(self, due: Iterable[Due], working: Collection[int]) -> list[int]:
        """What is due, in the order in which it is to begin: first whose licence has the least at work.

        Then whose turn was longest ago: some are worth a look all the time and seldom have work.
        """
        found = {each.id: each for each in due}
        self._due = {id_: self._due[id_] for id_ in working if id_ in self._due} | found
        self._begun_at = {id_: at for id_, at in self._begun_at.items() if id_ in self._due}
        self._waiting = {}
        self._working = Counter(self._due[id_].licence_id for id_ in working if id_ in self._due)
        return sorted(found, key=lambda id_: (self._working[found[id_].licence_id], self._begun_at.get(id_, 0.0)))

    def begins(self, sending_id: int, working: Collection[int]) -> bool:
        """Whether a sending has a place beside those that are worked on; else it waits for one."""
        kind = self._kind(sending_id)
        places = _LONG_AT_ONCE if kind is _Kind.LONG else self._places
        if sum(self._kind(each) is kind for each in working) >= places:
            if sending_id in self._due:
                self._waiting[sending_id] = self._due[sending_id]
            return False
        self._waiting.pop(sending_id, None)
        self._begun_at[sending_id] = self._clock()
        return True

    def gives_way(self, sending_id: int) -> bool:
        """Whether a sending has had its turn, and another one of its licence, or of one with less at work, waits for it."""
        if sending_id in self._leaving:
            return True
        mine = self._due.get(sending_id)
        if mine is None or self._clock() - self._begun_at.get(sending_id, 0.0) < self._turn_s:
            return False
        kind, at_work = self._kind(sending_id), self._working
        others = [
            each for each in self._waiting.values()
            if self._kind(each.id) is kind
            and (each.licence_id == mine.licence_id or at_work[each.licence_id] < at_work[mine.licence_id])
        ]  # fmt: skip
        if len(others) <= sum(self._kind(each) is kind for each in self._leaving):
            return False
        self._leaving.add(sending_id)
        return True

    def over(self, sending_id: int) -> None:
        """A sending is worked on no more."""
        self._leaving.discard(sending_id)

    def _kind(self, sending_id: int) -> _Kind:
        due = self._due.get(sending_id)
        if due is not None and due.state != "RUNNING":
            return _Kind.LONG
        # Only triggers are announced before they are looked at.
        return _Kind.TRIGGERED if due is None or due.triggered else _Kind.MASS
