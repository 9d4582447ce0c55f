"""Somebody who pauses a campaign and lets it go on, whatever happens to the API at the same moment."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx

from tests.support.api import Api
from tests.support.gap_sink import GapSink
from tests.support.tenant import Tenant

# "Nothing leaves any more, within 2 seconds or one batch."
HELD_WITHIN_S = 2.0
_OVER = {"FINISHED", "CANCELLED", "STOPPED"}


def kill_api(api: Api, chance: random.Random) -> None:
    """Kill one of the processes that serve, or all of them; they are started again."""
    serving = api.children()
    for pid in serving if chance.random() < 0.5 else serving[:1]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Pausing:
    """`rows` asks the database; `api` is killed half of the times in the middle of a call, if it is there. What was answered has been done; what was not is done or not, and said again then."""

    def __init__(
        self,
        tenant: Tenant,
        api: Api,
        rows: Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]],
        licence: int,
        number: int,
    ) -> None:
        self._tenant, self._api, self._rows, self._licence, self._number = tenant, api, rows, licence, number
        self._runs = self._state()

    def hold_for_a_while(self, sink: GapSink, chance: random.Random) -> bool:
        """Pause and resume; False: the campaign is over. Nothing begins meanwhile."""
        if not self._say("pause", "PAUSED", chance):
            return False
        time.sleep(HELD_WITHIN_S)
        query = f"SELECT address FROM l{self._licence}.recipient WHERE campaign_id = %s AND state = 'SENDING'"
        begun = {row[0] for row in self._rows(query, (self._number,))}
        had = set(sink.journal)
        time.sleep(chance.uniform(0.2, 0.6))
        late = set(sink.journal) - had - begun
        assert not late, f"the campaign was paused, and mails left all the same: {sorted(late)[:5]}"
        return self._say("resume", self._runs, chance)

    def _say(self, action: str, wanted: str, chance: random.Random) -> bool:
        if self._api is None or chance.random() < 0.5:
            return self._repeat(action, wanted)
        killing = threading.Timer(chance.uniform(0.0, 0.02), kill_api, (self._api, chance))
        killing.start()
        try:
            return self._repeat(action, wanted)
        finally:
            killing.join()

    def _repeat(self, action: str, wanted: str) -> bool:
        deadline = time.monotonic() + 60
        while True:
            status = None
            with suppress(httpx.TransportError):
                status = self._tenant.call("POST", f"/v4/entity/hotels/mail/{self._number}/{action}").status_code
            state = self._state()
            assert status in {None, 200, 409, 503}, f"{action}: {status}"
            if status == 200 and state not in _OVER:
                assert state == wanted, f"{action} was answered with success, and the campaign is {state}"
            if state == wanted or state in _OVER:
                return state == wanted
            assert time.monotonic() < deadline, f"{action} is not answered any more"
            time.sleep(0.05)

    def _state(self) -> str:
        return self._rows("SELECT state FROM tabellion.campaign WHERE id = %s", (self._number,))[0][0]
