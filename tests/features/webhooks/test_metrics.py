"""What monitoring hears of webhooks: how attempts ended, what waits and since when."""

from tabellion.features.webhooks import exposition
from tests.features.webhooks.conftest import Hooks
from tests.support.receiver import status


async def figures(hooks: Hooks) -> dict[str, float]:
    """The metrics now."""
    async with hooks.connection() as db:
        lines = (await exposition(db, hooks.clock())).decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


async def test_attempts_and_what_waits_are_counted(hooks: Hooks) -> None:
    await hooks.subscribe()
    before = await figures(hooks)

    async def since(name: str) -> float:
        return (await figures(hooks))[name] - before[name]

    await hooks.profile("ann@example.com")
    await hooks.deliver()
    assert await since('tabellion_webhook_attempts_total{outcome="delivered"}') == 1
    assert await since("tabellion_webhook_waiting") == 0

    hooks.receiver.answers(status(500))
    await hooks.profile("bob@example.com")
    await hooks.deliver()
    failed = await since('tabellion_webhook_attempts_total{outcome="failed"}')
    assert failed >= 1
    assert await since("tabellion_webhook_waiting") == 1
    assert await since("tabellion_webhook_failing_subscriptions") == 1
    hooks.clock.forward(hours=3)
    assert 3 * 3600 <= (await figures(hooks))["tabellion_webhook_oldest_seconds"] < 4 * 3600

    hooks.receiver.answers(status(410))
    await hooks.deliver()
    assert await since("tabellion_webhook_given_up_total") == 1
    assert await since('tabellion_webhook_attempts_total{outcome="failed"}') == failed + 1
    assert await since("tabellion_webhook_waiting") == 0
