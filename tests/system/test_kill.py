"""Kill -9 of an API process under write load: what was answered with success is in the database exactly once.

The suite kills a few times; `make chaos-api` (TABELLION_KILLS=50) many times.
"""

import contextlib
import os
import random
import signal
import threading
import time
import uuid
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.support import plain
from tests.support.api import running_api
from tests.support.tenants import Tenants

pytestmark = pytest.mark.system
KILLS = int(os.environ.get("TABELLION_KILLS", "4"))
SEED = int(os.environ.get("TABELLION_SEED", "20261123"))
CLIENTS = 6


class Writer(threading.Thread):
    """Creates profiles one after the other; repeats a call with its key until it is answered, as the guide says."""

    def __init__(self, url: str, key: str, number: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.answered: dict[str, int] = {}
        self.failures: list[str] = []
        self._url, self._key, self._number, self._stop_event = url, key, number, stop

    def run(self) -> None:
        count = 0
        with plain.Client(base_url=self._url, timeout=20, headers={"Authorization": f"Bearer {self._key}"}) as client:
            while not self._stop_event.is_set():
                count += 1
                email = f"w{self._number}-{count}@example.com"
                self._create(client, email)

    def _create(self, client: httpx.Client, email: str) -> None:
        body = {
            "attributes": [{"name": "emailAddress", "value": email}, {"name": "lastName", "value": "Vos"}],
            "subscriptions": [{"name": "Newsletter", "subscribe": True}],
        }
        key = str(uuid.uuid4())
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                answer = client.post("/v4/entity/hotels/table/Guests/profile", json=body, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                time.sleep(0.05)
                continue
            if answer.status_code == 201:
                self.answered[email] = answer.json()["profileId"]
                return
            if answer.status_code not in {409, 429, 503}:
                self.failures.append(f"{email}: {answer.status_code} {answer.text}")
                return
            time.sleep(0.05)
        self.failures.append(f"{email}: no answer")


def test_nothing_answered_is_lost_and_nothing_is_done_twice(database_url: str, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    stop = threading.Event()
    with running_api(database_url, tmp_path, verb="serve", workers=2) as api:
        with Tenants(database_url) as tenants:
            tenant = tenants.create(api.client(), unlimited=True)
        writers = [Writer(api.url, tenant.api_key, number, stop) for number in range(CLIENTS)]
        for writer in writers:
            writer.start()
        for _ in range(KILLS):
            _wait_for_answers(writers, CLIENTS)
            time.sleep(chance.uniform(0.0, 1.0))
            # None at all for a moment, when the supervisor has just lost the last one.
            with contextlib.suppress(ProcessLookupError, IndexError):
                os.kill(chance.choice(api.children()), signal.SIGKILL)
        _wait_for_answers(writers, CLIENTS)
        stop.set()
        for writer in writers:
            writer.join(60)

        assert [f for w in writers for f in w.failures] == [], f"seed {SEED}"
        answered = {email: id_ for w in writers for email, id_ in w.answered.items()}
        assert len(answered) > KILLS * CLIENTS
        _compare(database_url, tenant.licence, answered)


def _wait_for_answers(writers: list[Writer], more: int) -> None:
    """Until calls have been served again since the last kill."""
    wanted = sum(len(writer.answered) for writer in writers) + more
    deadline = time.monotonic() + 60
    while sum(len(writer.answered) for writer in writers) < wanted:
        assert time.monotonic() < deadline, "no call is answered any more"
        time.sleep(0.02)


def _compare(database_url: str, licence: str, answered: dict[str, int]) -> None:
    with psycopg.connect(database_url) as db:
        row = db.execute(
            "SELECT l.id, t.id FROM tabellion.licence l JOIN tabellion.profile_table t ON t.licence_id = l.id WHERE l.name = %s",
            (licence,),
        ).fetchone()
        assert row is not None
        rows = db.execute(f"SELECT a1, id FROM l{row[0]}.p{row[1]} WHERE a1 LIKE 'w%%-%%'").fetchall()
        choices = db.execute(f"SELECT id, to_jsonb(t) FROM l{row[0]}.p{row[1]} t WHERE a1 LIKE 'w%%-%%'").fetchall()
        replaced = db.execute(f"SELECT count(*) FROM l{row[0]}.consent").fetchone()
        audits = db.execute(
            "SELECT object, count(*) FROM tabellion.audit WHERE licence_id = %s AND object LIKE 'profile/%%' GROUP BY 1",
            (row[0],),
        ).fetchall()
    found = dict(rows)
    assert len(found) == len(rows), "a profile exists twice"
    assert {email: found.get(email) for email in answered} == answered
    halved = [
        id_ for id_, columns in choices if not any(value for name, value in columns.items() if name.endswith("_source"))
    ]
    assert not halved, "a profile lacks where its choice comes from"
    assert replaced == (0,), "an effect was repeated"
    per_object = dict(audits)
    assert all(per_object[f"profile/{row[1]}/{id_}"] == 1 for id_ in found.values())
