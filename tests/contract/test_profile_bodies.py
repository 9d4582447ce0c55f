"""What bodies of profiles say, as integrations write them: flags, nulls, categories, values, all that is wrong at once."""

import threading
from typing import Any

import httpx

from tests.support import plain
from tests.support.guests import GUEST, GUEST5, TABLE, add, attributes
from tests.support.tenant import ANN, Tenant

_XSI = "http://www.w3.org/2001/XMLSchema-instance"


def test_flags_are_read_as_integrations_write_them(tenant: Tenant) -> None:
    for value in (True, 1, "1", "true", "TRUE"):
        body = {
            "attributes": [{"name": "emailAddress", "value": "ann@example.com"}],
            "subscriptions": [{"name": "Newsletter", "subscription": value}],
        }
        assert add(tenant, body).status_code == 200
    assert tenant.json("GET", GUEST + "/subscription").json()["subscriptions"][0]["subscribe"] is True


def test_an_empty_flag_is_no_choice(tenant: Tenant) -> None:
    tenant.json("POST", GUEST + "/subscription/Newsletter")
    empty = (
        "<profile><subscriptions><subscription><name>Newsletter</name><subscribe/></subscription></subscriptions></profile>"
    )
    answers = [
        tenant.json("PUT", GUEST, {"subscriptions": [{"name": "Newsletter", "subscribe": ""}]}),
        tenant.call("PUT", GUEST, content=empty, headers={"Content-Type": "application/xml"}),
        tenant.json("PATCH", GUEST5, {"subscriptions": {"Newsletter": ""}}),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200], [answer.text for answer in answers]
    assert tenant.json("GET", GUEST + "/subscription").json()["subscriptions"][0]["subscribe"] is True


def test_null_for_a_list_is_no_list(tenant: Tenant) -> None:
    tenant.json("POST", GUEST + "/subscription/Newsletter")
    body = {"attributes": [{"name": "lastName", "value": "Null"}], "subscriptions": None, "segmentations": None}
    assert tenant.json("PUT", GUEST, body).status_code == 200
    assert tenant.json("GET", GUEST + "/subscription").json()["subscriptions"][0]["subscribe"] is True
    # In a merge patch null takes away, which cannot be done with all of them at once.
    assert tenant.json("PATCH", GUEST5, {"subscriptions": None}).status_code == 400


def test_null_for_an_object_or_a_flag_is_nothing(tenant: Tenant) -> None:
    # What mappers of Java, .NET and Go make of a class whose fields are not set.
    nulls = {"attributes": [{"name": "lastName", "value": "Nil"}], "segmentations": None, "dataCollectionInformation": None}
    nil = f'xmlns:xsi="{_XSI}" xsi:nil="true"'
    xml = f"<profile><attributes><attribute><name>lastName</name><value>Nihil</value></attribute></attributes><dataCollectionInformation {nil}/></profile>"
    assert tenant.json("PUT", GUEST, nulls).status_code == 200
    assert attributes(tenant)["lastName"] == "Nil"
    assert tenant.call("PUT", GUEST, content=xml, headers={"Content-Type": "application/xml"}).status_code == 200
    assert attributes(tenant)["lastName"] == "Nihil"


def test_a_wrong_category_is_told_with_some_of_the_right_ones(tenant: Tenant) -> None:
    cities = {"name": "City", "type": "EXCLUSIVE", "categories": [f"City {number}" for number in range(30)]}
    change = {"operations": [{"operation": "addSegmentation", "segmentation": cities}]}
    assert tenant.json("POST", "/v5/entities/hotels/profile-tables/Guests/change-requests", change).status_code == 200
    refused = tenant.json("PATCH", GUEST5, {"segmentations": {"City": "Brussels"}}).text
    assert "'City 9' and 20 more" in refused
    assert "City 10" not in refused


def test_a_category_may_be_sent_as_a_number(tenant: Tenant) -> None:
    floors = {"name": "Floor", "type": "EXCLUSIVE", "categories": ["1", "2"]}
    change = {"operations": [{"operation": "addSegmentation", "segmentation": floors}]}
    assert tenant.json("POST", "/v5/entities/hotels/profile-tables/Guests/change-requests", change).status_code == 200

    assert tenant.json("PATCH", GUEST5, {"segmentations": {"Floor": 2}}).status_code == 200
    assert tenant.json("GET", GUEST5).json()["segmentations"]["Floor"] == "2"
    refused = tenant.json("PATCH", GUEST5, {"segmentations": {"Floor": True}})
    assert (refused.status_code, refused.json()["code"]) == (400, "segmentation.category")


