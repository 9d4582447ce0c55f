"""The figures of reports against a model that counts one by one; with TABELLION_REPORT_RECIPIENTS=1000000, how long they take."""

import os
import random
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from tabellion.features import licences
from tabellion.features.delivery import Scope, sums
from tabellion.features.tracking import report_store
from tabellion.features.tracking.reporting import Figures

MANY = int(os.environ.get("TABELLION_REPORT_RECIPIENTS", "3000"))
# A day with 25 hours in Brussels.
START = datetime(2026, 10, 24, 16, 0, tzinfo=UTC)
ZONE = "Europe/Brussels"
STATES = [
    (("ACCEPTED", None), 93), (("REJECTED", "refused"), 2), (("REJECTED", "expired"), 1), (("REJECTED", "declined"), 1), (("EXCLUDED", "unsubscribed"), 1),
    (("EXCLUDED", "noAddress"), 1), (("FAILED", "html: no"), 1), (("UNCERTAIN", "uncertain"), 1), (("PLANNED", None), 1),
]  # fmt: skip
RECIPIENT = "id, sending_id, campaign_id, test, table_id, profile_id, address, language, state, reason, reply, planned_at, ended_at, variant"
EVENT = "recipient_id, campaign_id, type, moment, url, detail, actor, agent, method, link, device"


class Model:
    """What was entered, counted one by one."""

    def __init__(self, many: int) -> None:
        rng = random.Random(5)
        self.recipients: list[tuple[Any, ...]] = []
        self.events: list[tuple[Any, ...]] = []
        weights = [weight for _, weight in STATES]
        domains = [f"d{i}.example" for i in range(80)]
        for i in range(1, many + 1):
            (state, reason), campaign = rng.choices(STATES, weights)[0][0], 7 if rng.random() < 0.99 else 8
            test = rng.random() < 0.002
            address = None if reason == "noAddress" else f"p{i}@{domains[min(int(rng.expovariate(0.1)), 79)]}".upper()
            ended = START + timedelta(seconds=rng.randrange(30 * 3600)) if state != "PLANNED" else None
            reply = "550 5.1.1 nobody" if reason == "refused" else None
            self.recipients.append(
                (
                    i,
                    1,
                    campaign,
                    test,
                    1,
                    i,
                    address,
                    rng.choice(["nl", "fr"]),
                    state,
                    reason,
                    reply,
                    START,
                    ended,
                    rng.choice([None, 1, 2]),
                )
            )
            if state == "ACCEPTED" and ended is not None and not test:
                self._events(rng, i, campaign, ended)

    def _events(self, rng: random.Random, i: int, campaign: int, ended: datetime) -> None:
        def event(kind: str, actor: str | None, link: int | None = None, detail: str | None = None) -> None:
            moment = ended + timedelta(seconds=rng.randrange(20 * 3600))
            url = None if link is None else f"https://a.example/{link}?p={i}"
            device = rng.choice(["mobile", "desktop"]) if actor else None
            method = "GET" if actor else None
            self.events.append((i, campaign, kind, moment, url, detail, actor, "x" if actor else None, method, link, device))

        for _ in range(rng.choice([0, 0, 1, 2])):
            event("OPEN", rng.choice(["human", "human", "proxy", "scanner"]))
        if rng.random() < 0.1:
            for _ in range(rng.randrange(1, 4)):
                event("CLICK", rng.choice(["human", "human", "scanner"]), rng.randrange(4))
        bounce = rng.choice(["SOFT_BOUNCE", "HARD_BOUNCE"])
        for kind, chance in (("UNSUBSCRIBE", 0.01), ("COMPLAINT", 0.002), (bounce, 0.02)):
            if rng.random() < chance:
                event(
                    kind,
                    "human" if kind == "UNSUBSCRIBE" else None,
                    detail=None if "BOUNCE" not in kind else "552 5.2.2 full",
                )

    def figures(self, wanted: Any) -> Figures:
        """The figures of recipients for whom `wanted` holds."""
        did: dict[int, Counter[str]] = defaultdict(Counter)
        for event in self.events:
            if event[6] != "scanner":
                did[event[0]][event[2]] += 1
        total: Counter[str] = Counter()
        for row in self.recipients:
            state, reason = row[8], row[9]
            if row[2] != 7 or row[3] or state not in {"ACCEPTED", "REJECTED"} or not wanted(row):
                continue
            mine = did[row[0]]
            soft = reason in {"expired", "declined"} or (mine["SOFT_BOUNCE"] > 0 and not mine["HARD_BOUNCE"])
            hard = reason == "refused" or mine["HARD_BOUNCE"] > 0
            total.update(
                sent=1, delivered=not soft and not hard, soft=soft, hard=hard, opens=mine["OPEN"], uo=mine["OPEN"] > 0,
                clicks=mine["CLICK"], uc=mine["CLICK"] > 0, left=mine["UNSUBSCRIBE"] > 0, complained=mine["COMPLAINT"] > 0,
            )  # fmt: skip
        names = ("sent", "delivered", "soft", "hard", "opens", "uo", "clicks", "uc", "left", "complained")
        return Figures(*(total[name] for name in names))


