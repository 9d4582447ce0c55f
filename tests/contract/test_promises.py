"""What the webservices are for, a test for each promise; the edges of each have tests of their own."""

from typing import Any

import httpx
import pytest
from lxml import etree

from tabellion.features import licences as use
from tabellion.kit.clock import utc_now
from tabellion.kit.problem import Problem
from tests.support.campaign_cases import CAMPAIGNS_V5
from tests.support.tenant import Tenant
from tests.support.tenants import Tenants

TABLE = "/v4/entity/hotels/table/Guests"
PROFILES = f"{TABLE}/profile"
ANN = f"{PROFILES}/emailAddress=ann@example.com"
AS_XML = {"Accept": "application/xml"}


def attributes(**values: Any) -> dict[str, Any]:
    return {"attributes": [{"name": name, "value": value} for name, value in values.items()]}


def values(tenant: Tenant, path: str) -> dict[str, Any]:
    found = tenant.json("GET", path)
    assert found.status_code == 200, found.text
    return {each["name"]: each.get("value") for each in found.json()["attributes"]}


def test_get_retrieves_a_representation_and_the_structure_by_which_other_calls_are_written(tenant: Tenant) -> None:
    structure = tenant.json("GET", TABLE).json()
    before = tenant.state()
    assert values(tenant, ANN)["lastName"] == "Vos"
    assert tenant.state() == before

    samples = {"EmailAddress": "bo@example.com", "String": "Bo"}
    wanted = {name: samples[each["valueType"]] for name, each in structure["attributes"].items() if each["mandatory"]}
    made = tenant.json("POST", PROFILES, attributes(**wanted))
    assert made.status_code == 201, made.text
    assert values(tenant, f"{PROFILES}/{made.json()['profileId']}").items() >= wanted.items()


def test_post_creates_a_resource_in_a_collection_and_can_also_update(tenant: Tenant) -> None:
    body = attributes(emailAddress="bo@example.com", lastName="Peeters")
    created = tenant.json("POST", PROFILES, body)
    updated = tenant.json("POST", PROFILES, attributes(emailAddress="bo@example.com", lastName="Maes"))

    assert (created.status_code, updated.status_code) == (201, 200)
    assert created.headers["Location"].endswith(f"/{created.json()['profileId']}")
    assert created.json() == updated.json()
    assert values(tenant, f"{PROFILES}/emailAddress=bo@example.com")["lastName"] == "Maes"


def test_put_replaces_what_the_body_says_or_creates_what_does_not_exist_yet(tenant: Tenant) -> None:
    replaced = tenant.json("PUT", ANN, attributes(lastName="Maes"))
    created = tenant.json("PUT", f"{PROFILES}/emailAddress=bo@example.com", attributes(lastName="Peeters"))

    assert (replaced.status_code, created.status_code) == (200, 201)
    assert values(tenant, ANN)["lastName"] == "Maes"
    assert values(tenant, f"{PROFILES}/{created.json()['profileId']}")["emailAddress"] == "bo@example.com"


def test_delete_takes_a_precise_element_or_a_broader_one(tenant: Tenant) -> None:
    newsletter = f"{ANN}/subscription/Newsletter"
    assert tenant.call("POST", newsletter).status_code == 200
    mail = f"/v4/entity/hotels/mail/{tenant.campaign()}"

    assert tenant.call("DELETE", newsletter).status_code == 204
    found = tenant.json("GET", ANN).json()
    assert {each["name"]: each["subscribe"] for each in found["subscriptions"]}["Newsletter"] is False
    for broader in (ANN, mail):
        assert tenant.call("DELETE", broader).status_code == 204
        assert tenant.json("GET", broader).status_code == 404


def test_json_is_everywhere_and_xml_is_deprecated_where_it_still_is(tenant: Tenant) -> None:
    as_json, as_xml = tenant.json("GET", ANN), tenant.call("GET", ANN, headers=AS_XML)
    assert as_json.json()["profileId"] == int(etree.fromstring(as_xml.content).findtext("profileId") or 0)
    # RFC 9745.
    assert as_xml.headers["Deprecation"].startswith("@")
    assert "Deprecation" not in as_json.headers

    newer = next(case for case in CAMPAIGNS_V5 if case.method == "GET" and "{" not in case.path)
    assert tenant.json("GET", newer.path).status_code == 200
    assert tenant.call("GET", newer.path, headers=AS_XML).status_code == 406
    sent = {"Content-Type": "application/xml"}
    one = "/v5/entities/hotels/profile-tables/Guests/profiles/emailAddress=ann@example.com"
    assert tenant.call("PATCH", one, content="<profile/>", headers=sent).status_code == 415


def test_usage_is_limited_per_licence(tenants: Tenants, client: httpx.Client) -> None:
    tenant = tenants.create(client, table=False)

    async def classic(db: Any) -> None:
        usual = {"max_users": 5, "calls_per_minute": 60, "max_concurrent": 5, "bulk_per_day": 12, "on_excess": "REJECT"}
        await use.change_limits(db, tenant.licence, usual, utc_now())

    tenants.run(classic)
    for number in range(2, 6):
        tenants.user(tenant.licence, f"user{number}")
    with pytest.raises(Problem, match="5"):
        tenants.user(tenant.licence, "sixth")

    first = tenant.json("GET", "/usage/v5/usage")
    told = {each["name"]: each["limit"] for each in first.json()["limits"]}
    assert set(told.values()) >= {5, 60, 12, 100 * 1024 * 1024}
    answers = [tenant.json("GET", "/v5/entities") for _ in range(60)]
    assert [answer.status_code for answer in answers] == [200] * 59 + [429]
    assert int(answers[-1].headers["Retry-After"]) <= 60