def test_what_was_read_can_be_written_back(tenant: Tenant) -> None:
    read = tenant.json("GET", GUEST).json()
    tag = tenant.json("GET", GUEST).headers["ETag"]
    assert add(tenant, read).status_code == 200
    assert tenant.json("GET", GUEST).headers["ETag"] == tag, "unchanged data must change nothing"

    read5 = tenant.json("GET", "/v5/entities/hotels/profile-tables/Guests/profiles/emailAddress=ann@example.com").json()
    body = {
        "key": {"emailAddress": "ann@example.com"},
        **{k: read5[k] for k in ("attributes", "subscriptions", "segmentations")},
    }
    assert tenant.json("PUT", "/v5/entities/hotels/profile-tables/Guests/profiles", body).status_code == 200
    assert tenant.json("GET", GUEST).headers["ETag"] == tag


def test_values_keep_their_json_types(tenant: Tenant) -> None:
    body = {
        "attributes": [
            {"name": "points", "value": "42"},
            {"name": "spent", "value": "12.50"},
            {"name": "member", "value": "true"},
            {"name": "interests", "value": ["SPA"]},
            {"name": "lastSeen", "value": "2027-03-01 09:15:00"},
            {"name": "gsmNumber", "value": "0032 470 12.34.56"},
        ]
    }
    assert tenant.json("PUT", GUEST, body).status_code == 200
    read = attributes(tenant)
    assert read["points"] == 42
    assert read["spent"] == 12.5
    assert read["member"] is True
    assert read["interests"] == ["SPA"]
    assert read["lastSeen"] == "2027-03-01T09:15:00.000Z"
    assert read["gsmNumber"] == "+32470123456"
    assert read["birthDate"] == "1984-05-12"


def test_all_the_errors_of_a_document_are_told_at_once(tenant: Tenant) -> None:
    body = {
        "attributes": [
            {"name": "emailAddress", "value": "new@example.com"},
            {"name": "birthDate", "value": "soon"},
            {"name": "nothing", "value": 1},
            {"name": "points", "value": 2**40},
            {"name": "BIRTHDATE", "value": "1984-05-12"},
        ],
        "dataCollection": {"source": "x" * 256, "way": "y" * 255},
        "subscriptions": [{"name": "None", "subscribe": True}],
        "segmentations": [{"name": "Loyalty", "category": "Lead"}],
    }
    before = tenant.state()
    answer = add(tenant, body)
    assert answer.status_code == 400
    found = [(e["field"], e["code"]) for e in answer.json()["errors"]]
    assert found == [
        ("attributes", "attribute.mandatory"),
        ("dataCollectionInformation.source", "attribute.value"),
        ("attributes[1].value", "attribute.type"),
        ("attributes[2].name", "attribute.unknown"),
        ("attributes[3].value", "attribute.value"),
        ("attributes[4].name", "attribute.duplicate"),
        ("subscriptions[0].name", "subscription.unknown"),
        ("segmentations[0]", "segmentation.category"),
    ]
    assert answer.json()["code"] == "attribute.mandatory"
    assert tenant.state() == before


def test_what_is_said_twice_is_said_once_and_what_is_contradicted_is_refused(tenant: Tenant) -> None:
    def chosen(subscribe: list[Any], loyalty: list[dict[str, Any]]) -> httpx.Response:
        named = ("Newsletter", "NEWSLETTER", "newsletter")
        choices = [{"name": name, "subscribe": said} for name, said in zip(named, subscribe, strict=False)]
        return tenant.json("PUT", GUEST, {"subscriptions": choices, "segmentations": loyalty})

    gold, silver = ({"name": "Loyalty", "category": category} for category in ("Gold", "Silver"))
    out = {"belongs": False, "segmentation": {"name": "loyalty"}}
    before = tenant.state()
    for subscribe, loyalty, field in (
        ([True, False], [], "subscriptions[1].name"),
        ([False, None, "true"], [], "subscriptions[2].name"),
        ([], [gold, silver], "segmentations[1].name"),
        ([], [gold, out], "segmentations[1].segmentation.name"),
    ):
        refused = chosen(subscribe, loyalty)
        assert refused.status_code == 400, refused.text
        assert [(e["field"], e["code"]) for e in refused.json()["errors"]] == [(field, "attribute.duplicate")]
    v5 = "/v5/entities/hotels/profile-tables/Guests/profiles/emailAddress=ann@example.com"
    refused = tenant.json("PATCH", v5, {"subscriptions": {"Newsletter": True, "newsletter": False}})
    assert [(e["field"], e["code"]) for e in refused.json()["errors"]] == [
        ("subscriptions.newsletter", "attribute.duplicate")
    ]
    assert tenant.state() == before
    assert chosen([True, None, "1"], [gold, gold]).status_code == 200


