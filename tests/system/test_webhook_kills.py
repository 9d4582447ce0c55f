"""Kill -9 of the processes that deliver webhooks: every event arrives, or is dead with a reason; repeated under its id.

The suite has few events and kills; `make chaos-webhooks` (TABELLION_EVENTS=10000, TABELLION_KILLS=100) has many.
"""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from tabellion.platform import egress, outbox
from tabellion.platform.egress import Policy
from tabellion.platform.outbox import Interest
from tests.support.api import running_api
from tests.support.dispatching import fast_clock
from tests.support.receiver import OK, Received, Receiver, receiving, status
from tests.support.structure import Bench, connect
from tests.support.tenants import Tenants

pytestmark = pytest.mark.system
EVENTS = int(os.environ.get("TABELLION_EVENTS", "800"))
KILLS = int(os.environ.get("TABELLION_KILLS", "6"))
SEED = int(os.environ.get("TABELLION_SEED", "20261123"))
# 24 hours pass in 36 seconds, or in 96 where there is more to do meanwhile.
SPEED = 2400.0 if EVENTS < 5000 else 900.0
ROOT = Path(__file__).parents[2]
# Of a hundred events, how many go to the target of this name.
SHARES = {"ok": 45, "flaky": 25, "block": 15, "broken": 8, "gone": 7}


class World:
    """One receiver for all; what it took and what it was told, by event."""

    def __init__(self, receiver: Receiver, chance: random.Random, clock: Callable[[], datetime]) -> None:
        self.taken: dict[str, set[str]] = defaultdict(set)
        self.ids: dict[str, set[str]] = defaultdict(set)
        self.wrong: list[str] = []
        self.secrets: dict[str, str] = {}
        self._chance = chance
        self._gone_after = 20
        # When the target called `gone` said so: what comes later is owed to nobody.
        self.gone_at: datetime | None = None
        self._clock = clock
        receiver.answer = self.answer

    def answer(self, received: Received) -> bytes | str:
        name = received.path.strip("/")
        self._verify(name, received)
        answer = self._choose(name)
        data = received.json["data"]
        for event in data if isinstance(data, list) else [data]:
            self.ids[event["number"]].add(received.headers["webhook-id"])
            if answer == OK:
                self.taken[name].add(event["number"])
        return answer

    def _verify(self, name: str, received: Received) -> None:
        headers = received.headers
        moment = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        expected = Webhook(self.secrets[name]).sign(headers["webhook-id"], moment, received.body.decode())
        if headers["webhook-signature"] != expected:
            self.wrong.append(headers["webhook-id"])

    def _choose(self, name: str) -> bytes | str:
        if name == "broken":
            return status(500)
        if name == "gone":
            self._gone_after -= 1
            if self._gone_after >= 0:
                return OK
            self.gone_at = self.gone_at or self._clock()
            return status(410)
        if name == "flaky" and self._chance.random() < 0.35:
            return self._chance.choice([status(500), status(429, Retry_After="30"), status(302), "reset", "hang"])
        return OK


@contextmanager
def dispatching(url: str, base: float) -> Iterator[Any]:
    """Two processes; `kill` ends one of them at once, another one takes its place."""
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        command = [sys.executable, "-m", "tests.support.dispatching", url, str(base), str(SPEED)]
        running.append(subprocess.Popen(command, cwd=ROOT))

    def kill() -> None:
        process = running.pop(0)
        process.kill()
        process.wait()
        start()

    start()
    start()
    try:
        yield kill
    finally:
        for process in running:
            process.kill()
            process.wait()


async def subscribe(bench: Bench, world: World, receiver: Receiver) -> dict[str, Interest]:
    """A custom action and a subscription to it for each of the targets."""
    interests = {}
    for name in SHARES:
        action = (await bench.call("customActions.v5.create", {"name": name})).body.id
        body = {
            "on": "CUSTOM_ACTION",
            "onElementId": action,
            "eventType": "TRIGGER",
            "targetUrl": f"http://127.0.0.1:{receiver.port}/{name}",
            "webhookPushType": "BULK" if name == "block" else "ONE_BY_ONE",
            "maxBlockSize": 50,
        }
        world.secrets[name] = (await bench.call("webhooks.v4.create", body)).body.signing_secret
        interests[name] = Interest("CUSTOM_ACTION", action, "TRIGGER")
    return interests


async def settled(bench: Bench) -> bool:
    """Whether nothing waits any more."""
    row = await bench.row(
        "SELECT (SELECT count(*) FROM tabellion.outbox_event) + "
        "(SELECT count(*) FROM tabellion.webhook_delivery WHERE state <> 'DEAD')"
    )
    return row[0] == 0


