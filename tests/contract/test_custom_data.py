"""Records over HTTP: what integrations do and the server must survive."""

import threading
from typing import Any
from urllib.parse import quote

import pytest

from tests.support import plain
from tests.support.tenant import Tenant

pytestmark = pytest.mark.usefixtures("stays")

_V4, _V5 = "/v4/entity/hotels/customTable", "/v5/entities/hotels/custom-tables"
_RECORDS = _V4 + "/Stays/record"


def _properties(**values: Any) -> dict[str, Any]:
    return {"properties": [{"name": name, "value": value} for name, value in values.items()]}


def _count(tenant: Tenant, table: str) -> int:
    return tenant.json("GET", f"{_V5}/{table}/records/count").json()["count"]


@pytest.fixture
def logs(tenant: Tenant) -> Tenant:
    """A licence with a table `Logs` that generates keys and refers to stays."""
    key = {
        "name": "stay",
        "attribute": "stay",
        "reference": {"tableType": "CUSTOM_TABLE", "tableId": "Stays", "attribute": "stayRef"},
        "onDelete": "CASCADE",
    }
    attributes = [{"name": "stay", "valueType": "STRING"}, {"name": "text", "valueType": "STRING"}]
    made = tenant.json("POST", _V5, {"name": "Logs", "attributes": attributes, "foreignKeys": [key]})
    assert made.status_code == 201, made.text
    return tenant


def test_an_idempotency_key_creates_one_record(logs: Tenant) -> None:
    first, again = (logs.json("POST", f"{_V4}/Logs/record", _properties(text="x"), Idempotency_Key="k") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert isinstance(first.json()["businessKey"], str)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    assert logs.json("GET", first.headers["Location"]).status_code == 200
    assert _count(logs, "Logs") == 1
    other = logs.json("POST", f"{_V4}/Logs/record", _properties(text="y"), Idempotency_Key="k")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency.mismatch")


def test_a_refused_reference_is_replayed_and_changes_nothing(logs: Tenant) -> None:
    sent = [logs.json("POST", f"{_V4}/Logs/record", _properties(stay="none"), Idempotency_Key="bad") for _ in range(2)]
    assert [a.status_code for a in sent] == [400, 400]
    assert sent[1].headers["Idempotency-Replayed"] == "true"
    error = {"field": "properties[0].value", "code": "attribute.value"}
    assert {name: sent[0].json()["errors"][0][name] for name in error} == error
    assert _count(logs, "Logs") == 0


def test_many_clients_creating_one_record_make_one(tenant: Tenant) -> None:
    statuses: list[int] = []

    def send() -> None:
        headers = {"Authorization": f"Bearer {tenant.api_key}"}
        with plain.Client(base_url=tenant.client.base_url, timeout=30, headers=headers) as client:
            for _ in range(5):
                statuses.append(client.post(_RECORDS, json=_properties(stayRef="CROWD", state="OPEN")).status_code)
                statuses.append(client.put(_RECORDS + "/PUT", json=_properties(state="OPEN")).status_code)

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200, 201}
    assert statuses.count(201) == 1
    assert _count(tenant, "Stays") == 3


def test_deleting_what_is_referred_to_while_others_refer_leaves_no_loose_end(logs: Tenant) -> None:
    statuses: list[int] = []

    def send(method: str, path: str, body: Any) -> None:
        headers = {"Authorization": f"Bearer {logs.api_key}"}
        with plain.Client(base_url=logs.client.base_url, timeout=30, headers=headers) as client:
            for _ in range(15):
                statuses.append(client.request(method, path, json=body).status_code)

    stay = (("PUT", _RECORDS + "/RACE", _properties(state="OPEN")), ("DELETE", _RECORDS + "/RACE", None))
    refer = ("POST", f"{_V4}/Logs/record", _properties(stay="RACE"))
    threads = [threading.Thread(target=send, args=step) for step in (*stay, refer, refer, refer)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 201, 204, 400, 404}
    logs.json("DELETE", _RECORDS + "/RACE")
    assert _count(logs, "Logs") == 0


@pytest.mark.parametrize("key", ["a=b", "a/b", "a+b@c;d", "é%20ü", "  x", "'\"--", "count", "record", "?&#"])
def test_keys_of_any_characters_make_the_round(key: str, tenant: Tenant) -> None:
    path = f"{_RECORDS}/{quote(key, safe='')}"
    put = tenant.json("PUT", path, _properties(state="OPEN"))
    assert (put.status_code, put.json()) == (200, {"businessKey": key})
    read = {p["name"]: p["value"] for p in tenant.json("GET", path).json()["properties"]}
    assert read["stayRef"] == key
    found = tenant.json("GET", f"{_RECORDS}?searchField=stayRef&searchValue={quote(key, safe='')}").json()["records"]
    assert len(found) == 1
    assert tenant.json("DELETE", path).status_code == 204
    assert tenant.json("DELETE", path).status_code == 404