def test_ambiguous_and_owned_values_are_refused(tenant: Tenant) -> None:
    assert (
        add(
            tenant,
            {
                "attributes": [
                    {"name": "emailAddress", "value": "bob@example.com"},
                    # A name says nothing of who it is.
                    {"name": "lastName", "value": ANN["attributes"]["lastName"]},
                    {"name": "cardNumber", "value": "C-1"},
                ]
            },
        ).status_code
        == 201
    )
    before = tenant.state()
    both = {"attributes": [{"name": "emailAddress", "value": "ann@example.com"}, {"name": "cardNumber", "value": "C-1"}]}
    refused = add(tenant, both).json()
    assert (refused["code"], [each["field"] for each in refused["errors"]]) == (
        "attribute.ambiguous", ["attributes[0].value", "attributes[1].value"],
    )  # fmt: skip
    assert "'emailAddress' is profile 1's and 'cardNumber' is profile 2's" in refused["message"]
    by_id = {"attributes": [{"name": "profileId", "value": 1}, {"name": "cardNumber", "value": "C-1"}]}
    refused = add(tenant, by_id).json()
    assert refused["code"] == "attribute.ambiguous"
    assert "the body names profile 1 and 'cardNumber' is profile 2's" in refused["message"]
    put = tenant.json("PUT", GUEST, {"attributes": [{"name": "cardNumber", "value": "C-1"}]})
    assert (put.status_code, put.json()["code"], put.json()["errors"][0]["field"]) == (
        409, "attribute.notUnique", "attributes[0].value",
    )  # fmt: skip
    v5 = "/v5/entities/hotels/profile-tables/Guests/profiles/emailAddress=ann@example.com"
    patched = tenant.json("PATCH", v5, {"attributes": {"lastName": "Vos", "cardNumber": "C-1"}})
    assert [(e["field"], e["code"]) for e in patched.json()["errors"]] == [("attributes.cardNumber", "attribute.notUnique")]
    assert tenant.state() == before


def test_the_v5_key_must_not_differ_from_the_body_of_a_new_profile(tenant: Tenant) -> None:
    path = "/v5/entities/hotels/profile-tables/Guests/profiles"
    body = {"key": {"emailAddress": "x@example.com"}, "attributes": {"emailAddress": "y@example.com", "lastName": "X"}}
    assert tenant.json("PUT", path, body).json()["code"] == "key.mismatch"
    moved = {"key": {"emailAddress": "ann@example.com"}, "attributes": {"emailAddress": "anna@example.com"}}
    assert tenant.json("PUT", path, moved).status_code == 200
    assert tenant.json("GET", GUEST).status_code == 404


def test_an_empty_text_identifies_nobody(tenant: Tenant) -> None:
    # What integrations send for a card that a guest does not have must not make one guest of all who have none.
    def guest(name: str, card: str | None) -> dict[str, Any]:
        values = {"emailAddress": f"{name}@example.com", "lastName": name, "cardNumber": card}
        return {"attributes": [{"name": key, "value": value} for key, value in values.items()]}

    assert add(tenant, guest("first", "")).status_code == 201
    assert attributes(tenant, "emailAddress=first@example.com")["cardNumber"] == ""
    before = tenant.state()
    second = add(tenant, guest("second", ""))
    assert (second.status_code, second.json()["code"]) == (409, "attribute.notUnique")
    assert second.json()["message"].endswith("an empty text is a value too; send null where there is none")
    assert add(tenant, guest("first", "")).status_code == 200
    v5 = "/v5/entities/hotels/profile-tables/Guests/profiles"
    for method, path, body in (
        ("GET", f"{TABLE}/profile/cardNumber=", None),
        ("PUT", f"{TABLE}/profile/cardNumber=", {"attributes": [{"name": "lastName", "value": "Other"}]}),
        ("PATCH", f"{v5}/cardNumber=", {"attributes": {"lastName": "Other"}}),
        ("DELETE", f"{TABLE}/profile/cardNumber=", None),
    ):
        answer = tenant.json(method, path, body)
        assert (answer.status_code, answer.json()["code"]) == (404, "profile.unknown"), answer.text
    keyed = tenant.json("PUT", v5, {"key": {"cardNumber": ""}, "attributes": {"lastName": "Other"}})
    assert [(e["field"], e["code"]) for e in keyed.json()["errors"]] == [("key.cardNumber", "attribute.mandatory")]
    assert tenant.state() == before
    assert add(tenant, guest("second", None)).status_code == 201


