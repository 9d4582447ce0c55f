"""Kill -9 of API processes while imports are sent: twelve bulk calls of a day are let in, never a thirteenth."""

import os
import random
import signal
import threading
import time
from pathlib import Path

import httpx
import psycopg
import pytest

from tabellion.server.embedded import EmbeddedPostgres
from tests.support import plain
from tests.support.imports import zipped
from tests.support.serving import Serving
from tests.support.tenant import TABLE

pytestmark = pytest.mark.system
MOST = 12
SENDERS = 4
EACH = 5
FILE = zipped("emailAddress,lastName\nbob@example.com,Bob\n")
PATH = "/v4/entity/hotels/table/Guests/import"


def test_the_thirteenth_bulk_call_is_refused_whatever_dies(tmp_path: Path) -> None:
    chance = random.Random(12)
    with Serving(tmp_path, "--workers", "2") as server:
        server.verb("licence", "create", "harbour", "--limits", "unlimited")
        server.verb("licence", "limits", "harbour", "--bulk-per-day", str(MOST))
        server.verb("entity", "create", "harbour", "hotels")
        key = server.verb("user", "create", "harbour", "shop")["apiKey"]
        headers = {"Authorization": f"Bearer {key}"}
        made = plain.post(f"{server.url}/v5/entities/hotels/profile-tables", json=TABLE, headers=headers)
        assert made.status_code == 201
        answers: dict[str, tuple[int, str]] = {}

        def send(sender: int) -> None:
            for number in range(EACH):
                mark = f"{sender}-{number}"
                answers[mark] = _insist(server.url, headers | {"Idempotency-Key": f'"{mark}"'})

        senders = [threading.Thread(target=send, args=(n,)) for n in range(SENDERS)]
        for sender in senders:
            sender.start()
        kills = 0
        while any(sender.is_alive() for sender in senders):
            time.sleep(chance.uniform(0.05, 0.4))
            if kills < 8:
                serving = server.children("api")
                if serving:
                    os.kill(chance.choice(serving), signal.SIGKILL)
                    kills += 1
        accepted = {text for status, text in answers.values() if status == 201}
        refused = [text for status, text in answers.values() if status == 429]
        assert len(accepted) == MOST, answers
        assert len(refused) == SENDERS * EACH - MOST
        thirteenth = plain.post(server.url + PATH, files={"inputFile": ("x.zip", FILE)}, headers=headers)
        assert (thirteenth.status_code, thirteenth.json()["code"]) == (429, "limit.bulkPerDay")
        with EmbeddedPostgres(server.data_dir) as database, psycopg.connect(database.url) as db:
            assert db.execute("SELECT count(*) FROM tabellion.import_job").fetchone() == (MOST,)
    assert kills > 0


def _insist(url: str, headers: dict[str, str]) -> tuple[int, str]:
    """An answer in the end: what is not answered is sent again, under the same key."""
    deadline = time.monotonic() + 90
    while True:
        try:
            answer = plain.post(url + PATH, files={"inputFile": ("x.zip", FILE)}, headers=headers, timeout=30)
            # 409: the call that was cut off still runs.
            if answer.status_code < 500 and answer.status_code != 409:
                return answer.status_code, answer.text
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, "no answer"
        time.sleep(0.05)
