"""What fails is repeated on schedule, and dies with a reason; it holds up nothing else."""

import asyncio
from datetime import timedelta
from email.utils import format_datetime

import pytest

from tests.features.webhooks.conftest import Hooks
from tests.support.receiver import status

HOURS = [0, 5 / 3600, 300 / 3600, 0.5, 2, 5, 10, 16, 24]


@pytest.mark.parametrize(
    "answer", [status(500), status(302, Location="/elsewhere"), status(300), "reset", "hang", b"no HTTP\r\n\r\n"]
)
async def test_what_fails_is_repeated_under_the_same_id_on_schedule_and_dies(answer: bytes | str, hooks: Hooks) -> None:
    hooks.receiver.answers(answer)
    id_ = await hooks.subscribe()
    await hooks.profile("ann@example.com")
    begin = hooks.clock()
    quick = answer != "hang"
    for attempt in range(1, 10 if quick else 4):
        await hooks.deliver()
        assert len(hooks.receiver.requests) == attempt
        if attempt < 9:
            due = hooks.clock() + await hooks.due_in() - begin
            gap = HOURS[attempt] - HOURS[attempt - 1]
            latest = min(HOURS[attempt] + 0.2 * gap, 24)
            slack = 10 / 3600  # what the test itself takes
            assert HOURS[attempt] - 0.2 * gap <= due / timedelta(hours=1) <= latest + slack, f"attempt {attempt + 1}"
            hooks.clock.forward(seconds=(await hooks.due_in()).total_seconds() + 0.01)
    assert len({r.headers["webhook-id"] for r in hooks.receiver.requests}) == 1
    assert len({r.body for r in hooks.receiver.requests}) == 1
    assert all(path == "/hook" for path in hooks.receiver.paths)
    if not quick:
        return
    hooks.clock.forward(hours=48)
    await hooks.deliver()
    assert len(hooks.receiver.requests) == 9
    ((state, attempts, error),) = await hooks.deliveries()
    assert (state, attempts) == ("DEAD", 9)
    assert error

    # An event that died is delivered anew when somebody asks for it, still under its id.
    hooks.receiver.answers(status(204))
    event_id = str(hooks.receiver.requests[0].json["id"])
    assert (await hooks.call("webhooks.v5.replay", {"eventId": event_id}, w=str(id_))).body.replayed == 1
    await hooks.deliver()
    assert len({r.headers["webhook-id"] for r in hooks.receiver.requests}) == 1
    assert await hooks.deliveries() == []


@pytest.mark.parametrize(("code", "dated", "honoured"), [(429, False, True), (503, True, True), (500, False, False)])
async def test_retry_after_is_honoured(code: int, dated: bool, honoured: bool, hooks: Hooks) -> None:
    wish = format_datetime(hooks.clock() + timedelta(seconds=600), usegmt=True) if dated else "600"
    hooks.receiver.answers(status(code, Retry_After=wish))
    await hooks.subscribe()
    await hooks.profile("ann@example.com")
    await hooks.deliver()
    due = await hooks.due_in()
    assert (timedelta(seconds=590) < due <= timedelta(seconds=600)) == honoured


@pytest.mark.parametrize(
    "text", ["soon", "-5", "Wed, 99 Foo 2026 00:00:00 GMT", "9" * 50, "Mon, 01 Jan 2001 00:00:00 GMT", ""]
)
async def test_a_strange_retry_after_does_no_harm(text: str, hooks: Hooks) -> None:
    hooks.receiver.answers(status(503, Retry_After=text))
    await hooks.subscribe()
    await hooks.profile("ann@example.com")
    await hooks.deliver()
    assert timedelta(0) < await hooks.due_in() <= timedelta(hours=24)


async def test_a_target_that_hangs_or_fails_is_asked_one_at_a_time_and_others_do_not_wait(hooks: Hooks) -> None:
    hooks.receiver.answer = lambda r: "hang" if r.path == "/slow" else status(200)
    await hooks.subscribe(url=hooks.receiver.url.replace("hook", "slow"))
    await hooks.subscribe()
    for n in range(40):
        await hooks.profile(f"p{n}@example.com")
    async with hooks.connection() as db:
        await hooks.dispatcher.step(db)
        loop = asyncio.get_running_loop()
        begin = loop.time()
        while hooks.receiver.paths.count("/hook") < 40:
            assert loop.time() - begin < 0.9, hooks.receiver.paths
            await asyncio.sleep(0.005)
            await hooks.dispatcher.step(db)
        assert hooks.receiver.paths.count("/slow") == 8
        await hooks.dispatcher.idle()
        for _ in range(3):
            await hooks.dispatcher.step(db)
            await asyncio.sleep(0.05)
        assert hooks.receiver.paths.count("/slow") == 9
        await hooks.dispatcher.idle()


async def test_a_forbidden_target_is_never_called(hooks: Hooks) -> None:
    """Registered while it was allowed, or whose name leads elsewhere now."""
    await hooks.subscribe()
    await hooks.profile("ann@example.com")
    await hooks.db.execute(
        "UPDATE tabellion.webhook_subscription SET target_url = 'http://169.254.169.254/latest/meta-data'"
    )
    await hooks.deliver()
    ((state, attempts, error),) = await hooks.deliveries()
    assert (state, attempts, error) == ("PENDING", 1, "the target is an address that is not public")
    assert hooks.receiver.connections == 0
