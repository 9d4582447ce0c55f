"""`GET /v5/usage`."""

from datetime import UTC
from typing import Any

from tabellion.features.usage import service, wire
from tabellion.platform.http.call import Answer, Call, Incoming


async def usage(call: Incoming) -> Answer:
    """The licence's limits and what it has used of them; the numbers are those of this answer's headers."""
    counters, settings = await service.usage(call)
    now = service.limits_of(call)
    midnight = service.next_midnight(call.now, call.caller).astimezone(UTC)
    used = None if now.calls_per_minute is None or now.remaining is None else now.calls_per_minute - now.remaining
    limits = [
        wire.Limit(
            "permin",
            now.calls_per_minute,
            window=now.window_seconds,
            mode=settings.on_excess,
            used=0 if used is None else used,
            remaining=now.remaining,
            reset_after=now.reset_s,
        ),
        wire.Limit("conc", now.max_concurrent, used=now.in_flight, remaining=_left(now.max_concurrent, now.in_flight)),
        wire.Limit(
            "bulkday",
            settings.bulk_per_day,
            scope=settings.bulk_scope,
            used=counters.bulk_total,
            remaining=_left(settings.bulk_per_day, counters.bulk_total),
            reset_at=f"{midnight.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z",
            per_table=[wire.TableUse(table, n) for table, n in sorted(counters.bulk_per_table.items())],
        ),
        wire.Limit("users", settings.max_users, used=counters.users, remaining=_left(settings.max_users, counters.users)),
        wire.Limit("bulkFileBytes", settings.max_bulk_file_bytes),
    ]
    today = wire.Today(counters.calls, counters.slowed_down, counters.refused)
    caller = call.caller
    return Answer(200, wire.Usage(caller.licence_name, settings.preset, str(caller.time_zone), limits, today))


def _left(limit: int | None, used: int) -> int | None:
    return None if limit is None else max(limit - used, 0)


_EXAMPLE: dict[str, Any] = {
    "licence": "harbour",
    "preset": "classic",
    "timeZone": "UTC",
    "limits": [
        {"name": "permin", "limit": 60, "window": 60, "mode": "SLOW_DOWN", "used": 48, "remaining": 12, "resetAfter": 1},
        {"name": "conc", "limit": 5, "used": 1, "remaining": 4},
        {
            "name": "bulkday",
            "limit": 12,
            "scope": "LICENCE",
            "used": 3,
            "remaining": 9,
            "resetAt": "2027-03-02T00:00:00.000Z",
            "perTable": [{"tableId": "31", "used": 3}],
        },
        {"name": "users", "limit": 5, "used": 2, "remaining": 3},
        {"name": "bulkFileBytes", "limit": 104857600},
    ],
    "today": {"calls": 5210, "slowedDown": 14, "refused": 0},
}

CALLS = (
    Call(
        id="usage.v5.get",
        method="GET",
        path="/v5/usage",
        category="usage",
        module="administration",
        summary="Read the usage limits",
        description="The licence's limits and what it has used of them; the numbers are those of this answer's headers.",
        handler=usage,
        statuses={200: "Limits and usage."},
        answer=wire.Usage,
        answer_example=_EXAMPLE,
    ),
)
