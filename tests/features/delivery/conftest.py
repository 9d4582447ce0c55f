"""Sendings on the worker's database, claimed without a sender: the clock is the test's."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tabellion.features import delivery
from tabellion.features.delivery import (
    Delivery,
    Document,
    Limits,
    Recipient,
    Sending,
    claiming,
    limits_store,
    recipient_store,
    store,
    worker_store,
)
from tabellion.features.delivery.mark import Place
from tabellion.features.delivery.model import Claimed, Ending, State
from tabellion.features.delivery.pacing import rules_of
from tabellion.features.tables import ProfileTable, profile_tables
from tabellion.features.tables.filters import ALWAYS
from tests.support.structure import Bench, Connection, connect
from tests.support.tenant import TABLE

# A Tuesday.
START = datetime(2027, 3, 2, 9, 0, tzinfo=UTC)
NEVER_CHANGED = limits_store.Versions()
DOCUMENT: dict[str, Any] = {
    "campaign_name": "c", "sender_name": "", "sender_address": "news@example.com", "reply_to": "", "charset": "utf-8",
    "time_zone": "UTC", "languages": ("en",), "messages": {}, "uses": {}, "mark": "m",
}  # fmt: skip


class Post:
    """A licence that sends to its guests."""

    def __init__(self, bench: Bench, table: ProfileTable, entity_id: int, worker: int) -> None:
        self.worker = worker
        self.bench, self.db, self.table, self.entity_id = bench, bench.db, table, entity_id
        self.licence_id = bench.licence_id
        self._count = 0

    async def guests(self, addresses: Iterable[str], **columns: str) -> None:
        """Enter profiles; columns by the name of their attribute."""
        named = {self.table.attributes_by_name[name.lower()].column: value for name, value in columns.items()}
        email = self.table.attributes_by_name["emailaddress"].column
        last = self.table.attributes_by_name["lastname"].column
        extra = "".join(f", {column}" for column in named)
        await self.db.execute(
            f"INSERT INTO l{self.licence_id}.{self.table.relation} (created_at, updated_at, {email}, {last}{extra}) "
            f"SELECT now(), now(), a, 'Guest'{', %s' * len(named)} FROM unnest(%s::text[]) a".encode(),
            (*named.values(), list(addresses)),
        )

    async def sending(self, kind: str = "MASS", now: datetime = START, **document: Any) -> Sending:
        """A campaign on its way: a mass one to all guests."""
        self._count += 1
        cursor = await self.db.execute(
            "INSERT INTO tabellion.campaign (licence_id, entity_id, table_id, name, kind, settings, created_at, updated_at) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
            (self.licence_id, self.entity_id, self.table.id, f"c{self._count}", kind, Jsonb({}), now, now),
        )
        (campaign_id,) = await cursor.fetchone() or (0,)
        made = Document(
            entity_id=self.entity_id, table_id=self.table.id, transactional=kind == "TRANSACTIONAL",
            **{"triggered": kind != "MASS", **DOCUMENT, **document},
        )  # fmt: skip
        number = await delivery.start(self.db, self.licence_id, campaign_id, made, now, now)
        sending = Sending(number, self.licence_id, campaign_id, "RUNNING", 1, made)
        if kind == "MASS":
            await delivery.gather(self.db, sending, self.table, ALWAYS, None, now)
            await store.set_state(self.db, number, "RUNNING", now)
        return sending

    async def trigger(self, sending: Sending, address: str, now: datetime) -> None:
        """One mail of a triggered campaign."""
        email = self.table.attributes_by_name["emailaddress"].column
        query = f"SELECT id FROM l{self.licence_id}.{self.table.relation} WHERE {email} = %s".encode()
        (profile_id,) = await (await self.db.execute(query, (address,))).fetchone() or (0,)
        await delivery.plan(self.db, sending, Recipient(profile_id, address, "en"), now)
        await delivery.look_soon(self.db, sending, now)

    async def claim(
        self, sending: Sending, limits: Limits, own: Delivery | None = None, *, now: datetime = START, most: int = 200,
        db: Connection | None = None, held: bool = False, versions: limits_store.Versions = NEVER_CHANGED,
    ) -> list[Claimed]:  # fmt: skip
        """Claim under what a licence and a campaign say, as those versions of it."""
        rules = rules_of(sending, limits_store.Said(limits, own or Delivery(), held, versions), self.table, now)
        assert not rules.plain
        claimed, _ = await claiming.claim(db or self.db, sending, self.table, self.worker, most, now, rules)
        return claimed

    async def accept(
        self, sending: Sending, claimed: Sequence[Claimed], now: datetime, db: Connection | None = None
    ) -> None:
        """Relays have taken mails."""
        await recipient_store.begin(db or self.db, sending, self.table, self.worker, claimed)
        endings = [Ending(each, State.ACCEPTED) for each in claimed]
        told = await recipient_store.end(db or self.db, sending, self.worker, endings, now)
        assert len(told) == len(claimed)

    async def plain_claim(
        self, sending: Sending, now: datetime = START, db: Connection | None = None,
        versions: limits_store.Versions | None = None,
    ) -> tuple[list[Claimed], Place | None]:  # fmt: skip
        """Claim where there are no rules."""
        return await recipient_store.claim(db or self.db, sending, self.table, self.worker, 200, now, versions)

    async def due(self, now: datetime) -> set[int]:
        """Which sendings are looked at, after the old looks were forgotten."""
        await store.forget_due(self.db, now)
        return {each.id for each in await store.due(self.db, now)}

    async def refuse(self, sending: Sending, claimed: Sequence[Claimed]) -> None:
        """Relays have refused mails."""
        await recipient_store.begin(self.db, sending, self.table, self.worker, claimed)
        endings = [Ending(each, State.REJECTED, "refused") for each in claimed]
        await recipient_store.end(self.db, sending, self.worker, endings, START)

    async def defer(self, sending: Sending, claimed: Sequence[Claimed], due_at: datetime) -> None:
        """Relays have said "later"."""
        await recipient_store.begin(self.db, sending, self.table, self.worker, claimed)
        endings = [Ending(each, State.DEFERRED, "deferred", due_at=due_at) for each in claimed]
        await recipient_store.end(self.db, sending, self.worker, endings, START)

    async def fates(self, sending: Sending) -> Counter[tuple[str, str | None]]:
        """How many recipients by state and reason."""
        query = f"SELECT state, reason FROM l{self.licence_id}.recipient WHERE sending_id = %s".encode()
        rows = await (await self.db.execute(query, (sending.id,))).fetchall()
        return Counter((row[0], row[1]) for row in rows)


@pytest.fixture
async def post(worker_database_url: str) -> AsyncIterator[Post]:
    """A licence with the table `Guests`, empty."""
    async with await connect(worker_database_url) as db:
        # What the tests of other files have left due would be sent beside.
        await db.execute("DELETE FROM tabellion.mail_due")
    async with licence_that_sends(worker_database_url) as made:
        yield made


@asynccontextmanager
async def licence_that_sends(url: str, guests: dict[str, Any] = TABLE) -> AsyncGenerator[Post]:
    """The same for tests that need more than one, or another table."""
    async with await connect(url) as db:
        bench = Bench(url, db)
        await bench.make_licence()
        await bench.create(guests)
        (table,) = await profile_tables.load(db, bench.licence_id)
        (entity_id,) = await (
            await db.execute("SELECT id FROM tabellion.entity WHERE licence_id = %s LIMIT 1", (bench.licence_id,))
        ).fetchone() or (0,)
        worker = await worker_store.enter_worker(db)
        await worker_store.works_for(db, worker, bench.licence_id)
        yield Post(bench, table, entity_id, worker)
        await worker_store.give_up(db, worker, START)
        await db.execute("DELETE FROM tabellion.licence WHERE id = %s", (bench.licence_id,))
        await db.execute(f"DROP SCHEMA l{bench.licence_id} CASCADE".encode())


async def seen(db: Connection, worker: int, ago: timedelta) -> None:
    """Have a worker last be seen so long ago, by the clock of the database."""
    await db.execute(
        "UPDATE tabellion.mail_worker SET seen_at = clock_timestamp() - %s::interval WHERE id = %s", (ago, worker)
    )


def after(seconds: float) -> datetime:
    """A moment after the start."""
    return START + timedelta(seconds=seconds)
