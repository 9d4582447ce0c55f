"""Mistakes that integrators make, and that would pass for something else: they are refused where they stand."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.support.tenant import Tenant

pytestmark = pytest.mark.usefixtures("stays")

PROFILES = "/v5/entities/hotels/profile-tables/Guests/profiles"
RECORDS = "/v5/entities/hotels/custom-tables/Stays/records"
ANN = PROFILES + "/emailAddress=ann@example.com"
STAY = RECORDS + "/ST-00001"
GUESTS = "/v5/entities/hotels/profile-tables/Guests/change-requests"
STAYS = "/v5/entities/hotels/custom-tables/Stays/change-requests"

CUSTOM = "/v5/entities/hotels/custom-tables"
REF = [{"name": "ref", "valueType": "STRING"}]
EXPORT, KEPT, ETLS = (f"/v5/entities/hotels/{name}" for name in ("export-executions", "exports", "etls"))


def _new(attribute: dict[str, Any]) -> dict[str, Any]:
    return {"operations": [{"operation": "addAttribute", "attribute": attribute}]}


def _change(attribute: str, changes: dict[str, Any]) -> dict[str, Any]:
    return {"operations": [{"operation": "updateAttribute", "name": attribute, "changes": changes}]}


@pytest.mark.parametrize(
    ("method", "path", "body", "member"),
    [
        ("PATCH", ANN, {"lastName": "Maes"}, "lastName"),
        ("PATCH", ANN, {"profileId": 7, "attribute": {"lastName": "Maes"}}, "attribute"),
        ("PATCH", ANN, {"subscription": {"Newsletter": True}, "attributes": {}}, "subscription"),
        ("PUT", PROFILES, {"key": {"emailAddress": "ann@example.com"}, "Attributes": {"lastName": "Maes"}}, "Attributes"),
        ("PATCH", STAY, {"state": "PAID"}, "state"),
        ("PUT", STAY, {"properties": [{"name": "state", "value": "PAID"}]}, "properties"),
        ("PUT", RECORDS, {"key": {"stayRef": "ST-00001"}, "state": "PAID"}, "state"),
        ("POST", RECORDS, {"stayRef": "ST-00002"}, "stayRef"),
        ("POST", GUESTS, _change("cardNumber", {"mandatry": True}), "operations[0].changes.mandatry"),
        ("POST", STAYS, _change("state", {"Indexed": True}), "operations[0].changes.Indexed"),
        ("POST", EXPORT, {"tableId": "Guests", "filtre": "points > 1"}, "filtre"),
        (
            "POST",
            "/v5/suppressions",
            {"suppressions": [{"address": "x@example.com", "reson": "SPAM"}]},
            "suppressions[0].reson",
        ),
        ("POST", EXPORT, {"tableId": "Guests", "atributes": ["lastName"]}, "atributes"),
        ("POST", EXPORT, {"tableId": "Guests", "protectFormulas": True}, "protectFormulas"),
        ("POST", KEPT, {"name": "all", "tableId": "Guests", "incremental": True, "filters": "points > 1"}, "filters"),
    ],
)
def test_a_body_of_misspelt_members_is_no_success(method: str, path: str, body: Any, member: str, tenant: Tenant) -> None:
    before = tenant.state()
    answer = tenant.json(method, path, body)
    assert answer.status_code == 400
    assert [(e["field"], e["code"]) for e in answer.json()["errors"]] == [(member, "member.unknown")]
    assert tenant.state() == before


@pytest.mark.parametrize(
    ("method", "path", "body", "member"),
    [
        ("PATCH", ANN, {"attributes": {"lastName": "Maes"}, "subscription": {"Newsletter": False}}, "subscription"),
        ("PATCH", STAY, {"attributes": {"state": "PAID"}, "extra": 1}, "extra"),
        ("POST", GUESTS, _new({"name": "code", "valueType": "STRING", "uniq": True}), "operations[0].attribute.uniq"),
        (
            "POST",
            GUESTS,
            _new({"name": "n", "valueType": "INTEGER", "valueRestriction": {"minimum": 0}}),
            "operations[0].attribute.valueRestriction.minimum",
        ),
        ("POST", CUSTOM, {"name": "Orders", "primaryKey": "ref", "attributes": REF}, "primaryKey"),
        ("POST", CUSTOM, {"name": "Orders", "attributes": [{**REF[0], "required": True}]}, "attributes[0].required"),
        (
            "POST",
            ETLS,
            {"name": "e", "files": [{"load": {"tableId": "Guests", "keyAttribut": "x"}}]},
            "files[0].load.keyAttribut",
        ),
        ("POST", "/v4/entity/hotels/table/Guests/profile/1/subscription/Newsletter", {"source": "fair"}, "source"),
    ],
)
def test_what_integrations_of_old_send_besides_is_told_of_or_refused_as_they_prefer(
    method: str, path: str, body: Any, member: str, tenant: Tenant
) -> None:
    before = tenant.state()
    refused = tenant.json(method, path, body, Prefer="respond-async, handling=strict")
    assert (refused.status_code, refused.headers.get("X-Ignored-Members")) == (400, None)
    assert [(e["field"], e["code"]) for e in refused.json()["errors"]] == [(member, "member.unknown")]
    assert tenant.state() == before

    taken = tenant.json(method, path, body)
    assert (taken.status_code // 100, taken.headers["X-Ignored-Members"]) == (2, member)


def test_a_target_takes_nothing_that_it_does_not_know(tenant: Tenant) -> None:
    one = f"/v4/entity/hotels/mail/{tenant.campaign()}"
    saved = tenant.json("PUT", f"{one}/target", {"subscription": "Newsletter", "filter": "points > 3"})
    assert saved.status_code == 200, saved.text
    before = tenant.state()
    for body, member, meant in (
        ({"subscription": "Newsletter", "excludes": "points < 3"}, "excludes", "exclude"),
        ({"subscription": "Newsletter", "Exclude": "points < 3"}, "Exclude", "exclude"),
        ({"filter": "points > 3", "segmentation": [{"name": "Vip"}]}, "segmentation", "segmentations"),
    ):
        refused = tenant.json("PUT", f"{one}/target", body)
        assert [(e["field"], e["code"]) for e in refused.json()["errors"]] == [(member, "member.unknown")], refused.text
        assert refused.json()["message"].endswith(f"did you mean '{meant}'?")
    wrong = {"subscription": "Newslettr", "filter": "pionts > 3", "audience": "ghosts", "excludeAudiences": ["Belgians"]}
    refused = tenant.json("PUT", f"{one}/target", wrong).json()
    assert [each["field"] for each in refused["errors"]] == ["audience", "excludeAudiences[0]", "subscription", "filter"]
    xml = "<mailTarget><subscription>Newsletter</subscription><excludes>points &lt; 3</excludes></mailTarget>"
    refused = tenant.call("PUT", f"{one}/target", content=xml, headers={"Content-Type": "application/xml"})
    assert (refused.status_code, refused.json()["code"]) == (400, "member.unknown")
    assert tenant.state() == before

    read = tenant.json("GET", f"{one}/target").json()
    assert read["estimatedCount"] == 0
    assert tenant.json("PUT", f"{one}/target", read).status_code == 200
    assert tenant.json("GET", f"{one}/target").json() == read


@pytest.mark.parametrize(
    ("path", "body", "advice"),
    [
        (PROFILES, {"key": {}, "subscription": {}}, "did you mean 'subscriptions'?"),
        (EXPORT, {"tableId": "Guests", "protectFormulas": True}, "it belongs into 'format'"),
        (CUSTOM, {"name": "Orders", "primaryKey": "ref", "attributes": REF}, "did you mean 'primaryKeyAttribute'?"),
        (CUSTOM, {"name": "Orders", "attributes": [{**REF[0], "required": True}]}, "it knows name, valueType, mandatory"),
    ],
)
def test_who_misspells_a_member_hears_what_was_meant(path: str, body: Any, advice: str, tenant: Tenant) -> None:
    method = "PUT" if path == PROFILES else "POST"
    assert advice in tenant.json(method, path, body, Prefer="handling=strict").json()["message"]


def test_a_document_of_nothing_but_unknown_members_is_answered_at_once(tenant: Tenant) -> None:
    body = {f"subscription{number}": 1 for number in range(50_000)}
    refused = tenant.json("PATCH", ANN, body, Prefer="handling=strict")
    assert (refused.status_code, len(refused.json()["errors"])) == (400, 20)


def test_what_was_read_may_be_sent_back(tenant: Tenant) -> None:
    made = tenant.json("POST", KEPT, {"name": "all", "tableId": "Guests"}).json()["id"]
    read = tenant.json("GET", f"{KEPT}/{made}").json()
    assert tenant.json("PATCH", f"{KEPT}/{made}", read).json() == read | {"attributes": None}
    assert tenant.json("POST", KEPT, read | {"name": "again"}).status_code == 201
    for one, write in ((ANN, "PATCH"), (STAY, "PATCH"), (STAY, "PUT")):
        assert tenant.json(write, one, tenant.json("GET", one).json()).status_code == 200


def test_a_technical_attribute_that_identifies_nobody_is_no_unknown_profile(tenant: Tenant) -> None:
    refused = tenant.call("GET", f"{PROFILES}/creationMoment=2027-03-01T08:15:00Z")
    assert (refused.status_code, refused.json()["code"]) == (400, "key.notUnique")


def test_who_addresses_by_an_attribute_that_identifies_nobody_hears_which_one(tenant: Tenant) -> None:
    one = f"/v4/entity/hotels/mail/{tenant.campaign()}/profile"
    for path, field in (
        (f"{PROFILES}/LASTNAME=Vos", "lastName"),
        (f"{PROFILES}/creationMoment=2027-03-01", "creationMoment"),
        (f"{STAY.rpartition('/')[0]}/price=1", "price"),
        (f"{one}/lastName=Vos/interaction", "lastName"),
    ):
        (fault,) = tenant.call("GET", path).json()["errors"]
        assert (fault["field"], fault["code"]) == (field, "key.notUnique")


def test_a_misspelt_name_is_told_which_is_meant(tenant: Tenant) -> None:
    tenant.campaign()
    saved = {"name": "Loyal guests", "targetTable": "Guests", "filter": "points > 0"}
    assert tenant.json("POST", "/v5/entities/hotels/audiences", saved).status_code == 201
    to = {"tableType": "PROFILE_TABLE", "tableId": "Gests", "attribute": "cardNumber"}
    key = {"name": "k", "attribute": "price", "reference": to, "onDelete": "CASCADE"}
    subscription = {"subscriptions": [{"name": "Newslettr", "subscribe": True}]}
    for method, path, body, message in (
        ("GET", "/v5/entities/hotel/profile-tables", None, "there is no entity 'hotel'; did you mean 'hotels'?"),
        ("GET", "/v4/entity/hotels/mail/SpringOfer", None, "has no campaign 'SpringOfer'; did you mean 'SpringOffer'?"),
        ("GET", "/v5/entities/hotels/audiences/Loyal", None, "has no audience 'Loyal'; did you mean 'Loyal guests'?"),
        ("POST", STAYS, {"operations": [{"operation": "addForeignKey", "foreignKey": key}]},
         "has no table 'Gests' of the type PROFILE_TABLE; did you mean 'Guests'?"),
        ("PUT", "/v4/entity/hotels/table/Guests/profile/emailAddress=ann@example.com", subscription, "did you mean 'Newsletter'?"),
        ("POST", "/v4/entity/hotels/webhookSubscription", {"on": "PROFILE_TABLE", "onElementId": "Guests", "eventType": "CREATED",
         "targetUrl": "https://hooks.example.com/"}, "; did you mean 'CREATE'?"),
    ):  # fmt: skip
        answer = tenant.json(method, path, body).json()
        assert any(said.endswith(message) for said in (answer["message"], *(e["message"] for e in answer["errors"]))), answer


def test_a_custom_action_hears_of_misspelt_members(tenant: Tenant) -> None:
    actions = "/v5/entities/hotels/custom-actions"
    number = tenant.json("POST", actions, {"name": "print-voucher"}).json()["id"]
    refused = tenant.json("PATCH", f"{actions}/{number}", {"active": False})
    assert (refused.status_code, refused.json()["code"]) == (400, "member.unknown")
    assert tenant.json("PATCH", f"{actions}/{number}", {}).status_code == 200


def test_what_was_read_and_an_empty_body_change_nothing(tenant: Tenant) -> None:
    for path, body in ((ANN, {}), (STAY, {}), (ANN, {"profileId": 7}), (STAY, {"id": 1, "businessKey": "x"})):
        assert tenant.json("PATCH", path, body).status_code == 200
    for path, name, as_it_is in (
        (GUESTS, "cardNumber", {"name": "cardNumber", "type": "CUSTOM", "valueType": "STRING", "multiValued": False}),
        (STAYS, "state", {"name": "state", "valueType": "STRING"}),
    ):
        for changes in ({}, as_it_is):
            assert tenant.json("POST", path, _change(name, changes)).status_code == 200
    told = tenant.json("PATCH", ANN, {"attributes": {"lastName": "Maes"}, "profileId": 1})
    assert (told.status_code, told.headers["X-Ignored-Members"]) == (200, "profileId")


@pytest.mark.parametrize(
    "query",
    [
        'filter=lastName = "Vos"&filter=lastName = "Maes"',
        "sort=lastName&sort=-lastName",
        "limit=1&limit=2",
        "cursor=abc&cursor=abd",
    ],
)
@pytest.mark.parametrize("path", [PROFILES, PROFILES + "/count", RECORDS, RECORDS + "/count"])
def test_a_parameter_of_a_list_stands_there_once(path: str, query: str, tenant: Tenant) -> None:
    refused = tenant.call("GET", f"{path}?{quote(query, safe='=&')}")
    name = query.partition("=")[0]
    assert refused.status_code == 400
    assert [(e["field"], e["code"]) for e in refused.json()["errors"]] == [(name, "parameter.invalid")]


def test_a_parameter_that_stands_there_twice_alike_or_empty_is_one(tenant: Tenant) -> None:
    nobody = quote('lastName = "Nobody"')
    for query in (
        f"filter={nobody}&filter={nobody}",
        f"filter=&filter={nobody}",
        f"limit=1&filter={nobody}&limit=1&sort=&sort=",
    ):
        answer = tenant.call("GET", f"{PROFILES}?{query}")
        assert (answer.status_code, answer.json()["profiles"]) == (200, [])


@pytest.mark.parametrize("name", ["pageSize", "offset", "Filter", "search"])
def test_an_unknown_parameter_hears_which_ones_there_are(name: str, tenant: Tenant) -> None:
    refused = tenant.call("GET", f"{PROFILES}?{name}=10")
    assert (refused.status_code, refused.json()["code"]) == (400, "attribute.unknown")
    assert "it knows filter, sort, limit, cursor" in refused.json()["message"]


def test_profiles_are_counted_as_they_are_listed(tenant: Tenant) -> None:
    for number in range(3):
        body = {"key": {"emailAddress": f"g{number}@example.com"}, "attributes": {"lastName": "Maes", "points": number}}
        assert tenant.json("PUT", PROFILES, body).status_code == 201
    counts = {"": 4, "lastName=Maes": 3, "filter=points%20%3E%200": 2, "filter=points%20%3E%200&points=2": 1, "points=9": 0}
    for query, expected in counts.items():
        answer = tenant.call("GET", f"{PROFILES}/count?{query}")
        assert (answer.status_code, answer.json()) == (200, {"count": expected})
        assert len(tenant.call("GET", f"{PROFILES}?{query}").json()["profiles"]) == expected
    assert tenant.call("GET", f"{PROFILES}/count?filter=pints%20%3E%200").json()["code"] == "attribute.unknown"
    assert tenant.json("GET", f"{PROFILES}/count", Accept="application/xml").status_code == 406


def test_each_wrong_value_of_a_list_is_told_where_it_stands(tenant: Tenant) -> None:
    wrong = ["SPA", "SKI", "GOLF", "ZOO", {}]
    v4 = [{"name": "points", "value": "x"}, {"name": "interests", "values": wrong}]
    refused = tenant.json("PUT", "/v4/entity/hotels/table/Guests/profile/emailAddress=ann@example.com", {"attributes": v4})
    assert [(each["field"], each["code"]) for each in refused.json()["errors"]] == [
        ("attributes[0].value", "attribute.type"),
        ("attributes[1].values[1]", "attribute.value"),
        ("attributes[1].values[3]", "attribute.value"),
        ("attributes[1].values[4]", "attribute.type"),
    ]
    refused = tenant.json("PATCH", ANN, {"attributes": {"interests": wrong[:4]}})
    assert [each["field"] for each in refused.json()["errors"]] == ["attributes.interests[1]", "attributes.interests[3]"]
    # One that is no list has no index.
    refused = tenant.json("PATCH", ANN, {"attributes": {"interests": "SKI"}})
    assert [each["field"] for each in refused.json()["errors"]] == ["attributes.interests"]
    new = {"type": "CUSTOM", "name": "marks", "valueType": "INTEGER", "multiValued": True, "defaultValue": [1, "x", "y"]}
    refused = tenant.json("POST", GUESTS, {"operations": [{"operation": "addAttribute", "attribute": new}]})
    assert [each["field"] for each in refused.json()["errors"]] == [
        "operations[0].attribute.defaultValue[1]", "operations[0].attribute.defaultValue[2]",
    ]  # fmt: skip
