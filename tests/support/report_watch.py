"""Somebody who reads the report of a campaign all the time while it is sent, and wants it to add up each time."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, Self

import httpx
import psycopg

from tests.support.sums import assert_right
from tests.support.tenant import Tenant

_OPEN = {"PLANNED", "DEFERRED", "CLAIMED", "SENDING"}
_ENDED = {"ACCEPTED", "REJECTED", "UNCERTAIN", "EXCLUDED", "FAILED"}
# States by what else their rows must say: when they are due, who holds them, when they ended.
_ROWS = """
SELECT state, count(*), count(*) FILTER (WHERE due_at IS NULL), count(*) FILTER (WHERE worker IS NULL),
       count(*) FILTER (WHERE ended_at IS NULL)
FROM {schema}.recipient WHERE campaign_id = %s GROUP BY state
"""


class ReportWatch:
    """Use as a context. Reads both reports over HTTP, and the rows, until the end; `check` and the end raise what did not add up.

    While the database is down there are no reports: 503 is an answer, everything else but 200 is a fault. `journal` says how many
    mails the SMTP server has taken: no more can have been accepted.
    """

    def __init__(
        self, tenant: Tenant, url: str, schema: str, campaign: int, recipients: int, journal: Callable[[], int]
    ) -> None:
        self._tenant, self._url, self._schema = tenant, url, schema
        self._campaign, self._recipients, self._journal = campaign, recipients, journal
        self.reports = self.tables = self.unfinished = self.unavailable = 0
        self._frozen = False
        self._sent = 0
        self._fault: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stop.set()
        self._thread.join(90)
        if kind is None:
            assert not self._thread.is_alive()
            self.check()
            asyncio.run(self._kept_is_right())

    def check(self) -> None:
        """Raises what did not add up until now."""
        if self._fault is not None:
            raise self._fault

    async def _kept_is_right(self) -> None:
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as db:
            await assert_right(db, int(self._schema[1:]), self._campaign)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                started = time.monotonic()
                self._look()
                # A large campaign's report takes its time: those who send are not to wait for who looks.
                self._stop.wait(0.1 + 3 * (time.monotonic() - started))
            self._look()
        except BaseException as error:
            self._fault = error

    def _look(self) -> None:
        # What one statement counts after another one has not gone back.
        for path in ("/v4/entity/hotels/mail/{}/report", "/v5/entities/hotels/mails/{}/report"):
            found = self._read(path.format(self._campaign))
            if found is not None:
                self._add_up(found, found["totals"]["sent"] if "totals" in found else found["sent"])
        self._add_up_rows()

    def _read(self, path: str) -> dict[str, Any] | None:
        try:
            answer = self._tenant.call("GET", path)
        except httpx.TransportError:
            self.unavailable += 1
            return None
        if answer.status_code == 503:
            self.unavailable += 1
            return None
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def _add_up(self, found: dict[str, Any], sent: int) -> None:
        excluded = sum(found["excluded"].values())
        accounted = excluded + sent + found["uncertain"] + found["pending"]
        assert found["targeted"] == accounted, f"the report does not add up: {found}"
        self._is_whole(found["targeted"])
        assert sent >= self._sent, f"{self._sent} mails were sent, and now {sent}"
        self._sent = sent
        self.reports += 1
        self.unfinished += found["pending"] > 0

    def _add_up_rows(self) -> None:
        try:
            with psycopg.connect(self._url, autocommit=True, connect_timeout=5) as db:
                rows = db.execute(_ROWS.format(schema=self._schema).encode(), (self._campaign,)).fetchall()
        except psycopg.OperationalError:
            self.unavailable += 1
            return
        self._is_whole(sum(row[1] for row in rows))
        for state, count, not_due, held_by_nobody, not_ended in rows:
            assert state in _OPEN | _ENDED
            assert not_ended == (count if state in _OPEN else 0), f"{state}: {not_ended} of {count} have no end"
            if state in {"PLANNED", "DEFERRED"}:
                assert not not_due, f"{state}: {not_due} of {count} are never due"
            if state in {"CLAIMED", "SENDING"}:
                assert not held_by_nobody, f"{state}: {held_by_nobody} of {count} are held by nobody"
        accepted = sum(row[1] for row in rows if row[0] == "ACCEPTED")
        assert accepted <= self._journal(), f"{accepted} are accepted, and fewer have arrived"
        self.tables += 1

    def _is_whole(self, targeted: int) -> None:
        """An audience is frozen by one statement: nobody sees a part of it, and nobody leaves it."""
        assert targeted == self._recipients or (targeted == 0 and not self._frozen), f"{targeted} are targeted"
        self._frozen = targeted == self._recipients
