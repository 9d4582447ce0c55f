"""What is noted of a mail that came back, and of which; when a campaign is held for what its readers say."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import msgspec
import pytest
from psycopg.types.json import Jsonb

from tabellion.features.bounces import Rules, service, store
from tabellion.features.bounces.model import Finding, Kind
from tabellion.features.bounces.service import Desk
from tabellion.features.campaigns.model import Settings
from tabellion.features.delivery import Sending, sums
from tests.features.delivery.conftest import START, Post, after, licence_that_sends
from tests.support.structure import Connection, connect
from tests.support.sums import assert_right

SOFT, HARD = "SOFT_BOUNCE", "HARD_BOUNCE"


@pytest.fixture
async def post(worker_database_url: str) -> AsyncIterator[Post]:
    """A licence that sends."""
    async with licence_that_sends(worker_database_url) as made:
        yield made


async def rows(post: Post, query: str) -> list[Any]:
    return await (await post.db.execute(query.replace("{l}", f"l{post.licence_id}").encode())).fetchall()


async def mails(post: Post, sending: Sending) -> list[store.Mail]:
    ids = await rows(post, f"SELECT id FROM {{l}}.recipient WHERE sending_id = {sending.id} ORDER BY id LIMIT 6")
    found = [await store.mail(post.db, post.licence_id, row[0]) for row in ids]
    return [mail for mail in found if mail is not None]


async def bounced(db: Connection, post: Post, mail: store.Mail, kind: str, at: datetime = START) -> bool:
    return await store.note_bounce(db, post.licence_id, mail, kind, f"{kind} at {at:%M}", at)


async def test_a_hard_bounce_takes_the_place_of_a_soft_one_once(post: Post, worker_database_url: str) -> None:
    await post.guests(["ann@example.com", "bob@example.com"])
    sending = await post.sending()
    claimed, _ = await post.plain_claim(sending)
    await post.accept(sending, claimed, START)
    ann, bob = await mails(post, sending)
    kinds = (SOFT, SOFT, HARD, HARD, SOFT)
    new = [await bounced(post.db, post, ann, kind, after(60 * minute)) for minute, kind in enumerate(kinds)]
    assert new == [True, False, True, False, False]
    assert await rows(post, "SELECT type, moment, detail FROM {l}.mail_event") == [(HARD, after(120), f"{HARD} at 02")]

    # Told twice at the same moment, and added up in between.
    await bounced(post.db, post, bob, SOFT)
    await sums.fold(post.db, post.licence_id, sending.campaign_id)
    async with await connect(worker_database_url) as other, other.transaction():
        async with post.db.transaction():
            # As who notes it is between two statements: nothing is changed yet that an insertion would wait for.
            await rows(post, f"SELECT FROM {{l}}.mail_event WHERE recipient_id = {bob.id} FOR UPDATE")
            late = asyncio.create_task(bounced(other, post, bob, HARD))
            waiting = f"SELECT FROM pg_locks WHERE NOT granted AND pid = {other.info.backend_pid}"
            while not await rows(post, waiting):
                assert not late.done()
                await asyncio.sleep(0.005)
            assert await bounced(post.db, post, bob, HARD)
        assert await late is False
        await sums.fold(post.db, post.licence_id, sending.campaign_id)
    await assert_right(post.db, post.licence_id, sending.campaign_id)


async def test_a_campaign_is_held_for_the_complaints_of_its_own_readers(post: Post) -> None:
    await post.guests(f"g{number}@example.com" for number in range(1700))
    one, other = await post.sending(), await post.sending()
    settings = Settings("Spring", None, None, "hotels", "Guests", ("en",), "utf-8")
    await post.db.execute(
        "UPDATE tabellion.campaign SET state = 'IN_PROGRESS', settings = %s WHERE licence_id = %s",
        (Jsonb(msgspec.to_builtins(settings)), post.licence_id),
    )
    # 5 complaints are too many of 1,666 mails, and not of 1,667. There are tests, and mails that have not left.
    await post.db.execute(
        f"UPDATE l{post.licence_id}.recipient r SET test = place > 1690, state = CASE "
        "WHEN place <= 1666 OR place > 1690 OR place = 1667 AND sending_id <> %s THEN 'ACCEPTED' ELSE 'PLANNED' END "
        "FROM (SELECT id, row_number() OVER (PARTITION BY sending_id ORDER BY id) AS place "
        f"FROM l{post.licence_id}.recipient) p WHERE p.id = r.id".encode(),
        (one.id,),
    )
    mine, theirs = await mails(post, one), await mails(post, other)
    desk = Desk(post.db, Rules(), START)

    async def noted(mail: store.Mail, kind: Kind = Kind.COMPLAINT) -> list[str]:
        await service.note(desk, post.licence_id, mail.id, Finding(kind))
        found = await rows(post, f"SELECT state FROM tabellion.sending WHERE licence_id = {post.licence_id} ORDER BY id")
        return [row[0] for row in found]

    for mail in (*mine[:4], *theirs[:5]):
        assert await noted(mail) == ["RUNNING", "RUNNING"]
    assert await noted(mine[4], Kind.SOFT) == ["RUNNING", "RUNNING"]
    assert await noted(mine[5]) == ["PAUSED", "RUNNING"]
    told = await rows(post, f"SELECT paused_because FROM tabellion.campaign WHERE id = {one.campaign_id}")
    assert told == [("too many complaints: 5 readers of 1,666 mails call it spam",)]
