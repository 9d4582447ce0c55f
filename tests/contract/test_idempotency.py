"""Calls that are repeated with an `Idempotency-Key` happen once."""

import threading
from datetime import timedelta
from typing import Any

import httpx
import psycopg

from tabellion.features import licences as use
from tabellion.kit.clock import utc_now
from tests.support import plain
from tests.support.guests import TABLE, add
from tests.support.tenant import Tenant
from tests.support.tenants import Tenants


def test_an_idempotency_key_makes_a_call_happen_once(tenant: Tenant) -> None:
    body = {"attributes": [{"name": "emailAddress", "value": "once@example.com"}, {"name": "lastName", "value": "Once"}]}
    first = add(tenant, body, Idempotency_Key='"abc"')
    again = add(tenant, body, Idempotency_Key="abc")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    other = add(tenant, {"attributes": []}, Idempotency_Key="abc")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency.mismatch")
    refused = [add(tenant, {"attributes": [{"name": "nothing", "value": 1}]}, Idempotency_Key="bad") for _ in range(2)]
    assert [r.status_code for r in refused] == [400, 400]
    assert refused[1].headers["Idempotency-Replayed"] == "true"


def test_a_key_is_of_one_user_one_method_one_address_and_one_day(
    tenants: Tenants, tenant: Tenant, other_tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    body = {"attributes": [{"name": "emailAddress", "value": "one@example.com"}, {"name": "lastName", "value": "One"}]}
    clerk = f"Bearer {tenants.user(tenant.licence, 'clerk').api_key}"

    def done(answer: httpx.Response) -> tuple[int, bool]:
        return answer.status_code, "Idempotency-Replayed" in answer.headers

    assert done(add(tenant, body, Idempotency_Key="k")) == (201, False)
    assert done(add(other_tenant, body, Idempotency_Key="k")) == (201, False)
    assert done(add(tenant, body, Idempotency_Key="k", Authorization=clerk)) == (200, False)
    one = f"{TABLE}/profile/emailAddress=one@example.com"
    assert done(tenant.json("PUT", one, body, Idempotency_Key="k")) == (200, False)
    assert done(tenant.json("DELETE", one, Idempotency_Key="k")) == (204, False)
    assert done(tenant.json("DELETE", one, Idempotency_Key="k")) == (204, True)
    # The profile is gone, and so a call that is done anew makes one.
    for hours, expected in ((23.99, (201, True)), (0.02, (201, False)), (0, (201, True))):
        database.execute(
            "UPDATE tabellion.idempotency SET created_at = created_at - %s WHERE route LIKE 'POST %%'",
            (timedelta(hours=hours),),
        )
        assert done(add(tenant, body, Idempotency_Key="k")) == expected, hours
    assert tenant.json("POST", f"{TABLE}/profile?x=1", body, Idempotency_Key="k").json()["code"] == "idempotency.mismatch"


def test_an_effect_whose_answer_cannot_be_kept_has_not_happened(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    body = {"attributes": [{"name": "emailAddress", "value": "full@example.com"}, {"name": "lastName", "value": "Full"}]}
    database.execute(
        "CREATE FUNCTION tabellion.no_room() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE 'no room' USING ERRCODE = 'disk_full'; END $$; "
        "CREATE TRIGGER no_room BEFORE INSERT ON tabellion.idempotency FOR EACH ROW EXECUTE FUNCTION tabellion.no_room()"
    )
    try:
        assert add(tenant, body, Idempotency_Key="full").status_code in {503, 507}
    finally:
        database.execute("DROP FUNCTION tabellion.no_room() CASCADE")
    again = add(tenant, body, Idempotency_Key="full")
    # It makes the profile, and so nothing was there.
    assert (again.status_code, "Idempotency-Replayed" in again.headers) == (201, False)


def test_a_refusal_that_says_nothing_of_the_call_is_not_kept(tenants: Tenants, tenant: Tenant) -> None:
    clerk = tenants.user(tenant.licence, "clerk", entities=["spas"])
    headers = {"Authorization": f"Bearer {clerk.api_key}", "Idempotency_Key": "k"}
    body = {"attributes": [{"name": "emailAddress", "value": "no@example.com"}, {"name": "lastName", "value": "No"}]}
    assert add(tenant, body, **headers).status_code == 403
    tenants.run(lambda db: use.change_access(db, tenant.licence, "clerk", utc_now(), every_entity=True))
    assert add(tenant, body, **headers).status_code == 201


def test_a_kept_answer_is_not_for_a_user_who_has_lost_an_entity(tenants: Tenants, tenant: Tenant) -> None:
    clerk = tenants.user(tenant.licence, "clerk")
    body = {"attributes": [{"name": "emailAddress", "value": "kept@example.com"}, {"name": "lastName", "value": "Kept"}]}
    headers = {"Authorization": f"Bearer {clerk.api_key}", "Idempotency-Key": "kept"}

    def send() -> httpx.Response:
        return plain.post(f"{tenant.client.base_url}{TABLE}/profile", json=body, headers=headers)

    assert send().status_code == 201
    tenants.run(lambda db: use.change_access(db, tenant.licence, "clerk", utc_now(), entities=["spas"]))
    refused = send()
    assert (refused.status_code, refused.json()["code"]) == (403, "idempotency.forbidden")
    tenants.run(lambda db: use.change_access(db, tenant.licence, "clerk", utc_now(), every_entity=True))
    assert send().headers["Idempotency-Replayed"] == "true"


def test_concurrent_calls_with_one_key_have_one_effect(tenant: Tenant) -> None:
    body = {"attributes": [{"name": "emailAddress", "value": "race@example.com"}, {"name": "lastName", "value": "Race"}]}
    statuses: list[int] = []

    def send() -> None:
        with plain.Client(base_url=tenant.client.base_url, timeout=30) as client:
            headers = {"Authorization": f"Bearer {tenant.api_key}", "Idempotency-Key": "race"}
            statuses.append(client.post(TABLE + "/profile", json=body, headers=headers).status_code)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {201, 409}
    assert 201 in statuses
