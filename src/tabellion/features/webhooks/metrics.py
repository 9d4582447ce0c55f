"""How the delivery of webhooks stands, for Prometheus: of the whole database, so that each server tells the same."""

from datetime import datetime

from tabellion.features.webhooks import queue
from tabellion.platform.database.connection import Database


async def exposition(db: Database, now: datetime) -> bytes:
    """The lines of /metrics about webhooks."""
    standing = await queue.standing(db)
    oldest_s = 0.0 if standing.oldest_at is None else max((now - standing.oldest_at).total_seconds(), 0.0)
    lines = [
        *_metric("tabellion_webhook_attempts_total", "counter", "Attempts to deliver webhooks by how they ended"),
        f'tabellion_webhook_attempts_total{{outcome="delivered"}} {standing.delivered}',
        f'tabellion_webhook_attempts_total{{outcome="failed"}} {standing.failed}',
        *_metric("tabellion_webhook_given_up_total", "counter", "Deliveries of webhooks that were given up"),
        f"tabellion_webhook_given_up_total {standing.given_up}",
        *_metric("tabellion_webhook_waiting", "gauge", "Deliveries of webhooks that wait for their first or next attempt"),
        f"tabellion_webhook_waiting {standing.waiting}",
        *_metric("tabellion_webhook_oldest_seconds", "gauge", "Age of the oldest event that waits for its delivery"),
        f"tabellion_webhook_oldest_seconds {oldest_s:.3f}",
        *_metric("tabellion_webhook_failing_subscriptions", "gauge", "Subscriptions whose last attempts have all failed"),
        f"tabellion_webhook_failing_subscriptions {standing.failing}",
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def _metric(name: str, kind: str, told: str) -> tuple[str, str]:
    return f"# HELP {name} {told}", f"# TYPE {name} {kind}"
