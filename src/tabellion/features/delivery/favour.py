"""Whether relays take the mails of a sending: one that refuses all of them is wrongly set, or wants none of what they say.

A mass sending would be used up in minutes, with all its people. So a refusal of which that may be the reason is final once
the relay has taken another mail of the sending, or nobody else is left; until then it is put off. After many in a row it
gets no more of these mails, but one now and then (docs/adr/0070-refused-in-a-row.md).
"""

import logging
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tabellion.features.delivery.model import DECLINED, UNCERTAIN, Ending, Sending, State, next_attempt
from tabellion.kit.outage import Outage
from tabellion.platform.mail import Fate, Reply

# Ways are made of what favour is about: one of the two modules has to name the other only.
if TYPE_CHECKING:
    from tabellion.features.delivery.transport import Exit

_log = logging.getLogger(__name__)
# How long a relay is left alone, and at most after many times; and mails that it has refused meanwhile.
_PAUSE_S, _LONGEST_PAUSE_S = 60.0, 600.0
_PUT_OFF = timedelta(minutes=10)
# That nobody lives there is mostly true: so many of them weigh what one refusal of the mail itself does.
_STRANGERS = 5


class _Run:
    """Refusals in a row: how many, what they weigh, and those that may become final, by the recipient's id.

    A relay that has lost favour is tried again at `until`; `told`: how many it had refused when it did.
    """

    def __init__(self) -> None:
        self.count = self.weight = self.told = 0
        self.kept: dict[int, Ending] = {}
        self.said = ""
        self.until = self.pause_s = 0.0
        self.trying = False

    @property
    def is_lost(self) -> bool:
        return self.told > 0


class Favour:
    """What this process knows of one sending. `most`: so many refusals in a row, and then no more; 0: as many as it likes.

    Triggered mails are not held: after so many, refusals are not final, but tried again for a day.
    """

    def __init__(self, most: int = 0, sending: Sending | None = None) -> None:
        self._most = 0 if sending is None or sending.document.test else most
        self._triggered = sending is not None and sending.document.triggered
        self._name = "" if sending is None else sending.document.campaign_name
        self.licence_id, self.version = (0, 0) if sending is None else (sending.licence_id, sending.version)
        self._runs: dict[Exit, _Run] = {}
        # Those that have taken a mail.
        self._proven: set[Exit] = set()
        self._outage = Outage(_log)

    def __bool__(self) -> bool:
        """Whether a relay has refused something and has taken nothing since."""
        return bool(self._runs)

    def rest_s(self, relay: "Exit") -> float:
        """For how long a relay is to get none of the mails; 0: it may. One without favour gets one at a time."""
        run = self._runs.get(relay)
        if run is None or not run.is_lost:
            return 0.0
        return max(run.until - monotonic(), 0.1 if run.trying else 0.0)

    def is_lost(self, relay: "Exit") -> bool:
        """Whether a relay has lost favour, and gets no more than one mail to try it."""
        run = self._runs.get(relay)
        return run is not None and run.is_lost

    @contextmanager
    def trial(self, relay: "Exit") -> Generator[None]:
        """While a mail is handed over to a relay."""
        run = self._runs.get(relay)
        if run is None or run.trying:
            yield
            return
        run.trying = True
        try:
            yield
        finally:
            run.trying = False

    def weigh(self, relay: "Exit", reply: Reply, ending: Ending, now: datetime) -> Sequence[Ending]:
        """What is to be written down of a mail, and of those before it, after an answer of a relay."""
        if reply.fate is Fate.ACCEPTED:
            self._proven.add(relay)
            run = self._runs.pop(relay, None) if self._runs else None
            if run is None:
                return (ending,)
            if not self.troubles():
                self._outage.over(f"{relay.name} takes mails of the campaign '{self._name}' again")
            # What it refused in a row it may take now.
            return (ending,) if run.is_lost else (ending, *run.kept.values())
        if not self._most or ending.state is not State.REJECTED or not (weight := self._weight(relay, reply)):
            return (ending,)
        run = self._runs.setdefault(relay, _Run())
        run.count += 1
        run.weight += weight
        run.said = relay.spoken(reply.text)
        if self._triggered:
            return (self._for_now(run, ending, now),)
        run.kept[ending.claimed.id] = ending
        if run.weight >= self._most * _STRANGERS:
            self._leave_alone(relay, run)
        # To the second, so that many of them are one look.
        due_at = now.replace(microsecond=0) + _PUT_OFF
        return (replace(ending, state=State.DEFERRED, reason=DECLINED, due_at=due_at, suppress=False),)

    def _weight(self, relay: "Exit", reply: Reply) -> int:
        if reply.of_us:
            return _STRANGERS
        # Some say so of all whom they do not take mails for; one that has taken some knows what it says.
        return int(reply.no_mailbox and relay not in self._proven)

    def _for_now(self, run: _Run, ending: Ending, now: datetime) -> Ending:
        """Of a triggered mail: what becomes of it."""
        due_at = next_attempt(ending.claimed, now) if run.weight >= self._most * _STRANGERS else None
        if due_at is None:
            return ending
        reason = UNCERTAIN if ending.claimed.doubtful else "deferred"
        return replace(ending, state=State.DEFERRED, reason=reason, due_at=due_at, suppress=False)

    def _leave_alone(self, relay: "Exit", run: _Run) -> None:
        # Mails that were on their way together are refused together: that is once.
        if monotonic() >= run.until:
            run.told = run.told or run.count
            run.pause_s = min(run.pause_s * 2 or _PAUSE_S, _LONGEST_PAUSE_S)
            run.until = monotonic() + run.pause_s
        self._outage.found(f"campaign '{self._name}': {_told(relay, run)}")

    def kept(self, *, lost: bool) -> list[Ending]:
        """Refusals that are final when nobody else is left; `lost`: those by relays that have lost favour as well.

        A relay that has taken nothing has no address suppressed.
        """
        runs = [run for run in self._runs.values() if lost or not run.is_lost]
        return [replace(each, suppress=False) for run in runs for each in run.kept.values()]

    def forget(self, endings: Iterable[Ending]) -> None:
        """They have become final."""
        for run in self._runs.values():
            for each in endings:
                run.kept.pop(each.claimed.id, None)

    def troubles(self) -> "dict[Exit, str]":
        """Relays that are left alone, and why."""
        return {relay: _told(relay, run) for relay, run in self._runs.items() if run.is_lost}


def _told(relay: "Exit", run: _Run) -> str:
    return (
        f"{relay.name} has refused {run.told} mails in a row, and gets one now and then to see whether it takes it. "
        f"It says: {run.said}"
    )
