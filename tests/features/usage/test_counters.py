"""What the usage call tells of limits and counters, and how long what is counted is kept."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from tabellion.features import licences as use
from tabellion.features.usage import count_bulk_call, purge
from tabellion.features.usage.model import Limits
from tabellion.kit.clock import utc_now
from tabellion.platform.http import json_codec
from tests.support.structure import Bench


async def told(bench: Bench, limits: Limits, now: datetime) -> dict[str, Any]:
    """The document of the usage call at a moment, when the gate has said this of the licence."""
    incoming = await bench.incoming("usage.v5.get")
    incoming.limits, incoming.now = limits, now
    answer = await incoming.call.handler(incoming)
    return json_codec.decode(json_codec.encode(answer.body))


async def test_limits_are_told_with_what_is_used_of_them(bench: Bench) -> None:
    changes = {"max_users": 3, "calls_per_minute": 100, "max_concurrent": 5, "bulk_per_day": 2, "bulk_scope": "TABLE"}
    await use.change_limits(bench.db, bench.licence, changes | {"on_excess": "REJECT"}, utc_now())
    # Late in the evening of UTC, which is the next day in Brussels.
    now = datetime(2027, 3, 1, 23, 30, tzinfo=UTC)
    caller = (await bench.incoming("usage.v5.get")).caller
    for tables, moment in (({"31"}, now), ({"7", "31"}, now), ({"7"}, now), ({"7"}, now - timedelta(hours=1))):
        await count_bulk_call(bench.db, caller, tables, moment)
    # Another licence has its own.
    other = Bench(bench._url, bench.db)
    await other.make_licence(time_zone="Europe/Brussels")
    await count_bulk_call(other.db, (await other.incoming("usage.v5.get")).caller, {"99"}, now)
    for licence, calls in ((other.licence_id, 7), (bench.licence_id, 9)):
        await bench.db.execute(
            "INSERT INTO tabellion.usage_state (licence_id, day, calls, slowed_down, refused) "
            "VALUES (%s, '2027-03-02', %s, 2, 1)",
            (licence, calls),
        )
    document = await told(bench, Limits(100, 60, 5, 2, 88, 7, 2), now)
    assert document == {
        "licence": bench.licence,
        "preset": "custom",
        "timeZone": "Europe/Brussels",
        "limits": [
            {"name": "permin", "limit": 100, "window": 60, "mode": "REJECT", "used": 12, "remaining": 88, "resetAfter": 7},
            {"name": "conc", "limit": 5, "used": 2, "remaining": 3},
            {
                "name": "bulkday",
                "limit": 2,
                "scope": "TABLE",
                "used": 3,
                "remaining": 0,
                "resetAt": "2027-03-02T23:00:00.000Z",
                "perTable": [{"tableId": "31", "used": 2}, {"tableId": "7", "used": 2}],
            },
            {"name": "users", "limit": 3, "used": 1, "remaining": 2},
            {"name": "bulkFileBytes", "limit": 104_857_600},
        ],
        "today": {"calls": 9, "slowedDown": 2, "refused": 1},
    }
    yesterday = await told(bench, Limits(100, 60, 5, 2, 88, 7, 2), now - timedelta(hours=1))
    assert yesterday["today"] == {"calls": 0, "slowedDown": 0, "refused": 0}
    assert yesterday["limits"][2]["perTable"] == [{"tableId": "7", "used": 1}]
    await use.delete_licence(bench.db, other.licence, utc_now())


async def test_where_there_are_no_limits_none_are_told(bench: Bench) -> None:
    document = await told(bench, Limits(None, 60, None, None, None, 0, 4), utc_now())
    assert [(each["limit"], each.get("used"), each.get("remaining")) for each in document["limits"]] == [
        (None, 0, None),
        (None, 4, None),
        (None, 0, None),
        (None, 1, None),
        (104_857_600, None, None),
    ]


def test_headers_tell_of_the_limits_that_there_are() -> None:
    assert Limits(None, 60, None, None, None, 0, 4).raw_headers(bulk=True) == []
    for limits, policy in (
        (Limits(None, 60, None, 4, None, 0, 4), b'"bulkday";q=4;w=86400'),
        (Limits(None, 60, 5, None, None, 0, 4), b'"conc";q=5;qu="concurrent-requests"'),
    ):
        assert limits.raw_headers(bulk=True) == [(b"ratelimit-policy", policy)]


async def test_what_has_outlived_its_use_goes(bench: Bench) -> None:
    now = datetime.combine(utc_now().date(), time(12), UTC)
    (user,) = await bench.row("SELECT id FROM tabellion.api_user WHERE licence_id = %s", bench.licence_id)
    async with bench.db.transaction(force_rollback=True):
        # At noon what other tests have left in the morning has outlived its use.
        await purge(bench.db, now)
        for table, kept, values in (
            (
                "access_token",
                timedelta(days=1),
                "(hash, user_id, expires_at) VALUES (%(at)s::text::bytea, %(user)s, %(at)s)",
            ),
            (
                "idempotency",
                timedelta(days=1),
                "VALUES (%(licence)s, %(user)s, '', %(at)s::text, '', 200, '{}', '', %(at)s)",
            ),
            ("auth_failure", timedelta(hours=1), "VALUES (%(at)s::text, 1, %(at)s)"),
            ("usage_process", timedelta(hours=1), "VALUES (nextval('tabellion.usage_process_id'), %(at)s)"),
            ("usage_bulk", timedelta(days=90), "VALUES (%(licence)s, %(at)s::date, '', 1)"),
        ):
            await bench.db.execute(f"DELETE FROM tabellion.{table}")
            # Days are kept whole.
            step = timedelta(days=1) if table == "usage_bulk" else timedelta(seconds=1)
            for at in (now - kept, now - kept - step, now - kept + step):
                parameters = {"licence": bench.licence_id, "user": user, "at": at}
                await bench.db.execute(f"INSERT INTO tabellion.{table} {values}", parameters)
            assert await purge(bench.db, now) == 1, table
            assert await bench.row(f"SELECT count(*) FROM tabellion.{table}") == (2,)
