"""Two licences with the same names: every route, every id swapped, and nothing of the other is seen or touched."""

import json

import pytest

from tabellion.features.webhooks.examples import TABLE_WEBHOOK
from tabellion.server.calls import CALLS
from tests.support.tenant import Tenant

SECRET = "Geheim-Maier"


@pytest.fixture
def victim(other_tenant: Tenant) -> Tenant:
    """A licence whose profile and record carry a mark that must never leave it."""
    body = {"key": {"emailAddress": "ann@example.com"}, "attributes": {"lastName": SECRET, "cardNumber": SECRET}}
    answer = other_tenant.json("PUT", "/v5/entities/hotels/profile-tables/Guests/profiles", body)
    assert answer.status_code == 200, answer.text
    record = {"key": {"stayRef": SECRET}, "attributes": {"cardNumber": SECRET}}
    answer = other_tenant.json("PUT", "/v5/entities/hotels/custom-tables/Stays/records", record)
    assert answer.status_code == 201, answer.text
    return other_tenant


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.id)
@pytest.mark.parametrize("accept", ["application/json", "application/xml", "application/problem+json"])
def test_foreign_ids_do_not_exist(call, accept, tenant: Tenant, victim: Tenant) -> None:
    custom = "customTable" in call.path or "custom-tables" in call.path
    table_id = victim.json("GET", "/v4/entity/hotels/table").json()["profileTableNames"][0]["id"]
    if custom:
        table_id = victim.json("GET", "/v4/entity/hotels/customTable").json()["customTables"][0]["id"]
    profile = victim.json("GET", "/v4/entity/hotels/table/Guests/profile/emailAddress=ann@example.com").json()
    hook = victim.json("POST", "/v4/entity/hotels/table/Guests/webhookSubscription", TABLE_WEBHOOK).json()["id"]
    action = victim.json("POST", "/v5/entities/hotels/custom-actions", {"name": SECRET}).json()["id"]
    file = {"inputFile": ("guests.csv", b"emailAddress,lastName\n", "text/csv")}
    bearer = {"Authorization": f"Bearer {victim.api_key}"}
    import_ = victim.client.post("/v4/entity/hotels/table/Guests/import", files=file, headers=bearer).json()["id"]
    campaign = victim.campaign(SECRET)
    saved = {"name": SECRET, "targetTable": "Guests", "filter": "points > 1"}
    audience = victim.json("POST", "/v5/entities/hotels/audiences", saved).json()["id"]
    others = {"c": campaign, "w": hook, "id": action, "day": "2027-03-01", "i": import_, "language": "default"}
    others["a"] = "ann@example.com"
    others["audience"] = audience
    before = victim.state()
    example = json.dumps(call.body_example) if call.body_example is not None else ""

    for entity in ("hotels", "-", "HOTELS", victim.licence):
        for reference in (str(profile["profileId"]), f"cardNumber={SECRET}", "emailAddress=ann@example.com"):
            path = call.path.format(e=entity, t=table_id, p=reference, r=reference, s="Newsletter", **others)
            query = f"?licence={tenant.licence}&login={tenant.login}&pwd={tenant.password}&table={table_id}&id={profile['profileId']}"
            headers = {"Accept": accept, "Content-Type": "application/json"}
            answer = tenant.call(call.method, path + query, content=example, headers=headers)
            if SECRET not in reference:
                assert SECRET.encode() not in answer.content
            foreign = any(placeholder in call.path for placeholder in ("{t}", "{w}", "{id}", "{i}", "{c}", "{audience}"))
            if foreign and entity in {"hotels", "-", "HOTELS"} and answer.status_code not in {406, 415}:
                assert answer.status_code in {400, 404}, answer.text

    assert victim.state() == before


def test_an_entity_of_another_licence_does_not_exist(tenant: Tenant, victim: Tenant) -> None:
    answer = tenant.json("GET", f"/v4/entity/{victim.licence}-only/table")

    assert answer.status_code == 404
    assert answer.json()["code"] == "entity.unknown"


def test_an_entity_of_ones_own_licence_may_be_forbidden(tenant: Tenant, limited_user_key: str) -> None:
    answer = tenant.call("GET", "/v4/entity/spas/table", headers={"Authorization": f"Bearer {limited_user_key}"})

    assert answer.status_code == 403
    assert answer.json()["code"] == "entity.forbidden"


def test_a_table_of_another_licence_cannot_be_referred_to_or_listened_to(tenant: Tenant, victim: Tenant) -> None:
    before = victim.state()
    profiles = victim.json("GET", "/v4/entity/hotels/table").json()["profileTableNames"][0]["id"]
    records = victim.json("GET", "/v4/entity/hotels/customTable").json()["customTables"][0]["id"]
    for type_, table_id, attribute in (("PROFILE_TABLE", profiles, "cardNumber"), ("CUSTOM_TABLE", records, "stayRef")):
        reference = {"tableType": type_, "tableId": table_id, "attribute": attribute}
        key = {"name": "k", "attribute": "x", "reference": reference, "onDelete": "CASCADE"}
        body = {"name": "T", "attributes": [{"name": "x", "valueType": "STRING"}], "foreignKeys": [key]}
        refused = tenant.json("POST", "/v5/entities/hotels/custom-tables", body)
        assert (refused.status_code, refused.json()["code"]) == (400, "table.unknown")
        hook = {"on": type_, "onElementId": table_id, "eventType": "CREATE", "targetUrl": "https://8.8.8.8/x"}
        refused = tenant.json("POST", "/v4/entity/hotels/webhookSubscription", hook)
        assert (refused.status_code, refused.json()["code"]) == (400, "table.unknown")
    assert victim.state() == before
