"""People unsubscribe while their campaign is on its way: once they have the answer, nobody gets the mail.

The suite has 1,000 recipients of whom 200 leave; `make chaos-unsubscribe` (TABELLION_LEAVING=10000) has 20,000 of whom 10,000 do.
"""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tabellion.features.delivery import Token, Use, write_token
from tabellion.platform import secrets
from tests.support import plain
from tests.support.api import running_api
from tests.support.gap_sink import GapSink
from tests.support.tenant import Tenant
from tests.support.tenants import Tenants
from tests.support.waiting import until

pytestmark = pytest.mark.system
LEAVING = int(os.environ.get("TABELLION_LEAVING", "200"))
RECIPIENTS = LEAVING * 5 if LEAVING < 10_000 else LEAVING * 2
SEED = int(os.environ.get("TABELLION_SEED", "20261126"))
ROOT = Path(__file__).parents[2]
KEY = {"TABELLION_SECRET_KEY": "of the tests"}
CALLERS, CONNECTIONS = 4, 4
AT_ONCE, AGAIN = 200, 50
WITHIN_S = 1.0
# Mail programs wait longer for the answer; what is meant is that nobody is kept behind all the others.
ANSWERED_WITHIN_S = 10.0
MAIL = "/v4/entity/hotels/mail"


@pytest.mark.timeout(3600)
def test_no_mail_begins_a_second_after_the_answer(database_url: str, tmp_path: Path) -> None:
    leaving = random.Random(SEED).sample(range(2, RECIPIENTS + 1), LEAVING)
    with _place(database_url, tmp_path) as place:
        number = place.campaign("SpringOffer", subscription="Newsletter")
        place.launch(number, slowly=True)
        with place.senders():
            until(lambda: place.sink.journal, 60)
            answered: dict[str, float] = {}

            def leave(guest: int) -> None:
                path = f"/v4/entity/hotels/table/Guests/profile/emailAddress=g{guest}@example.com/subscription/Newsletter"
                answer = place.tenant.json("DELETE", path)
                answered[f"g{guest}@example.com"] = time.monotonic()
                assert answer.status_code == 204, answer.text

            with ThreadPoolExecutor(CALLERS) as callers:
                list(callers.map(leave, leaving))
            place.wait_until_sent(number)
        _check(place, number, answered)


@pytest.mark.timeout(3600)
def test_one_click_of_many_at_once_while_their_next_mail_is_on_its_way(database_url: str, tmp_path: Path) -> None:
    """They leave by the button of their mail program, from a mail that they got before: half of them one of the newsletter, half one
    that was for no subscription. One of them does it 50 times at once.
    """
    secrets.use_key(KEY["TABELLION_SECRET_KEY"], tmp_path)
    leaving = [f"g{n}@example.com" for n in random.Random(SEED).sample(range(2, RECIPIENTS + 1), LEAVING)]
    half = LEAVING // 2
    with _place(database_url, tmp_path) as place, place.senders():
        before = [
            place.campaign("News", subscription="Newsletter", keys={"attribute": "emailAddress", "values": leaving[:half]}),
            place.campaign("Notes", keys={"attribute": "emailAddress", "values": leaving[half:]}),
        ]
        for number in before:
            place.launch(number)
            place.wait_until_sent(number)
        pages = place.unsubscribe_pages(before)
        assert sorted(pages) == sorted(leaving)
        place.sink.journal.clear()
        place.sink.at.clear()
        number = place.campaign("SpringOffer", subscription="Newsletter")
        place.launch(number, slowly=True)
        until(lambda: place.sink.journal, 60)
        clicks = [*leaving, *[leaving[0]] * (AGAIN - 1)]
        random.Random(SEED).shuffle(clicks)
        answered, slowest = asyncio.run(_click(pages, clicks))
        place.wait_until_sent(number)
        _check(place, number, answered)
        counted = [place.tenant.json("GET", f"{MAIL}/{each}/report").json()["unsubscribes"] for each in before]
        schema = f"l{place.licence}"
        events = f"SELECT count(*), count(DISTINCT recipient_id) FROM {schema}.mail_event WHERE type = 'UNSUBSCRIBE'"
        assert place.db.execute(events.encode()).fetchone() == (LEAVING, LEAVING)
        # A choice stands in the profile; one that was replaced, in the history.
        chosen = f"SELECT count(*) FROM {schema}.{place.relation} WHERE {place.newsletter}_details ->> 'way' = 'one-click'"
        replaced = f"SELECT count(*) FROM {schema}.consent WHERE details ->> 'way' = 'one-click'"
        assert (_one(place.db, chosen), _one(place.db, replaced)) == (half, 0)
        suppressed = f"SELECT array_agg(address ORDER BY address) FROM {schema}.suppression WHERE reason = 'UNSUBSCRIBE'"
        assert _one(place.db, suppressed) == sorted(leaving[half:])
    assert counted == [half, LEAVING - half]
    assert slowest <= ANSWERED_WITHIN_S, f"seed {SEED}: the slowest of {len(clicks):,} answers took {slowest:.1f} s"
    print(f"{len(clicks):,} clicks, {AT_ONCE} at once: the slowest answer took {slowest:.2f} s")