@pytest.mark.timeout(1800)
async def test_every_event_arrives_or_is_dead_with_a_reason(database_url: str) -> None:
    chance = random.Random(SEED)
    base = time.time()
    clock = fast_clock(base, SPEED)
    egress.allow(Policy(allow_http=True, allow_private=True))
    sent: dict[str, set[str]] = defaultdict(set)
    sent_at: dict[str, datetime] = {}
    async with await connect(database_url) as db, receiving() as (receiver,):
        bench = Bench(database_url, db)
        await bench.make_licence()
        world = World(receiver, chance, clock)
        interests = await subscribe(bench, world, receiver)
        with dispatching(database_url, base) as kill:

            async def write() -> None:
                for n in range(EVENTS):
                    (name,) = chance.choices(list(SHARES), list(SHARES.values()))
                    sent[name].add(str(n))
                    sent_at[str(n)] = clock()
                    await outbox.emit(db, bench.licence_id, interests[name], {"number": n}, sent_at[str(n)])

            async def disturb() -> None:
                for _ in range(KILLS):
                    await asyncio.sleep(chance.uniform(0.4, 1.4))
                    await asyncio.to_thread(kill)

            await asyncio.gather(write(), disturb())
            deadline = time.monotonic() + 300
            while not await settled(bench):
                assert time.monotonic() < deadline, "some events never come to an end"
                await asyncio.sleep(0.2)
        dead = await (
            await db.execute("SELECT events, last_error, attempts FROM tabellion.webhook_delivery WHERE state = 'DEAD'")
        ).fetchall()
    egress.allow(Policy())

    assert world.wrong == [], f"seed {SEED}: signatures"
    reasons = {event["payload"]["number"]: error for events, error, _ in dead for event in events}
    assert all(reasons.values())
    for name, numbers in sent.items():
        lost = numbers - world.taken[name] - set(reasons)
        if name == "gone":
            lost = {number for number in lost if world.gone_at is None or sent_at[number] < world.gone_at}
        assert not lost, f"seed {SEED}: {name} lost {sorted(lost)[:10]}"
    assert sent["ok"] <= world.taken["ok"]
    assert sent["block"] <= world.taken["block"]
    # Where the last attempt of all was killed, that is said behind what the others were told.
    assert {reasons[number].split("; then ")[0] for number in sent["broken"]} == {"HTTP 500"}
    assert set(reasons) & sent["gone"]
    assert all(len(ids) == 1 for ids in world.ids.values()), "an event was sent under two ids"
    print(f"{EVENTS} events, {KILLS} kills, {len(receiver.requests)} requests, {len(reasons)} dead")


def test_a_server_tells_of_a_profile(database_url: str, tmp_path: Path) -> None:
    """The whole of it: API, worker, settings; then the worker is killed."""

    async def scenario() -> None:
        async with receiving() as (receiver,):
            allowed = {"TABELLION_WEBHOOKS_ALLOW_HTTP": "true", "TABELLION_WEBHOOKS_ALLOW_PRIVATE": "true"}
            # The server is started and asked by a thread: the receiver lives in this one.
            await asyncio.to_thread(_work, receiver, allowed)

    def _work(receiver: Receiver, allowed: dict[str, str]) -> None:
        with running_api(database_url, tmp_path, verb="serve", settings=allowed) as api:
            with Tenants(database_url) as tenants:
                tenant = tenants.create(api.client())
            body = {"eventType": "CREATE", "targetUrl": receiver.url}
            made = tenant.json("POST", "/v4/entity/hotels/table/Guests/webhookSubscription", body).json()
            for number in range(20):
                attributes = [
                    {"name": "emailAddress", "value": f"{number}@example.com"},
                    {"name": "lastName", "value": "Vos"},
                ]
                answer = tenant.json("POST", "/v4/entity/hotels/table/Guests/profile", {"attributes": attributes})
                assert answer.status_code == 201
                if number == 10:
                    _kill_worker(api.process.pid)
            _wait(lambda: len({r.json["id"] for r in receiver.requests}) == 20)
            verify = Webhook(made["signingSecret"]).verify
            told = {verify(r.body, r.headers)["data"]["emailAddress"] for r in receiver.requests}
            assert told == {f"{number}@example.com" for number in range(20)}

    asyncio.run(scenario())


def _kill_worker(server: int) -> None:
    for pid in Path(f"/proc/{server}/task/{server}/children").read_text().split():
        if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(int(pid), 9)
            return
    raise AssertionError("there is no worker")


def _wait(condition: Any) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
