"""Erasures as an integrator asks for them, and the worker's part of them, run here and now."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tabellion.features.erasure import service
from tabellion.kit.clock import utc_now
from tests.support.tenant import Tenant

ERASURES, HOOKS = "/v5/erasures", "/v4/entity/hotels/webhookSubscription"


def ok(answer: httpx.Response) -> Any:
    assert answer.status_code in {200, 201, 204}, answer.text
    return answer.json() if answer.content else None


def run(url: str, work: Any) -> Any:
    """On a connection to the worker's database."""

    async def connected() -> Any:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
            return await work(db)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, connected()).result()


def finish(url: str, spool: Path, database: psycopg.Connection[Any], number: int) -> None:
    """The worker's part, and that it forgets the job."""
    query = (
        "SELECT id, args -> 'rest' FROM jobs.procrastinate_jobs WHERE task_name = %s AND args -> 'rest' ->> 'number' = %s"
    )
    ((job, rest),) = database.execute(query, (service.TASK, str(number))).fetchall()
    for _ in range(2):  # a worker that dies over it begins anew
        run(url, lambda db: service.finish(db, spool, service.Rest(**rest), utc_now()))
    database.execute("DELETE FROM jobs.procrastinate_jobs WHERE id = %s", (job,))


# Moments that machines give by their own clocks, and that erasures look at.
_MOMENTS = (
    ("{l}.recipient", "planned_at"), ("{l}.outbox_mail", "moment"), ("{l}.mail_event", "moment"),
    ("tabellion.idempotency", "created_at"), ("tabellion.outbox_event", "occurred_at"),
    ("tabellion.import_job", "created_at"), ("tabellion.etl_execution", "created_at"),
    ("tabellion.export_execution", "created_at"),
)  # fmt: skip
_TOLD = """
UPDATE tabellion.webhook_delivery d SET occurred_at = occurred_at + make_interval(secs => %(seconds)s), events = (
    SELECT json_agg(e.item || jsonb_build_object('at', (e.item ->> 'at')::timestamptz + make_interval(secs => %(seconds)s)))
    FROM jsonb_array_elements(d.events::jsonb) e (item))
FROM tabellion.webhook_subscription s WHERE s.id = d.subscription_id AND s.licence_id = %(licence)s
"""


def ahead(database: psycopg.Connection[Any], schema: str, seconds: float) -> None:
    """As if all that a licence has had been written by machines whose clocks are ahead."""
    values = {"seconds": seconds, "licence": schema[1:]}
    for table, column in _MOMENTS:
        mine = "" if table.startswith("{l}") else " WHERE licence_id = %(licence)s"
        query = f"UPDATE {table} SET {column} = {column} + make_interval(secs => %(seconds)s){mine}"
        database.execute(query.replace("{l}", schema).encode(), values)
    database.execute(_TOLD, values)


def listen(tenant: Tenant) -> None:
    for on, element, event in (
        ("PROFILE_TABLE", "Guests", "CREATE"), ("PROFILE_TABLE", "Guests", "DELETE"), ("EMAIL_CAMPAIGN", "*", "SENT"),
        ("EMAIL_CAMPAIGN", "*", "CLICK"),
    ):  # fmt: skip
        body = {"on": on, "onElementId": element, "eventType": event, "targetUrl": "https://8.8.8.8/hook"}
        ok(tenant.json("POST", HOOKS, body))


def erased(tenant: Tenant, address: str, **body: Any) -> dict[str, Any]:
    return ok(tenant.json("POST", ERASURES, {"address": address, **body}))
