"""Exports that are kept: their definitions, what is new since the last run, schedules, and who is told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from tests.contract.test_exports import STORED, put, rows_of
from tests.support.exports import BASE, EXECUTIONS, EXPORTS, Exports
from tests.support.tenant import Tenant, schema_of


def test_everything_wrong_with_a_kept_export_is_told_at_once(tenant: Tenant) -> None:
    wrong = {"name": "", "tableId": "Guests", "attributes": ["nope"], "format": {"encoding": "UTF-9"}, "fileName": "a/b",
             "schedule": {"cron": "daily"}, "locationId": "99"}  # fmt: skip
    errors = [
        ("name", "structure.nameInvalid"),
        ("fileName", "structure.invalid"),
        ("schedule.cron", "structure.invalid"),
        ("attributes[0]", "attribute.unknown"),
        ("format.encoding", "import.encoding"),
        ("locationId", "location.unknown"),
    ]
    for changed, first in ({}, []), ({"tableId": "Gests", "attributes": None, "format": {}}, [("tableId", "table.unknown")]):
        refused = tenant.json("POST", f"{BASE}/exports", wrong | changed)
        assert refused.status_code == 400
        told = [(e["field"], e["code"]) for e in refused.json()["errors"]]
        assert told == [*errors[:3], *(first or errors[3:5]), errors[5]]


def test_an_incremental_export_takes_what_has_changed_since(
    exports: Exports, tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    number = tenant.json("POST", EXPORTS, STORED).json()["id"]

    def mark(moment: str) -> None:
        database.execute(f"UPDATE tabellion.export SET changed_since = {moment} WHERE id = %s".encode(), (number,))

    def trigger() -> list[str]:
        execution = tenant.json("POST", f"{EXPORTS}/{number}/trigger-execution").json()["id"]
        exports.run(execution)
        assert exports.read(execution)["exportId"] == number
        return sorted(row["emailAddress"] for row in rows_of(exports.file(execution)))

    assert trigger() == ["ann@example.com"]
    # What was written within five minutes of the last run may not have been seen by it, and comes again.
    assert trigger() == ["ann@example.com"]
    # The mark is when a run began, and not when it had ended.
    query = """