@pytest.fixture
def model() -> Model:
    return Model(MANY)


@pytest.fixture
async def scope(database_url: str, model: Model) -> Scope:
    """A licence with the model's rows in it."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as db:
        await licences.create_licence(db, "large", START, preset="unlimited")
        row = await (await db.execute("SELECT id FROM tabellion.licence")).fetchone()
        assert row is not None
        for table, columns, rows in (("recipient", RECIPIENT, model.recipients), ("mail_event", EVENT, model.events)):
            async with db.cursor() as cursor, cursor.copy(f"COPY l{row[0]}.{table} ({columns}) FROM STDIN") as copy:
                for each in rows:
                    await copy.write_row(each)
            await db.execute(f"VACUUM ANALYZE l{row[0]}.{table}")
    return Scope(row[0], 7, None, None)


async def test_figures_are_those_of_counting_one_by_one(database_url: str, scope: Scope, model: Model) -> None:
    took: dict[str, float] = {}

    async def timed(name: str, work: Any) -> Any:
        began = time.perf_counter()
        found = await work
        took[name] = time.perf_counter() - began
        return found

    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as db:
        hourly = await timed("from the mails", sums.read(db, scope, bucket="hour", zone=ZONE, recount=True))
        async with db.transaction():
            await db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            await sums.settle(db)
            await timed("counting anew", sums.count_anew(db, scope.licence_id, scope.campaign_id))
        assert sorted(await timed("kept by hours", sums.read(db, scope, bucket="hour", zone=ZONE))) == sorted(hourly)
        facts = await timed("kept by days", sums.read(db, scope, zone=ZONE))
    print({name: round(seconds, 3) for name, seconds in took.items()})
    summary, bounces, links = report_store.summary(facts), report_store.bounces(facts), report_store.links(facts)
    devices, actors = report_store.doings(facts, "device"), report_store.doings(facts, "actor")
    hours, days = report_store.points(hourly), report_store.points(facts)

    mine = [row for row in model.recipients if row[2] == 7 and not row[3]]
    totals = model.figures(lambda _: True)
    assert summary.totals == totals
    assert summary.targeted == len(mine)
    assert summary.targeted == sum(summary.excluded.values()) + summary.pending + summary.uncertain + totals.sent
    assert summary.excluded == dict(
        Counter("failed" if row[8] == "FAILED" else row[9] for row in mine if row[8] in {"EXCLUDED", "FAILED"})
    )
    assert summary.languages == {name: model.figures(lambda row, name=name: row[7] == name) for name in ("nl", "fr")}
    assert summary.variants == {number: model.figures(lambda row, number=number: row[13] == number) for number in (1, 2)}
    sizes = Counter(row[6].rpartition("@")[2].lower() for row in mine if row[8] in {"ACCEPTED", "REJECTED"})
    assert len(summary.domains) == min(len(sizes), 51)
    for name, figures in list(summary.domains.items())[:3]:
        assert figures == model.figures(lambda row, name=name: (row[6] or "").lower().endswith("@" + name))
    assert Figures().without(list(summary.domains.values())) == Figures().without([totals])

    events = [event for event in model.events if event[1] == 7]
    counted = [event for event in events if event[6] != "scanner"]
    clicks = [event for event in counted if event[2] == "CLICK"]
    languages = {row[0]: (row[7], row[13]) for row in mine}
    assert {(each.language, each.variant, each.link): each.clicks for each in links} == dict(
        Counter((*languages[event[0]], event[9]) for event in clicks)
    )
    assert sum(each.unique_clicks for each in links) == len({(event[0], event[9]) for event in clicks})
    assert {name: doings.opens for name, doings in actors.items()} == dict(
        Counter(event[6] for event in events if event[2] == "OPEN")
    )
    assert {name: doings.unique_clicks for name, doings in devices.items()} == {
        name: len({event[0] for event in clicks if event[10] == name and event[6] == "human"})
        for name in ("mobile", "desktop")
    }
    assert sum(bounce.count for bounce in bounces if bounce.reported == "RELAY") == sum(row[8] == "REJECTED" for row in mine)
    assert {bounce.status for bounce in bounces} == {"5.1.1", "5.2.2", None}

    for bucket, points in (("hour", hours), ("day", days)):
        expected: Counter[datetime] = Counter()
        for event in counted:
            if event[2] == "OPEN":
                local = event[3].astimezone(ZoneInfo(ZONE)).replace(minute=0, second=0)
                expected[(local if bucket == "hour" else local.replace(hour=0, fold=0)).astimezone(UTC)] += 1
        assert {point.start.astimezone(UTC): point.opens for point in points if point.opens} == dict(expected)
        for field in ("sent", "unique_opens", "unique_clicks", "unsubscribes", "complaints"):
            assert sum(getattr(point, field) for point in points) == getattr(totals, field), field
