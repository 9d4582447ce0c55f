"""Calls that are made only in a certain state: `If-Match` and `If-None-Match` on profiles and records."""

from typing import Any

import httpx
import psycopg
import pytest

from tests.support.guests import GUEST, TABLE, add
from tests.support.tenant import Tenant
from tests.support.tenants import Tenants


def test_etags_guard_changes(tenant: Tenant) -> None:
    tag = tenant.json("GET", GUEST).headers["ETag"]
    assert tenant.call("GET", GUEST, headers={"If-None-Match": tag}).status_code == 304
    assert tenant.json("PUT", GUEST, {"attributes": [{"name": "points", "value": 1}]}, If_Match=tag).status_code == 200
    before = tenant.state()
    for method, body in (("PUT", {"attributes": [{"name": "points", "value": 2}]}), ("DELETE", None)):
        answer = tenant.json(method, GUEST, body, If_Match=tag)
        assert (answer.status_code, answer.json()["code"]) == (412, "etag.mismatch")
    assert (
        tenant.json("PUT", TABLE + "/profile/emailAddress=none@example.com", {"attributes": []}, If_Match="*").status_code
        == 412
    )
    assert tenant.state() == before


@pytest.mark.parametrize("path", [GUEST, TABLE, "/v4/entity/hotels/customTable/Stays"])
def test_a_cache_that_has_one_format_is_not_told_that_it_has_the_other(
    path: str, tenants: Tenants, client: httpx.Client
) -> None:
    tenant = tenants.create(client, unlimited=False)
    json, xml = ({"Accept": "application/json"}, {"Accept": "application/xml"})
    tags = {accept["Accept"]: tenant.call("GET", path, headers=accept).headers["ETag"] for accept in (json, xml)}
    for has, wants, status in ((json, json, 304), (xml, xml, 304), (json, xml, 200), (xml, json, 200)):
        answer = tenant.call("GET", path, headers=wants | {"If-None-Match": tags[has["Accept"]]})
        assert answer.status_code == status
        assert (answer.headers["ETag"], answer.headers["Vary"]) == (tags[wants["Accept"]], "Accept, Accept-Encoding")
        assert status == 304 or answer.headers["Content-Type"].startswith(wants["Accept"])


def test_a_change_names_the_state_in_whichever_format_it_was_read(tenant: Tenant) -> None:
    for points, unquoted in enumerate((False, True)):
        tag = tenant.call("GET", GUEST, headers={"Accept": "application/xml"}).headers["ETag"]
        change = {"attributes": [{"name": "points", "value": points}]}
        for status in (200, 412):
            answer = tenant.json("PUT", GUEST, change, If_Match=tag.strip('"') if unquoted else tag)
            assert answer.status_code == status, answer.text


def test_the_tag_of_another_profile_of_the_same_moment_is_none_of_this_one(
    tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    new = [{"name": "emailAddress", "value": "twin@example.com"}, {"name": "lastName", "value": "Twin"}]
    assert add(tenant, {"attributes": new}).status_code == 201
    query = (
        "SELECT l.id, t.id FROM tabellion.licence l JOIN tabellion.profile_table t ON t.licence_id = l.id WHERE l.name = %s"
    )
    found = database.execute(query, (tenant.licence,)).fetchone()
    assert found is not None
    # As an import leaves them.
    database.execute(f"UPDATE l{found[0]}.p{found[1]} SET updated_at = '2027-03-01 09:00Z'")
    own = tenant.json("GET", GUEST).headers["ETag"]
    twin = tenant.json("GET", TABLE + "/profile/emailAddress=twin@example.com").headers["ETag"]
    before = tenant.state()
    changed = {"attributes": [{"name": "points", "value": 2}]}
    for method, body in (("PUT", changed), ("DELETE", None)):
        answer = tenant.json(method, GUEST, body, If_Match=twin)
        assert (answer.status_code, answer.json()["code"]) == (412, "etag.mismatch")
    huge = f'"{"f" * 20}-{own.split("-", 1)[1]}'
    assert tenant.json("PUT", GUEST, changed, If_Match=huge).status_code == 412
    assert tenant.state() == before
    assert tenant.json("PUT", GUEST, changed, If_Match=f"{twin}, {own}").status_code == 200


def test_what_is_answered_with_a_tag_is_said_to_be(tenant: Tenant) -> None:
    document = tenant.call("GET", "/openapi.json").json()
    named = {o["operationId"]: o for path in document["paths"].values() for o in path.values()}
    changes: dict[str, tuple[str, str, Any]] = {
        "structure.v5.change": (
            "POST",
            "/v5/entities/hotels/profile-tables/Guests/change-requests",
            {
                "operations": [
                    {"operation": "addAttribute", "attribute": {"type": "CUSTOM", "name": "floor", "valueType": "INTEGER"}}
                ]
            },
        ),
        "campaigns.v5.limits.put": ("PUT", "/v5/delivery-limits", {}),
        "profiles.v4.put": ("PUT", GUEST, {"attributes": [{"name": "points", "value": 2}]}),
    }
    for call, (method, path, body) in changes.items():
        answer = tenant.json(method, path, body)
        assert answer.status_code == 200, answer.text
        assert ("ETag" in answer.headers) == ("ETag" in named[call]["responses"]["200"]["headers"]), call


def test_a_tag_that_was_made_weak_on_its_way_is_known(tenant: Tenant) -> None:
    tag = tenant.json("GET", GUEST).headers["ETag"]
    for header in (f"W/{tag}", f'"x", W/{tag}'):
        assert tenant.call("GET", GUEST, headers={"If-None-Match": header}).status_code == 304
    weak = tenant.json("PUT", GUEST, {"attributes": [{"name": "points", "value": 3}]}, If_Match=f"W/{tag}")
    assert (weak.status_code, weak.json()["code"]) == (412, "etag.mismatch")
    assert "compresses answers on their way" in weak.json()["message"]


@pytest.mark.usefixtures("stays")
def test_if_none_match_makes_a_call_that_only_creates(tenant: Tenant) -> None:
    new = [{"name": "emailAddress", "value": "new@example.com"}, {"name": "lastName", "value": "New"}]
    made = add(tenant, {"attributes": new}, If_None_Match="*")
    assert made.status_code == 201
    before = tenant.state()
    key = {"key": {"emailAddress": "new@example.com"}, "attributes": {"lastName": "Other"}}
    last = {"attributes": [{"name": "lastName", "value": "Other"}]}
    for method, path, body in (
        ("POST", TABLE + "/profile", {"attributes": [new[0], *last["attributes"]]}),
        ("PUT", TABLE + "/profile/emailAddress=new@example.com", last),
        ("PUT", "/v5/entities/hotels/profile-tables/Guests/profiles", key),
        ("PUT", "/v4/entity/hotels/customTable/Stays/record/ST-00001", {"properties": [{"name": "state", "value": "PAID"}]}),
    ):
        again = tenant.json(method, path, body, If_None_Match="*")
        assert (again.status_code, again.json()["code"]) == (412, "etag.mismatch"), again.text
        assert "exists already" in again.json()["message"]
    assert tenant.state() == before
