"""What an erasure takes from news that wait or are dead, and how it looks for it where there is much."""

import tracemalloc
from collections.abc import Awaitable, Callable
from datetime import timedelta
from time import perf_counter

from tabellion.features.webhooks import queue
from tabellion.features.webhooks.fanout import fan_out
from tabellion.kit.traces import Traces, traces_of
from tabellion.platform import outbox
from tabellion.platform.http import idempotency
from tests.features.webhooks.conftest import Hooks

_MANY = 4000


async def least_s(work: Callable[[], Awaitable[object]]) -> float:
    """The shortest of three."""
    times: list[float] = []
    for _ in range(3):
        began = perf_counter()
        await work()
        times.append(perf_counter() - began)
    return min(times)


async def forget(hooks: Hooks, traces: Traces) -> int:
    async with hooks.db.transaction():
        return await queue.forget(hooks.db, hooks.licence_id, traces, hooks.clock() + timedelta(minutes=1))


async def _dead(hooks: Hooks, id_: int) -> None:
    """Many dead deliveries, each with the event of a mail to somebody else."""
    event = (
        '[{"id":#,"type":"SENT","at":"2026-03-01T08:15:00Z","payload":{"interactionId":"#","tableId":"31","profileId":"#",'
        '"emailAddress":"#@example.com"}}]'
    )
    await hooks.db.execute(
        "INSERT INTO tabellion.webhook_delivery (subscription_id, state, events, event_ids, occurred_at, planned_at, due_at) "
        "SELECT %s, 'DEAD', replace(%s, '#', n::text)::json, ARRAY[n], now(), now(), now() "
        "FROM generate_series(1000001, 1000000 + %s) n",
        (id_, event, _MANY),
    )


async def test_many_mails_of_a_person_make_the_look_through_many_dead_deliveries_no_longer(hooks: Hooks) -> None:
    await _dead(hooks, await hooks.subscribe())
    few, many = (traces_of(["ann@example.com"], [("31", "7")], range(1, mails)) for mails in (2, 500))
    assert await least_s(lambda: forget(hooks, many)) < 5 * await least_s(lambda: forget(hooks, few))
    assert await forget(hooks, traces_of([], mails=[1000001])) == 1
    assert await forget(hooks, traces_of([], [("31", "1000002")])) == 1
    assert await forget(hooks, traces_of(["1000003@Example.com"])) == 1
    assert len(await hooks.deliveries()) == _MANY - 3


async def test_deliveries_of_other_licences_are_not_read(hooks: Hooks) -> None:
    """Nor are all of the table walked through by their ids, which are in no order that the disk knows."""
    own, foreign = await hooks.subscribe(), await hooks.subscribe()
    query = b"INSERT INTO tabellion.licence (name, time_zone, created_at) VALUES ('other', 'UTC', now()) RETURNING id"
    (other,) = await (await hooks.db.execute(query)).fetchone() or (0,)
    await hooks.db.execute("UPDATE tabellion.webhook_subscription SET licence_id = %s WHERE id = %s", (other, foreign))
    for each in (own, foreign, foreign, foreign):
        await _dead(hooks, each)
    await hooks.db.execute("ANALYZE tabellion.webhook_delivery")
    try:
        async with hooks.db.transaction():
            traces = traces_of(["nobody@example.com"])
            assert await queue.forget(hooks.db, hooks.licence_id, traces, hooks.clock() + timedelta(minutes=1)) == 0
            read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'webhook_delivery'"
            assert await (await hooks.db.execute(read)).fetchone() == (_MANY,)
    finally:
        await hooks.db.execute("DELETE FROM tabellion.licence WHERE id = %s", (other,))


