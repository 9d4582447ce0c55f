"""People unsubscribe while their campaign is on its way: once they have the answer, nobody gets the mail.

The suite has 1,000 recipients of whom 200 leave; `make chaos-unsubscribe` (TABELLION_LEAVING=10000) has 20,000 of whom 10,000 do.
"""

import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.api import running_api
from tests.support.gap_sink import GapSink
from tests.support.tenants import Tenants

pytestmark = pytest.mark.system
LEAVING = int(os.environ.get("TABELLION_LEAVING", "200"))
RECIPIENTS = LEAVING * 5 if LEAVING < 10_000 else LEAVING * 2
SEED = int(os.environ.get("TABELLION_SEED", "20261126"))
ROOT = Path(__file__).parents[2]
KEY = {"TABELLION_SECRET_KEY": "of the tests"}
CALLERS, CONNECTIONS = 4, 4
WITHIN_S = 1.0


@pytest.mark.timeout(3600)
def test_no_mail_begins_a_second_after_the_answer(database_url: str, tmp_path: Path) -> None:
    leaving = random.Random(SEED).sample(range(2, RECIPIENTS + 1), LEAVING)
    with (
        running_api(database_url, tmp_path, settings=KEY) as api,
        GapSink() as sink,
        psycopg.connect(database_url, autocommit=True) as db,
    ):
        tenant = Tenants(database_url).create(api.client())
        licence = _one(db, "SELECT id FROM tabellion.licence WHERE name = %s", (tenant.licence,))
        _fill(db, licence, sink)
        number = tenant.campaign()
        target = tenant.json("PUT", f"/v4/entity/hotels/mail/{number}/target", {"subscription": "Newsletter"})
        assert target.status_code == 200, target.text
        # Slow enough that most of them leave before their mail is due.
        sink.answer_after_s = CALLERS * CONNECTIONS / 1000
        launch = {"overrideSenderCheck": "nobody sends for this test"}
        assert tenant.json("POST", f"/v4/entity/hotels/mail/{number}/launch", launch).status_code == 200
        command = [sys.executable, "-m", "tests.support.mailsender", database_url]
        senders = [subprocess.Popen(command, cwd=ROOT, env=os.environ | KEY) for _ in range(2)]
        try:
            _until(lambda: sink.journal, 60)
            answered: dict[str, float] = {}

            def leave(guest: int) -> None:
                path = f"/v4/entity/hotels/table/Guests/profile/emailAddress=g{guest}@example.com/subscription/Newsletter"
                answer = tenant.json("DELETE", path)
                answered[f"g{guest}@example.com"] = time.monotonic()
                assert answer.status_code == 204, answer.text

            with ThreadPoolExecutor(CALLERS) as callers:
                list(callers.map(leave, leaving))
            open_ = f"SELECT EXISTS (SELECT 1 FROM l{licence}.recipient WHERE state IN ('PLANNED', 'CLAIMED', 'SENDING'))"
            _until(lambda: not _one(db, open_), 120 + RECIPIENTS / 20)
        finally:
            for sender in senders:
                sender.kill()
                sender.wait()
        rows = db.execute(f"SELECT address, state, reason FROM l{licence}.recipient").fetchall()
    late = {address: sink.at[address] - answered[address] for address in answered if address in sink.at}
    worst = max(late.values(), default=0.0)
    excluded = {address for address, state, reason in rows if (state, reason) == ("EXCLUDED", "unsubscribed")}
    assert worst <= WITHIN_S, f"seed {SEED}: a mail came {worst:.2f} s after the answer"
    assert excluded <= set(answered)
    assert excluded | set(sink.journal) == {address for address, _, _ in rows}
    assert not excluded & set(sink.journal)
    assert len(excluded) > LEAVING // 4, "most of them had their mail already; the test says nothing"
    after = sum(seconds > 0 for seconds in late.values())
    print(
        f"{RECIPIENTS:,} recipients, {LEAVING:,} left meanwhile: {len(excluded):,} got nothing; {after} mails after the answer, worst {worst:.3f} s"
    )


def _one(db: psycopg.Connection[Any], query: str, values: tuple[Any, ...] = ()) -> Any:
    row = db.execute(query.encode(), values).fetchone()
    assert row is not None
    return row[0]


def _until(condition: Any, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def _fill(db: psycopg.Connection[Any], licence: int, sink: GapSink) -> None:
    relation = _one(db, "SELECT 'p' || id FROM tabellion.profile_table WHERE licence_id = %s", (licence,))
    newsletter = _one(
        db, "SELECT min(column_name::text) FROM information_schema.columns WHERE table_schema = %s AND table_name = %s "
        "AND column_name ~ '^s[0-9]+$'", (f"l{licence}", relation),
    )  # fmt: skip
    db.execute(
        f"INSERT INTO l{licence}.{relation} (created_at, updated_at, a1, a2, {newsletter}) SELECT now(), now(), "
        "'g' || n || '@example.com', 'Guest ' || n, true FROM generate_series(2, %s) n",
        (RECIPIENTS,),
    )
    db.execute(
        "INSERT INTO tabellion.relay (licence_id, host, port, security, connections) VALUES (%s, '127.0.0.1', %s, 'NONE', %s)",
        (licence, sink.port, CONNECTIONS),
    )