def test_what_was_read_can_be_written_back(tenant: Tenant) -> None:
    before = tenant.json("GET", _RECORDS + "/ST-00001")
    assert tenant.json("PUT", _RECORDS + "/ST-00001", before.json()).status_code == 200
    assert tenant.json("POST", _RECORDS, before.json()).status_code == 200
    assert tenant.json("GET", _RECORDS + "/ST-00001").headers["ETag"] == before.headers["ETag"]


def test_what_an_event_led_to_can_be_written_back(tenant: Tenant) -> None:
    # Receivers of events read a record by its technical id, and write back all that they have read, the business key too.
    tenant.json("PUT", _RECORDS + "/ST-00002", _properties(state="OPEN"))
    before = tenant.json("GET", _RECORDS + "/ST-00002")
    technical_id = next(p["value"] for p in before.json()["properties"] if p["name"] == "id")
    changed = [p | ({"value": "PAID"} if p["name"] == "state" else {}) for p in before.json()["properties"]]
    for address in (technical_id, f"id={technical_id}"):
        put = tenant.json("PUT", f"{_RECORDS}/{address}", {"properties": changed})
        assert (put.status_code, put.json()) == (200, {"businessKey": "ST-00002"}), put.text
    kept = tenant.json("GET", _RECORDS + "/ST-00002").json()
    other = tenant.json("PUT", f"{_RECORDS}/{technical_id}", _properties(stayRef="ST-00003", state="OPEN"))
    assert (other.status_code, other.json()["code"]) == (400, "key.mismatch")
    assert tenant.json("GET", _RECORDS + "/ST-00002").json() == kept
    assert {p["name"]: p["value"] for p in kept["properties"]}["state"] == "PAID"


def test_the_modules_have_rights_of_their_own(tenants: Any, tenant: Tenant) -> None:
    key = tenants.user(tenant.licence, "reader", rights={"custom-data": "r"}).api_key
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    assert tenant.call("GET", _RECORDS, headers=headers).status_code == 200
    for method, path in (("PUT", _RECORDS + "/A"), ("GET", _V4), ("POST", _V5)):
        refused = tenant.call(method, path, content="{}", headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "right.missing")


def test_a_number_that_records_cannot_follow_is_refused(tenant: Tenant) -> None:
    """A LONG may be referred to by an INTEGER, as long as 32 bits have room for it."""
    guests, profile = "/v5/entities/hotels/profile-tables/Guests", "/profiles/emailAddress=ann@example.com"
    number = {"type": "CUSTOM", "name": "number", "valueType": "LONG", "unique": True}
    added = tenant.json(
        "POST", f"{guests}/change-requests", {"operations": [{"operation": "addAttribute", "attribute": number}]}
    )
    assert added.status_code == 200, added.text
    reference = {"tableType": "PROFILE_TABLE", "tableId": "Guests", "attribute": "number"}
    key = {"name": "guest", "attribute": "guest", "reference": reference, "onDelete": "CASCADE"}
    table = {"name": "Visits", "attributes": [{"name": "guest", "valueType": "INTEGER"}], "foreignKeys": [key]}
    assert tenant.json("POST", _V5, table).status_code == 201
    assert tenant.json("PATCH", guests + profile, {"attributes": {"number": 5}}).status_code == 200
    assert tenant.json("POST", f"{_V4}/Visits/record", _properties(guest=5)).status_code == 201
    before = tenant.state()
    for headers in ({}, {"Idempotency_Key": "k"}):
        refused = tenant.json("PATCH", guests + profile, {"attributes": {"number": 2**31}}, **headers)
        assert (refused.status_code, refused.json()["code"]) == (400, "attribute.value"), refused.text
        assert "32 bits" in refused.json()["message"]
        assert "Idempotency_Key" in headers or tenant.state() == before  # the answer to a key is kept
    assert tenant.json("PATCH", guests + profile, {"attributes": {"number": 2**31 - 1}}).status_code == 200
    (visit,) = tenant.json("GET", f"{_V5}/Visits/records").json()["records"]
    assert visit["attributes"]["guest"] == 2**31 - 1
