"""Calls whose licence, API user or token ends while they run: refused as if they had come a moment later."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from tabellion.features import licences as use
from tabellion.features.licences.authentication import MAX_ADDRESS_FAILURES
from tabellion.kit.clock import utc_now
from tests.support.tenant import Tenant, schema_of
from tests.support.tenants import Tenants
from tests.support.waiting import until_they_wait

_WAIT_S = 20


def test_a_licence_that_is_deleted_while_its_calls_run(
    tenants: Tenants, client: httpx.Client, database: psycopg.Connection[Any]
) -> None:
    doomed = tenants.create(client)
    export = {"tableType": "PROFILE_TABLE", "tableId": "Guests"}
    server = {"name": "erp", "protocol": "SFTP", "host": "files.example.com", "user": "u"}
    calls: list[tuple[str, Any]] = [
        ("/v5/entities/hotels/export-executions", export),
        ("/v5/entities/hotels/exports", export | {"name": "nightly"}),
        ("/v5/entities/hotels/custom-actions", {"name": "print"}),
        ("/v5/entities/hotels/servers", server),
    ]
    tables = "tabellion.export_execution, tabellion.export, tabellion.custom_action, tabellion.transfer_server"
    with psycopg.connect(tenants.database_url) as deleting, ThreadPoolExecutor(len(calls)) as threads:
        # They are let in, and wait where they would write.
        deleting.execute(f"LOCK TABLE {tables} IN EXCLUSIVE MODE")
        sent = [threads.submit(doomed.json, "POST", path, body) for path, body in calls]
        until_they_wait(database, *["tabellion api"] * len(calls))
        deleting.execute("DELETE FROM tabellion.licence WHERE name = %s", (doomed.licence,))
        deleting.commit()
    for (path, _), answer in zip(calls, sent, strict=True):
        refused = answer.result()
        assert (refused.status_code, refused.json()["code"]) == (401, "auth.invalid"), f"{path}: {refused.text}"
        assert "WWW-Authenticate" in refused.headers


def test_calls_that_wait_for_tables_of_a_licence_that_is_deleted(
    tenants: Tenants, client: httpx.Client, database: psycopg.Connection[Any]
) -> None:
    doomed = tenants.create(client)
    schema = schema_of(doomed, database)
    number = doomed.campaign()
    profile = {"key": {"emailAddress": "bob@example.com"}, "attributes": {"lastName": "Bos"}}
    calls: list[tuple[str, str, Any]] = [
        ("PUT", "/v5/entities/hotels/profile-tables/Guests/profiles", profile),
        ("GET", "/v5/entities/hotels/profile-tables/Guests/profiles", None),
        ("GET", "/v5/suppressions", None),
        ("PUT", "/v5/suppressions/ann@example.com", {"reason": "MANUAL"}),
        ("GET", f"/v5/entities/hotels/mails/{number}/report", None),
    ]
    with psycopg.connect(tenants.database_url) as deleting, ThreadPoolExecutor(len(calls)) as threads:
        deleting.execute(f"DROP SCHEMA {schema} CASCADE".encode())
        sent = [threads.submit(doomed.json, *call) for call in calls]
        until_they_wait(database, *["tabellion api"] * len(calls))
        deleting.execute("DELETE FROM tabellion.licence WHERE name = %s", (doomed.licence,))
        deleting.commit()
    answers = [each.result() for each in sent]
    said = [(answer.status_code, answer.json()["code"]) for answer in answers]
    # Tables that users have made are looked up again, and are no more.
    assert said == [(404, "table.unknown")] * 2 + [(401, "auth.invalid")] * 3, said


def test_a_licence_that_is_being_erased_keeps_nobody_waiting(
    tenants: Tenants, tenant: Tenant, client: httpx.Client, database: psycopg.Connection[Any]
) -> None:
    doomed = tenants.create(client)
    command = [sys.executable, "-m", "tabellion", "licence", "delete", doomed.licence, "--yes"]
    command += ["--database-url", tenants.database_url]
    with psycopg.connect(tenants.database_url) as holding:
        # Where the rest of the licence is deleted, it has locked what the gate asks for.
        licence_id = schema_of(doomed, database)[1:]
        holding.execute("SELECT FROM tabellion.profile_table WHERE licence_id = %s FOR UPDATE", (licence_id,))
        erasing = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until_they_wait(database, "tabellion cli")
        with ThreadPoolExecutor(2) as threads:
            refused, answered = (threads.submit(each.json, "GET", "/v4/entity") for each in (doomed, tenant))
            assert [each.result(_WAIT_S).status_code for each in (answered, refused)] == [200, 401]
        holding.commit()
    assert erasing.wait(_WAIT_S) == 0


def test_a_licence_is_erased_also_when_others_hold_what_it_needs_in_another_order(
    tenants: Tenants, client: httpx.Client, database: psycopg.Connection[Any]
) -> None:
    doomed = tenants.create(client)
    command = [sys.executable, "-m", "tabellion", "licence", "delete", doomed.licence, "--yes"]
    command += ["--database-url", tenants.database_url]
    licence_id = schema_of(doomed, database)[1:]
    with psycopg.connect(tenants.database_url) as other:
        other.execute("SELECT FROM tabellion.profile_table WHERE licence_id = %s FOR UPDATE", (licence_id,))
        erasing = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        until_they_wait(database, "tabellion cli")
        # Who waited first finds the deadlock first, after a second, and gives way.
        other.execute("SELECT FROM tabellion.licence WHERE id = %s FOR UPDATE", (licence_id,))
    _, told = erasing.communicate(timeout=_WAIT_S)
    assert (erasing.returncode, told) == (0, "")


def test_a_campaign_that_is_deleted_while_a_test_of_it_is_asked_for(
    tenants: Tenants, tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    number = tenant.campaign()
    with psycopg.connect(tenants.database_url) as deleting, ThreadPoolExecutor(1) as threads:
        deleting.execute("DELETE FROM tabellion.campaign WHERE id = %s", (number,))
        sent = threads.submit(
            tenant.json, "POST", f"/v4/entity/hotels/mail/{number}/test", {"recipients": ["me@example.com"]}
        )
        until_they_wait(database, "tabellion api")
        deleting.commit()
    refused = sent.result()
    assert (refused.status_code, refused.json()["code"]) == (404, "campaign.unknown"), refused.text


@pytest.mark.parametrize("path", ["etls", "exports"])
def test_a_location_that_is_deleted_while_something_is_made_for_it(
    path: str, tenants: Tenants, tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    base = "/v5/entities/hotels"
    server = {"name": "erp", "protocol": "SFTP", "host": "8.8.8.8", "user": "u", "password": "x"}
    server_id = tenant.json("POST", f"{base}/servers", server).json()["id"]
    place = tenant.json("POST", f"{base}/locations", {"name": "in", "serverId": server_id, "path": "/in"}).json()["id"]
    table = {"tableType": "PROFILE_TABLE", "tableId": "Guests"}
    etl = {"files": [{"namePattern": "*.csv", "load": table}], "source": {"type": "LOCATION", "locationId": place}}
    document = etl if path == "etls" else table | {"locationId": place}
    with psycopg.connect(tenants.database_url) as deleting, ThreadPoolExecutor(1) as threads:
        deleting.execute("DELETE FROM tabellion.transfer_location WHERE id = %s", (place,))
        sent = threads.submit(tenant.json, "POST", f"{base}/{path}", {"name": "nightly", **document})
        until_they_wait(database, "tabellion api")
        deleting.commit()
    refused = sent.result()
    assert (refused.status_code, [error["code"] for error in refused.json()["errors"]]) == (400, ["location.unknown"])


@pytest.mark.parametrize("again", ["rotate", "revoke"])
def test_tokens_that_ended_are_401_however_often_they_come(again: str, tenants: Tenants, tenant: Tenant) -> None:
    # Clients that hear 401 get themselves a new token; 429 would tell them to wait, and then to send the old one again.
    key = tenants.user(tenant.licence, "shop").api_key
    token = tenant.call("GET", "/auth/token", headers={"Authorization": key}).json()["accessToken"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert tenant.call("GET", "/v4/entity", headers=bearer).status_code == 200
    tenants.run(lambda db: _end(db, again, tenant.licence))
    answers = [tenant.call("GET", "/v4/entity", headers=bearer).status_code for _ in range(MAX_ADDRESS_FAILURES + 5)]
    assert set(answers) == {401}


def test_rights_that_change_count_for_tokens_that_are_out(tenants: Tenants, tenant: Tenant) -> None:
    key = tenants.user(tenant.licence, "shop").api_key
    token = tenant.call("GET", "/auth/token", headers={"Authorization": key}).json()["accessToken"]
    bearer = {"Authorization": f"Bearer {token}"}

    def asked() -> int:
        return tenant.call("GET", "/v4/entity/hotels/table", headers=bearer).status_code

    def change(rights: dict[str, str]) -> None:
        tenants.run(lambda db: use.change_access(db, tenant.licence, "shop", utc_now(), rights=rights))

    assert asked() == 200
    change({"webhooks": "r"})
    assert asked() == 403
    change({"structure": "r"})
    assert asked() == 200


async def _end(db: Any, how: str, licence: str) -> None:
    await (use.rotate_user if how == "rotate" else use.revoke_user)(db, licence, "shop", utc_now())