async def test_many_deliveries_that_tell_of_a_person_are_looked_at_some_at_a_time(hooks: Hooks) -> None:
    """Blocks of a hundred thousand letters each, with an event of somebody else in every tenth: 40 MB."""
    event = '{"id":%s,"type":"SENT","at":"2026-03-01T08:15:00Z","payload":{"emailAddress":"%s","note":"%s"}}'
    ann, bob = (event % (n, f"{name}@example.com", "x" * 50_000) for n, name in enumerate(("ann", "bob"), 1))
    await hooks.db.execute(
        "INSERT INTO tabellion.webhook_delivery (subscription_id, state, events, event_ids, occurred_at, planned_at, due_at) "
        "SELECT %s, 'DEAD', format('[%%s,%%s]', %s::text, CASE WHEN n %% 10 = 0 THEN %s ELSE %s END)::json, '{1,2}', now(), now(), now() "
        "FROM generate_series(1, 400) n",
        (await hooks.subscribe(), ann, bob, ann),
    )
    tracemalloc.start()
    try:
        assert await forget(hooks, traces_of(["ann@example.com"])) == 2 * 360 + 40
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000
    left = "SELECT count(*), bool_and(events ->> 0 LIKE '%%bob@%%'), max(event_ids) FROM tabellion.webhook_delivery"
    assert await (await hooks.db.execute(left)).fetchone() == (40, True, [2])


async def test_news_and_kept_answers_of_others_are_passed_in_a_few_times_the_time_of_reading_them(hooks: Hooks) -> None:
    await hooks.db.execute(
        """
INSERT INTO tabellion.outbox_event (licence_id, subject_kind, subject_id, event_type, data, occurred_at)
SELECT %s, 'EMAIL_CAMPAIGN', '1', 'SENT', jsonb_build_object('interactionId', n, 'emailAddress', n || '@example.com'), now()
FROM generate_series(1, %s) n
""",
        (hooks.licence_id, _MANY),
    )
    await hooks.db.execute(
        """
INSERT INTO tabellion.idempotency (licence_id, user_id, route, key, fingerprint, status, headers, body, created_at, entities)
SELECT %s, 1, 'PUT /v5/entities/hotels/profile-tables/Guests/profiles', gen_random_uuid()::text, '', 200,
    '{"Content-Type": "application/json;charset=UTF-8"}', convert_to('{"profileId":' || n || '}', 'UTF8'), now(), '{}'
FROM generate_series(1, %s) n
""",
        (hooks.licence_id, _MANY),
    )
    traces, now = traces_of(["ann@example.com"]), hooks.clock() + timedelta(minutes=1)
    read_news = "SELECT count(*) FROM tabellion.outbox_event WHERE licence_id = %s AND lower(data::text) = ''"
    read_answers = (
        "SELECT count(*) FROM tabellion.idempotency WHERE licence_id = %s AND lower(encode(body, 'escape')) = '' "
        "OR lower(concat_ws(' ', route, key, headers)) = ''"
    )
    read, passed = (
        [
            await least_s(lambda: hooks.db.execute(read_news, (hooks.licence_id,))),
            await least_s(lambda: hooks.db.execute(read_answers, (hooks.licence_id,))),
        ],
        [
            await least_s(lambda: outbox.forget(hooks.db, hooks.licence_id, traces, now)),
            await least_s(lambda: idempotency.forget(hooks.db, hooks.licence_id, traces, now)),
        ],
    )
    assert [took < 12 * reading for took, reading in zip(passed, read, strict=True)] == [True, True], (passed, read)


async def test_a_block_is_taken_apart_as_it_stands_by_then(hooks: Hooks) -> None:
    await hooks.subscribe(webhookPushType="BULK", maxBlockSize=2)
    for name in ("ann", "bob"):
        await hooks.profile(f"{name}@example.com")
    now = hooks.clock()
    await fan_out(hooks.db, now)
    claimed = await queue.claim(hooks.db, now, lease=timedelta(minutes=1), busy={}, at_once=8, most=8)
    assert await forget(hooks, traces_of(["ann@example.com"])) == 1

    async with hooks.db.transaction():
        await queue.take_apart(hooks.db, claimed, now)

    left = await (await hooks.db.execute("SELECT events::text, state, attempts FROM tabellion.webhook_delivery")).fetchall()
    assert [("bob@example.com" in events, state, attempts) for events, state, attempts in left] == [(True, "PENDING", 0)]