SELECT bool_and(e.changed_since + interval '5 minutes' < x.ended_at) FROM tabellion.export e
JOIN tabellion.export_execution x ON x.export_id = e.id WHERE e.id = %s AND x.id = (SELECT max(id) FROM tabellion.export_execution)
"""
    assert database.execute(query, (number,)).fetchone() == (True,)
    mark("now() + interval '1 hour'")
    assert [trigger(), trigger()] == [[], []], "a mark never goes back"
    put(tenant, "bob@example.com")
    table = tenant.json("GET", f"{BASE}/profile-tables/Guests").json()["id"]
    mark(f"(SELECT max(updated_at) FROM {schema_of(tenant, database)}.p{table})")
    assert trigger() == ["bob@example.com"]
    mark(f"(SELECT max(updated_at) FROM {schema_of(tenant, database)}.p{table})")
    assert tenant.json("PATCH", f"{EXPORTS}/{number}", {"name": "renamed"}).status_code == 200
    assert trigger() == ["bob@example.com"]
    # Other columns, other rows: from the beginning.
    tenant.json("PATCH", f"{EXPORTS}/{number}", {"attributes": ["emailAddress", "points"]})
    assert trigger() == ["ann@example.com", "bob@example.com"]
    # So does each run where all rows are wanted.
    tenant.json("PATCH", f"{EXPORTS}/{number}", {"incremental": False})
    mark("now() + interval '1 second'")
    assert trigger() == ["ann@example.com", "bob@example.com"]


def test_a_run_of_a_former_definition_does_not_move_the_mark(
    exports: Exports, tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    number = tenant.json("POST", EXPORTS, STORED).json()["id"]
    execution = tenant.json("POST", f"{EXPORTS}/{number}/trigger-execution").json()["id"]
    wider = {"attributes": ["emailAddress", "points"]}
    assert tenant.json("PATCH", f"{EXPORTS}/{number}", wider).status_code == 200

    exports.run(execution)

    assert exports.read(execution)["status"] == "DONE"
    mark = "SELECT changed_since FROM tabellion.export WHERE id = %s"
    assert database.execute(mark, (number,)).fetchone() == (None,), "the next run has all rows, as the change has it"


def test_a_run_that_is_cancelled_stays_so_does_not_move_the_mark_and_is_told(
    exports: Exports, tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    number = tenant.json("POST", EXPORTS, STORED).json()["id"]
    hook = {"on": "EXPORT", "onElementId": number, "eventType": "FINISHED", "targetUrl": "https://8.8.8.8/hook"}
    assert tenant.json("POST", "/v4/entity/hotels/webhookSubscription", hook).status_code == 201

    def cancelled(while_it_is: str) -> None:
        execution = tenant.json("POST", f"{EXPORTS}/{number}/trigger-execution").json()["id"]

        def clock() -> datetime:
            if exports.read(execution)["status"] == while_it_is:
                assert tenant.json("DELETE", f"{EXECUTIONS}/{execution}").status_code == 204
            return datetime.now(UTC)

        if while_it_is == "QUEUED":
            clock()
        exports.run(execution, clock)
        assert exports.read(execution)["status"] == "CANCELLED"
        assert tenant.json("GET", f"{EXECUTIONS}/{execution}/file").json()["code"] == "file.unknown"
        mark = "SELECT changed_since FROM tabellion.export WHERE id = %s"
        assert database.execute(mark, (number,)).fetchone() == (None,)

    def told() -> list[str]:
        query = "SELECT data FROM tabellion.outbox_event WHERE subject_kind = 'EXPORT' AND subject_id = %s"
        return [data["export.executionStatus"] for (data,) in database.execute(query, (number,))]

    cancelled("QUEUED")
    assert told() == [], "nobody was told that it began"
    cancelled("RUNNING")
    assert told() == ["FAILED"]


def test_schedules_start_each_export_once(exports: Exports, tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    timed = {**STORED, "schedule": {"cron": "0 3 * * *", "timeZone": "Europe/Paris"}}
    number = tenant.json("POST", EXPORTS, timed).json()["id"]
    other = tenant.json("POST", EXPORTS, {**timed, "name": "off", "isActive": False}).json()["id"]
    every = tenant.json("POST", EXPORTS, {**timed, "name": "every", "incremental": False}).json()["id"]
    database.execute(
        "UPDATE tabellion.export SET changed_since = %s WHERE id IN (%s, %s)",
        (datetime(2026, 1, 2, tzinfo=UTC), number, every),
    )
    due = datetime.fromisoformat(tenant.json("GET", f"{EXPORTS}/{number}").json()["nextRunAt"])
    assert due > datetime.now(UTC)

    def of(export: str) -> list[str]:
        return [x["id"] for x in tenant.json("GET", f"{EXECUTIONS}?exportId={export}").json()["executions"]]

    exports.start_due(due - timedelta(seconds=1))
    assert of(number) == []
    exports.start_due(due)
    # The server was down for three days: one run makes up for it.
    exports.start_due(due + timedelta(days=3))
    exports.start_due(due + timedelta(days=3))
    assert (len(of(number)), of(other)) == (2, [])
    for export, since in (number, datetime(2026, 1, 2, tzinfo=UTC)), (every, None):
        marks = database.execute("SELECT changed_since FROM tabellion.export_execution WHERE export_id = %s", (export,))
        assert set(marks) == {(since,)}
    pages = [tenant.json("GET", f"{EXECUTIONS}?exportId={number}&limit=1").json()]
    pages.append(tenant.json("GET", f"{EXECUTIONS}?exportId={number}&limit=1&cursor={pages[0]['nextCursor']}").json())
    assert [x["id"] for page in pages for x in page["executions"]] == of(number)
    assert pages[1]["nextCursor"] is None
    following = datetime.fromisoformat(tenant.json("GET", f"{EXPORTS}/{number}").json()["nextRunAt"])
    assert due + timedelta(days=3) < following <= due + timedelta(days=4, hours=1)


def test_definitions_are_kept_changed_and_deleted(tenant: Tenant) -> None:
    made = tenant.json("POST", EXPORTS, STORED)
    number = made.json()["id"]
    assert made.headers["location"].endswith(f"{EXPORTS}/{number}")
    assert tenant.json("POST", EXPORTS, STORED | {"name": "CHANGES"}).json()["code"] == "name.used"
    assert tenant.json("GET", EXPORTS).json() == {"exports": [{"id": number, "name": "changes", "isActive": True}]}
    assert tenant.json("PATCH", f"{EXPORTS}/{number}", {"isActive": False}).json()["isActive"] is False
    assert tenant.json("POST", f"{EXPORTS}/{number}/trigger-execution").json()["code"] == "export.inactive"
    wrong: dict[str, Any] = {"schedule": {"cron": "x"}, "fileName": "a/b", "name": ""}
    for changes, fields in (wrong, ["fileName", "name", "schedule.cron"]), ({"compression": "x"}, ["compression"]):
        refused = tenant.json("PATCH", f"{EXPORTS}/{number}", changes).json()
        assert sorted(e["field"] for e in refused["errors"]) == fields
    assert tenant.json("DELETE", f"{EXPORTS}/{number}").status_code == 204
    assert tenant.json("GET", f"{EXPORTS}/{number}").json()["code"] == "export.unknown"


def test_whoever_listens_is_told(exports: Exports, tenant: Tenant, worker_database_url: str) -> None:
    number = tenant.json("POST", EXPORTS, STORED).json()["id"]
    hook = {"on": "EXPORT", "onElementId": "changes", "eventType": "FINISHED", "targetUrl": "https://8.8.8.8/hook"}
    assert tenant.json("POST", "/v4/entity/hotels/webhookSubscription", hook).status_code == 201
    execution = tenant.json("POST", f"{EXPORTS}/{number}/trigger-execution").json()["id"]
    exports.run(execution)
    with psycopg.connect(worker_database_url) as db:
        events = db.execute(
            "SELECT event_type, data FROM tabellion.outbox_event WHERE subject_kind = 'EXPORT' AND subject_id = %s",
            (number,),
        ).fetchall()
    assert [(event, data["export.executionStatus"]) for event, data in events] == [("FINISHED", "SUCCESS")]