def test_an_address_without_a_value_creates_nobody(tenant: Tenant) -> None:
    before = tenant.state()
    for body in ([], [{"name": "emailAddress", "value": "new@example.com"}]):
        attributes = [*body, {"name": "lastName", "value": "Vos"}]
        answer = tenant.json("PUT", f"{TABLE}/profile/emailAddress=", {"attributes": attributes})
        assert (answer.status_code, answer.json()["code"]) == (404, "profile.unknown"), answer.text
    assert tenant.state() == before


def test_a_key_of_the_address_keeps_the_rules_of_its_attribute(tenant: Tenant) -> None:
    before = tenant.state()
    for reference in (f"cardNumber={'x' * 21}", "emailAddress=nobody", "gsmNumber=+32470123456"):
        answer = tenant.json("PUT", f"{TABLE}/profile/{reference}", {"attributes": [{"name": "lastName", "value": "Vos"}]})
        assert answer.status_code == 400, answer.text
    assert tenant.state() == before


def test_many_clients_creating_one_profile_make_one(tenant: Tenant) -> None:
    body = {"attributes": [{"name": "emailAddress", "value": "crowd@example.com"}, {"name": "lastName", "value": "Crowd"}]}
    statuses: list[int] = []

    def send() -> None:
        with plain.Client(base_url=tenant.client.base_url, timeout=30) as client:
            for _ in range(5):
                statuses.append(
                    client.post(
                        TABLE + "/profile", json=body, headers={"Authorization": f"Bearer {tenant.api_key}"}
                    ).status_code
                )

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(statuses)) == [200, 201]
    assert statuses.count(201) == 1
    assert tenant.json("GET", TABLE + "/profile/count?search=emailAddress=crowd@example.com").json() == {"count": 1}


def test_the_consent_history_keeps_source_way_and_date(tenant: Tenant) -> None:
    collection = {"source": "webshop", "way": "form", "date": "01/03/2027 09:15:00"}
    tenant.json("POST", GUEST + "/subscription/Newsletter", {"dataCollection": collection})
    chosen = tenant.json("GET", GUEST + "/subscription").json()
    tenant.json("POST", GUEST + "/subscription/Newsletter", {"dataCollection": {"source": "later"}})
    again = {
        "subscriptions": {"Newsletter": True},
        "dataCollection": {"source": "later"},
        "attributes": {"lastName": "Maes"},
    }
    assert tenant.json("PATCH", GUEST5, again).status_code == 200
    assert tenant.json("GET", GUEST + "/subscription").json() == chosen
    tenant.json("DELETE", GUEST + "/subscription/Newsletter")
    tenant.json("POST", GUEST + "/subscription/Newsletter", {"dataCollection": {"way": "phone"}})

    path = "/v5/entities/hotels/profile-tables/Guests/profiles/emailAddress=ann@example.com/consents"
    history = tenant.json("GET", path).json()["consents"]
    assert [(c["subscribe"], c["source"], c["way"], c["date"]) for c in history] == [
        (True, "api", "phone", None),
        (False, "api", None, None),
        (True, "webshop", "form", "2027-03-01T09:15:00.000Z"),
    ]


def test_a_profile_too_large_for_a_row_is_refused_in_words(tenant: Tenant) -> None:
    attributes = [{"type": "CUSTOM", "name": f"text{i}", "valueType": "STRING"} for i in range(480)]
    made = tenant.json(
        "POST",
        "/v5/entities/hotels/profile-tables",
        {"name": "Wide", "attributes": [{"type": "EMAIL_ADDRESS", "name": "emailAddress"}, *attributes]},
    )
    assert made.status_code == 201, made.text
    body = {"key": {"emailAddress": "wide@example.com"}, "attributes": {f"text{i}": "x" * 24 for i in range(480)}}
    answer = tenant.json("PUT", "/v5/entities/hotels/profile-tables/Wide/profiles", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "attribute.value")
    assert "larger than a row" in answer.json()["message"]
