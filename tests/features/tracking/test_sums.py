"""What is kept for reports is what counting the mails comes to: whatever happens, in whatever order, and however it is folded."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tabellion.features import delivery
from tabellion.features.bounces import store as bounce_store
from tabellion.features.delivery import (
    ABTest,
    Claimed,
    Criterion,
    Folder,
    Sending,
    ab_store,
    recipient_store,
    sums,
    worker_store,
)
from tabellion.features.delivery.folding import FoldingPace
from tabellion.features.delivery.model import UNCERTAIN, Ending, State
from tabellion.features.tracking import service, store
from tabellion.features.tracking.store import Happening
from tabellion.platform.database.migrate import migrate
from tabellion.platform.database.schema import load_migrations
from tests.features.delivery.conftest import START, Post, licence_that_sends
from tests.support.structure import Connection, connect
from tests.support.sums import assert_right

_ADDRESSES = [f"p{i}@d{i % 7}.example" for i in range(60)] + ["both@d1.example"]
_PROGRAM = "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0"
_ENDINGS = (
    (State.ACCEPTED, None, 12), (State.REJECTED, "refused", 2), (State.REJECTED, "declined", 2), (State.DEFERRED, None, 4),
    (State.UNCERTAIN, UNCERTAIN, 3), (State.FAILED, "html: no", 1),
)  # fmt: skip


class World:
    """A licence whose mails leave, come back and are read by chance. `now` moves on by minutes."""

    def __init__(self, post: Post, seed: int) -> None:
        self.post, self.db, self.chance = post, post.db, random.Random(seed)
        self.now = START
        self.sendings: list[Sending] = []

    async def setup(self) -> None:
        """A mass campaign with an A/B test, another one, and one that is triggered."""
        await self.post.guests(_ADDRESSES)
        test = ABTest(share=40, variants=("a", "b"), criterion=Criterion.MANUAL)
        self.sendings = [
            await self.post.sending(ab_test=test), await self.post.sending(), await self.post.sending("TRANSACTIONAL"),
        ]  # fmt: skip

    async def step(self) -> None:
        """Something happens."""
        self.now += timedelta(seconds=self.chance.choice([1, 40, 400]))
        does: dict[Callable[[], Awaitable[None]], int] = {
            self.send: 9, self.read: 12, self.bounce: 5, self.complain: 2, self.trigger: 4, self.fold: 4, self.leave: 2,
            self.die: 1, self.suppress: 1, self.arrive: 2, self.anew: 1, self.spread: 1, self.cancel: 1,
        }  # fmt: skip
        (one,) = self.chance.choices(list(does), list(does.values()))
        await one()

    async def send(self) -> None:
        """Some are claimed, and their mails end as chance will have it."""
        sending, post = self.chance.choice(self.sendings), self.post
        claimed, _ = await recipient_store.claim(
            self.db, sending, post.table, post.worker, self.chance.randrange(1, 12), self.now
        )
        begun = await recipient_store.begin(self.db, sending, post.table, post.worker, claimed) if claimed else set()
        states, weights = [each[:2] for each in _ENDINGS], [each[2] for each in _ENDINGS]
        endings = [
            Ending(each, state, reason, "550 5.1.1 no" if state is State.REJECTED else None,
                   self.now if state is State.DEFERRED else None)
            for each in claimed if each.id in begun
            for state, reason in self.chance.choices(states, weights)
        ]  # fmt: skip
        await recipient_store.end(self.db, sending, post.worker, endings, self.now)
        late = [each.claimed for each in endings if each.state is State.UNCERTAIN and self.chance.random() < 0.3]
        if late:
            await recipient_store.end(
                self.db, sending, post.worker, [Ending(each, State.ACCEPTED) for each in late], self.now
            )

    async def read(self) -> None:
        """A reader, or a machine, opens or clicks; a click has all events of the mail judged again."""
        reader = await self._reader()
        if reader is None:
            return
        actor = self.chance.choice(["human", "human", "proxy", "scanner"])
        kind = self.chance.choice(["OPEN", "OPEN", "CLICK"])
        link = self.chance.choice([0, 1, None]) if kind == "CLICK" else None
        url = None if kind == "OPEN" else f"https://a.example/{link or self.chance.randrange(2)}"
        device = self.chance.choice(["mobile", "desktop", None])
        async with self.db.transaction():
            await store.lock(self.db, self.post.licence_id, reader.id)
            happening = Happening(kind, self.now, actor, "GET", url, link, _PROGRAM, device)
            await store.add(self.db, self.post.licence_id, reader, happening)
            if self.chance.random() < 0.7:
                await service.judge_again(self.db, self.post.licence_id, reader.id, reader.delivered_at)

    async def bounce(self) -> None:
        """A mail comes back, softly or for good; some do both."""
        mail = await self._mail()
        if mail is not None:
            kind = self.chance.choice(["SOFT_BOUNCE", "HARD_BOUNCE"])
            await bounce_store.note_bounce(self.db, self.post.licence_id, mail, kind, "552 5.2.2 full", self.now)

    async def complain(self) -> None:
        """Somebody is angry."""
        mail = await self._mail()
        if mail is not None:
            await bounce_store.note_complaint(self.db, self.post.licence_id, mail, "abuse", self.now)

    async def leave(self) -> None:
        """Somebody wants no more."""
        reader = await self._reader()
        if reader is not None:
            happening = Happening("UNSUBSCRIBE", self.now, "human", method="POST")
            await store.add(self.db, self.post.licence_id, reader, happening)

    async def trigger(self) -> None:
        """A mail more."""
        await self.post.trigger(self.sendings[2], self.chance.choice(_ADDRESSES), self.now)

    async def die(self) -> None:
        """The worker is gone while it holds some."""
        sending, post = self.chance.choice(self.sendings), self.post
        claimed: list[Claimed]
        claimed, _ = await recipient_store.claim(self.db, sending, post.table, post.worker, 5, self.now)
        await recipient_store.begin(self.db, sending, post.table, post.worker, claimed[:3])
        await worker_store.give_up(self.db, post.worker, self.now)
        post.worker = await worker_store.enter_worker(self.db)
        await worker_store.works_for(self.db, post.worker, post.licence_id)

    async def suppress(self) -> None:
        """An address gets nothing any more."""
        await delivery.suppress(
            self.db, self.post.licence_id, [self.chance.choice(_ADDRESSES)], "MANUAL", self.now
        )  # fmt: skip

    async def arrive(self) -> None:
        """A mail in doubt turns up."""
        query = f"SELECT id FROM l{self.post.licence_id}.recipient WHERE state = 'UNCERTAIN'".encode()
        ids = [row[0] for row in await (await self.db.execute(query)).fetchall()]
        if ids:
            assert await delivery.settle(self.db, self.post.licence_id, self.chance.choice(ids), self.now)

    async def spread(self) -> None:
        """The others get the winner."""
        await ab_store.spread(self.db, self.sendings[0], 2, self.now)

    async def cancel(self) -> None:
        """A campaign is cancelled. Nothing of it is planned any more."""
        if self.chance.random() < 0.2:
            await recipient_store.take_back(self.db, self.chance.choice(self.sendings), self.now)

    async def fold(self) -> None:
        """What was noted of a campaign is added to its sums."""
        await sums.fold(self.db, self.post.licence_id, self.chance.choice(self.sendings).campaign_id)

    async def anew(self) -> None:
        """A campaign is counted anew: nothing was wrong."""
        sending = self.chance.choice(self.sendings)
        await sums.ask_recount(self.db, self.post.licence_id, sending.campaign_id, usable=True)
        async with self.db.transaction():
            await self.db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            assert await sums.count_anew(self.db, self.post.licence_id, sending.campaign_id) == 0

    async def check(self) -> None:
        """Raises where what is kept is not what the mails say."""
        for sending in self.sendings:
            await assert_right(self.db, self.post.licence_id, sending.campaign_id)
            await self._explain(sending)

    async def _explain(self, sending: Sending) -> None:
        """Raises where the reasons why mails are pending are not one for each."""
        scope = sums.Scope(self.post.licence_id, sending.campaign_id)
        number = (await sums.tally(self.db, scope)).pending
        found = await delivery.pending.explain(self.db, scope, sending, number, self.now, paused_because=None)
        assert sum(each.mails for each in found.waits) == number
        assert all(each.mails > 0 for each in found.waits)

    async def _reader(self) -> store.Reader | None:
        id_ = await self._left()
        return None if id_ is None else await store.reader(self.db, self.post.licence_id, id_)

    async def _mail(self) -> bounce_store.Mail | None:
        id_ = await self._left()
        return None if id_ is None else await bounce_store.mail(self.db, self.post.licence_id, id_)

    async def _left(self) -> int | None:
        """One whose mail has left, or may have: mostly one of few, so that several things come of a mail."""
        query = f"SELECT id FROM l{self.post.licence_id}.recipient WHERE attempt > 0 ORDER BY id LIMIT 25".encode()
        ids = [row[0] for row in await (await self.db.execute(query)).fetchall()]
        return self.chance.choice(ids) if ids else None


@pytest.fixture
async def post(worker_database_url: str) -> AsyncIterator[Post]:
    """A licence that sends."""
    async with licence_that_sends(worker_database_url) as made:
        yield made


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_happens_what_is_kept_is_what_counting_comes_to(post: Post, seed: int) -> None:
    world = World(post, seed)
    await world.setup()
    await world.check()
    for number in range(90):
        await world.step()
        if number % 4 == 0:
            await world.check()
    for sending in world.sendings:
        await sums.fold(world.db, post.licence_id, sending.campaign_id)
    await world.check()
    left = await (await post.db.execute(f"SELECT count(*) FROM l{post.licence_id}.report_change".encode())).fetchone()
    assert left == (0,)


async def test_what_is_committed_while_sums_are_made_is_neither_lost_nor_counted_twice(
    post: Post, worker_database_url: str
) -> None:
    await post.guests(["ann@example.com", "bob@example.com"])
    sending = await post.sending()
    claimed, _ = await post.plain_claim(sending)
    await post.accept(sending, claimed, START)
    licence, campaign = post.licence_id, sending.campaign_id
    reader = await store.reader(post.db, licence, claimed[0].id)
    assert reader is not None
    async with await connect(worker_database_url) as late:
        for kind in ("OPEN", "CLICK"):
            async with late.transaction():
                happening = Happening(kind, START, "human", "GET", "https://a.example", 0, _PROGRAM, "mobile")
                await store.add(late, licence, reader, happening)
                await store.add(post.db, licence, reader, happening)
                await sums.fold(post.db, licence, campaign)
                await assert_right(post.db, licence, campaign)
            await assert_right(post.db, licence, campaign)
        async with post.db.transaction():
            await post.db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            await post.db.execute("SELECT 1")
            await store.judge(late, licence, [(await _event(late, licence), "scanner")])
            assert await sums.count_anew(post.db, licence, campaign) == 0
    await assert_right(post.db, licence, campaign)
    assert (await sums.tally(post.db, sums.Scope(licence, campaign))).sent.opens == 1


async def test_who_leaves_is_counted_however_often_the_mail_was_opened(post: Post) -> None:
    await post.guests(["ann@example.com"])
    sending = await post.sending()
    claimed, _ = await post.plain_claim(sending)
    await post.accept(sending, claimed, START)
    schema = f"l{post.licence_id}"
    await post.db.execute(
        f"INSERT INTO {schema}.mail_event (recipient_id, campaign_id, type, moment, actor) "
        f"SELECT id, campaign_id, 'OPEN', ended_at, 'human' FROM {schema}.recipient, generate_series(1, 200)".encode()
    )
    reader = await store.reader(post.db, post.licence_id, claimed[0].id)
    assert reader is not None
    assert await store.add(post.db, post.licence_id, reader, Happening("OPEN", START, "human")) is None
    # Others have not used up theirs, nor can they use up those of people.
    assert await store.add(post.db, post.licence_id, reader, Happening("OPEN", START, "proxy")) == "proxy"
    assert await store.add(post.db, post.licence_id, reader, Happening("CLICK", START, "scanner")) == "scanner"
    await post.db.execute(f"UPDATE {schema}.mail_event SET actor = 'scanner'".encode())
    assert await store.add(post.db, post.licence_id, reader, Happening("CLICK", START, "scanner")) is None
    assert await store.add(post.db, post.licence_id, reader, Happening("CLICK", START, "human")) == "human"
    await service.note_unsubscribe(post.db, post.licence_id, reader, START)
    assert await store.has(post.db, post.licence_id, reader.id, "UNSUBSCRIBE")
    assert (await sums.tally(post.db, sums.Scope(post.licence_id, sending.campaign_id))).sent.unsubscribes == 1


async def _event(db: Connection, licence: int) -> int:
    query = f"SELECT min(id) FROM l{licence}.mail_event WHERE type = 'OPEN'".encode()
    (found,) = await (await db.execute(query)).fetchone() or (0,)
    return found


async def test_the_folder_adds_up_what_is_enough_and_mends_what_is_wrong(
    post: Post, worker_database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await post.guests(["ann@example.com", "bob@example.com"])
    sending = await post.sending()
    claimed, _ = await post.plain_claim(sending)
    await post.accept(sending, claimed, START)
    licence, campaign = post.licence_id, sending.campaign_id
    noted = f"SELECT count(*) FROM l{licence}.report_change".encode()

    async def left() -> int:
        (count,) = await (await post.db.execute(noted)).fetchone() or (0,)
        return count

    async with await psycopg.AsyncConnection.connect(worker_database_url, autocommit=True) as db:
        before = await left()
        late = Folder(worker_database_url, FoldingPace(enough=100, look_every_s=0.0, idle_s=0.0))
        await late.step(db)
        assert await left() == before > 0
        assert campaign in late._waiting[licence]
        await Folder(worker_database_url, FoldingPace(enough=1)).step(db)
        assert await left() == 0
        await late.step(db)
        assert not late._waiting[licence]
        await assert_right(post.db, licence, campaign)
        # Somebody has been at the rows themselves.
        await post.db.execute(f"UPDATE l{licence}.recipient SET address = 'ann@elsewhere.example'".encode())
        await sums.ask_recount(post.db, licence, campaign, usable=True)
        await Folder(worker_database_url).step(db)
    await assert_right(post.db, licence, campaign)
    assert f"the sums of the report of campaign {campaign} differed from its mails in 2 lines" in caplog.text


async def test_a_licence_whose_sums_fail_keeps_no_other_one_waiting(post: Post, worker_database_url: str) -> None:
    async def noted(of: Post) -> int:
        (count,) = await (
            await of.db.execute(f"SELECT count(*) FROM l{of.licence_id}.report_change".encode())
        ).fetchone() or (0,)
        return count

    async with licence_that_sends(worker_database_url) as other:
        for each in (post, other):
            await each.guests(["ann@example.com"])
            sending = await each.sending()
            claimed, _ = await each.plain_claim(sending)
            await each.accept(sending, claimed, START)
            assert await noted(each) > 0
        first, last = sorted((post, other), key=lambda each: each.licence_id)
        broken = f"ALTER TABLE l{first.licence_id}.report_change RENAME COLUMN {{}} TO {{}}"
        await first.db.execute(broken.format("sent", "lost").encode())
        folder = Folder(worker_database_url, FoldingPace(enough=1))
        try:
            async with await psycopg.AsyncConnection.connect(worker_database_url, autocommit=True) as db:
                with pytest.raises(psycopg.errors.UndefinedColumn):
                    await folder.step(db)
                assert await noted(last) > 0
                await folder.step(db)
                assert await noted(last) == 0
        finally:
            await first.db.execute(broken.format("lost", "sent").encode())


def test_an_upgrade_counts_the_campaigns_that_are_there(empty_database_url: str) -> None:
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    migrate(empty_database_url, migrations=[each for each in load_migrations() if each.version < 22])
    with psycopg.connect(empty_database_url, autocommit=True) as db:
        query = "INSERT INTO tabellion.licence (name, time_zone, created_at) VALUES ('l', 'UTC', now()) RETURNING id"
        (licence,) = db.execute(query).fetchone() or (0,)
        db.execute(f"CREATE SCHEMA l{licence}".encode())
        migrate(empty_database_url, migrations=[each for each in load_migrations() if each.version < 59])
        query = "INSERT INTO tabellion.entity (licence_id, name, created_at) VALUES (%s, 'e', now()) RETURNING id"
        (entity,) = db.execute(query, (licence,)).fetchone() or (0,)
        query = (
            "INSERT INTO tabellion.campaign (licence_id, entity_id, name, kind, settings, created_at, updated_at) "
            "VALUES (%s, %s, 'c', 'MASS', '{}', now(), now()) RETURNING id"
        )
        (campaign,) = db.execute(query, (licence, entity)).fetchone() or (0,)
        db.execute(
            "INSERT INTO tabellion.sending (licence_id, campaign_id, test, state, document, created_at) "
            "VALUES (%s, %s, false, 'ENDED', '{}', now())", (licence, campaign),
        )  # fmt: skip
        rows = [
            ("ACCEPTED", None, "a@x.example"),
            ("REJECTED", "declined", "b@x.example"),
            ("UNCERTAIN", None, "c@x.example"),
        ]
        for state, reason, address in rows:
            db.execute(
                f"INSERT INTO l{licence}.recipient (sending_id, campaign_id, test, table_id, language, state, reason, address, "
                "planned_at, ended_at) VALUES (1, %s, false, 1, 'en', %s, %s, %s, %s, %s)".encode(),
                (campaign, state, reason, address, moment, moment),
            )
        db.execute(
            f"INSERT INTO l{licence}.mail_event (recipient_id, campaign_id, type, moment, actor) "
            f"SELECT id, campaign_id, 'OPEN', planned_at, 'human' FROM l{licence}.recipient WHERE state = 'ACCEPTED'".encode()
        )
        migrate(empty_database_url)

    async def look() -> None:
        async with await psycopg.AsyncConnection.connect(empty_database_url, autocommit=True) as db:
            # Before somebody has counted, it is read from the mails.
            before = await sums.tally(db, sums.Scope(licence, campaign))
            assert (before.targeted, before.uncertain, before.sent) == (3, 1, sums.Counts(2, 1, 0, 1, 1))
            await Folder(empty_database_url).step(db)
            assert await sums.tally(db, sums.Scope(licence, campaign)) == before
            await assert_right(db, licence, campaign)
            row = await (await db.execute(f"SELECT count(*) > 0 FROM l{licence}.report_sum".encode())).fetchone()
            assert row == (True,)

    asyncio.run(look())