async def _click(pages: dict[str, str], clicks: list[str]) -> tuple[dict[str, float], float]:
    """POST as RFC 8058 says, many at once; when each was answered for the first time, and how long the slowest answer took."""
    answered: dict[str, float] = {}
    took: list[float] = []
    slots = asyncio.Semaphore(AT_ONCE)
    # Everybody's mail program makes a connection of its own.
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=0)
    async with plain.AsyncClient(limits=limits, timeout=60) as client:

        async def one(address: str) -> None:
            async with slots:
                begun = time.monotonic()
                answer = await client.post(pages[address], data={"List-Unsubscribe": "One-Click"})
                took.append(time.monotonic() - begun)
                answered.setdefault(address, time.monotonic())
                assert answer.status_code == 200, answer.text

        await asyncio.gather(*(one(address) for address in clicks))
    return answered, max(took)


class _Place:
    """A licence whose guests have subscribed, and a relay that says when each mail arrived."""

    def __init__(self, url: str, tenant: Tenant, sink: GapSink, db: psycopg.Connection[Any]) -> None:
        self.tenant, self.sink, self.db, self._url = tenant, sink, db, url
        self.licence = _one(db, "SELECT id FROM tabellion.licence WHERE name = %s", (tenant.licence,))
        self.relation, self.newsletter = _fill(db, self.licence, sink)

    def campaign(self, name: str, **target: Any) -> int:
        number = self.tenant.campaign(name)
        aimed = self.tenant.json("PUT", f"{MAIL}/{number}/target", target)
        assert aimed.status_code == 200, aimed.text
        return number

    def launch(self, number: int, *, slowly: bool = False) -> None:
        """`slowly`: so that most of those who leave do it before their mail is due."""
        self.sink.answer_after_s = CALLERS * CONNECTIONS / 1000 if slowly else 0.0
        launch = {"overrideSenderCheck": "nobody sends for this test"}
        assert self.tenant.json("POST", f"{MAIL}/{number}/launch", launch).status_code == 200

    @contextmanager
    def senders(self) -> Iterator[None]:
        command = [sys.executable, "-m", "tests.support.mailsender", self._url]
        running = [subprocess.Popen(command, cwd=ROOT, env=os.environ | KEY) for _ in range(2)]
        try:
            yield
        finally:
            for sender in running:
                sender.kill()
                sender.wait()

    def wait_until_sent(self, number: int) -> None:
        done = "SELECT state IN ('FINISHED', 'PAUSED') FROM tabellion.campaign WHERE id = %s"
        until(lambda: _one(self.db, done, (number,)), 120 + RECIPIENTS / 20)

    def unsubscribe_pages(self, campaigns: list[int]) -> dict[str, str]:
        """Where the headers of their mails lead, by address."""
        query = f"SELECT address, id FROM l{self.licence}.recipient WHERE campaign_id = ANY (%s) AND state = 'ACCEPTED'"
        base = str(self.tenant.client.base_url).rstrip("/")
        rows = self.db.execute(query.encode(), (campaigns,)).fetchall()
        return {address: f"{base}/t/u/{write_token(Token(Use.UNSUBSCRIBE, self.licence, id_))}" for address, id_ in rows}


@contextmanager
def _place(database_url: str, folder: Path) -> Iterator[_Place]:
    with (
        running_api(database_url, folder, settings=KEY) as api,
        GapSink() as sink,
        psycopg.connect(database_url, autocommit=True) as db,
    ):
        with Tenants(database_url) as tenants:
            tenant = tenants.create(api.client())
        yield _Place(database_url, tenant, sink, db)


def _check(place: _Place, number: int, answered: dict[str, float]) -> None:
    """Nobody's mail of the campaign arrived too late after their answer; everybody's fate is known."""
    query = f"SELECT address, state, reason FROM l{place.licence}.recipient WHERE campaign_id = %s"
    rows = place.db.execute(query.encode(), (number,)).fetchall()
    sink = place.sink
    late = {address: sink.at[address] - answered[address] for address in answered if address in sink.at}
    worst = max(late.values(), default=0.0)
    excluded = {
        address for address, state, reason in rows if state == "EXCLUDED" and reason in {"unsubscribed", "suppressed"}
    }
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


def _fill(db: psycopg.Connection[Any], licence: int, sink: GapSink) -> tuple[str, str]:
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
    return relation, newsletter
