"""What integrations do and the server must survive, and the manners of the protocol."""

import base64
import gzip
import http.client
import json
import socket
import threading
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest

from tabellion.features import licences as use
from tabellion.kit.clock import utc_now
from tests.support import plain
from tests.support.tenant import ANN, Tenant
from tests.support.tenants import Tenants

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_TABLE = "/v4/entity/hotels/table/Guests"
_ANN = _TABLE + "/profile/emailAddress=ann@example.com"
_ANN5 = "/v5/entities/hotels/profile-tables/Guests/profiles/emailAddress=ann@example.com"


def _post(tenant: Tenant, body, **headers: str) -> httpx.Response:
    return tenant.json("POST", _TABLE + "/profile", body, **headers)


def _attributes(tenant: Tenant, reference: str = "emailAddress=ann@example.com") -> dict:
    answer = tenant.json("GET", f"{_TABLE}/profile/{reference}").json()
    return {a["name"]: a.get("value", a.get("values")) for a in answer["attributes"]}


def test_unencoded_and_encoded_references_are_the_same(tenant: Tenant) -> None:
    for reference in ("emailAddress=ann@example.com", "emailAddress%3Dann%40example.com", "EMAILADDRESS=ANN@EXAMPLE.COM"):
        assert tenant.json("GET", f"{_TABLE}/profile/{reference}").status_code == 200


def test_a_plus_in_a_path_is_a_plus_and_in_a_query_too_for_addresses(tenant: Tenant) -> None:
    assert (
        _post(
            tenant,
            {"attributes": [{"name": "emailAddress", "value": "a+b@example.com"}, {"name": "lastName", "value": "Plus"}]},
        ).status_code
        == 201
    )

    assert _attributes(tenant, "emailAddress=a+b@example.com")["lastName"] == "Plus"
    found = tenant.json("GET", _TABLE + "/profile?search=emailAddress=a+b@example.com").json()["profiles"]
    assert len(found) == 1


def test_the_host_header_plays_no_part(tenant: Tenant) -> None:
    assert tenant.call("GET", "/v4/entity", headers={"Host": "api3.actito.com"}).status_code == 200


@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
def test_a_password_with_accents_comes_in_the_charset_of_its_client(charset: str, tenants: Tenants, tenant: Tenant) -> None:
    tenants.user(tenant.licence, "été", password="pässwörd:/é")
    for password, status in (("pässwörd:/é", 200), ("password:/e", 401)):
        encoded = base64.b64encode(f"{tenant.licence}/été:{password}".encode(charset)).decode()
        answer = tenant.call("GET", "/v4/entity", headers={"Authorization": f"Basic {encoded}"})
        assert answer.status_code == status, answer.text


def _raw(tenant: Tenant, head: bytes) -> tuple[bytes, bytes]:
    """The status line and the body of what is answered to a head as it stands."""
    with socket.create_connection(("127.0.0.1", tenant.client.base_url.port), timeout=10) as raw:
        raw.sendall(head + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while chunk := raw.recv(65536):
            answer += chunk
    first, _, body = answer.partition(b"\r\n\r\n")
    return first.split(b"\r\n")[0], body


def test_only_what_the_reference_names_must_be_encoded_in_an_address(tenant: Tenant) -> None:
    printable = [bytes([code]) for code in range(0x20, 0x7F)]
    unreadable = {"path": [], "query": []}
    for text in [*printable, "é€日😀".encode(), b"\xff"]:
        for where, target in (("path", b"/v5/a" + text + b"b"), ("query", b"/v5/x?a=" + text + b"b")):
            status, body = _raw(tenant, b"GET " + target + b" HTTP/1.1")
            told = json.loads(body)
            if status == b"HTTP/1.1 400 Bad Request":
                assert told["code"] == "request.malformed"
                unreadable[where].append(text)
            else:
                assert (status, told["status"]) == (b"HTTP/1.1 404 Not Found", 404)
    # A `#` ends the address; what is behind it is not looked at. A blank ends it, too.
    assert unreadable == {"path": [b" "], "query": [b" "]}


def test_a_filter_is_read_as_curl_and_others_send_it(tenant: Tenant) -> None:
    head = f"GET {_TABLE}/profile?%s HTTP/1.1\r\nAuthorization: Bearer {tenant.api_key}"
    for query in ("search=emailAddress=ann@example.com&dateFilter=updateMoment>=2024-03-01", 'search=lastName="é<>`'):
        for charset in ("utf-8", "latin-1"):
            status, body = _raw(tenant, (head % query).encode(charset))
            encoded = tenant.call("GET", f"{_TABLE}/profile?{quote(query.encode(charset), safe='=&@')}")
            assert int(status.split()[1]) == encoded.status_code
            assert {**json.loads(body), "requestId": ""} == {**encoded.json(), "requestId": ""}


def test_an_address_and_headers_have_a_longest_length(tenant: Tenant) -> None:
    assert _raw(tenant, b"GET /v5/" + b"a" * 65_500 + b" HTTP/1.1")[0] == b"HTTP/1.1 404 Not Found"
    for head, status, code in (
        (b"GET /v5/" + b"a" * 65_600 + b" HTTP/1.1", 414, "address.tooLong"),
        (b"GET /v5/x HTTP/1.1" + b"\r\nX-A: 1" * 100, 431, "headers.tooLarge"),
        (b"GET /v5/x HTTP/1.1\r\nX-A: " + b"1" * 140_000, 431, "headers.tooLarge"),
    ):
        told = _raw(tenant, head)
        assert (int(told[0].split()[1]), json.loads(told[1])["code"]) == (status, code)


def test_http_1_0_is_answered_with_length_and_close(tenant: Tenant) -> None:
    with socket.create_connection(("127.0.0.1", tenant.client.base_url.port), timeout=10) as raw:
        raw.sendall(f"GET /v4/entity HTTP/1.0\r\nAuthorization: Bearer {tenant.api_key}\r\n\r\n".encode())
        answer = b""
        while chunk := raw.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" in head.lower()
    assert b"content-length: %d" % len(body) in head.lower()
    assert b"chunked" not in head.lower()


def test_chunked_bodies_without_length_are_read(tenant: Tenant) -> None:
    body = json.dumps({"attributes": [{"name": "lastName", "value": "Chunk"}]}).encode()
    headers = {"Authorization": f"Bearer {tenant.api_key}", "Content-Type": "application/json"}
    answer = tenant.client.put(_ANN, content=iter([body[:10], body[10:]]), headers=headers)
    assert answer.status_code == 200
    assert _attributes(tenant)["lastName"] == "Chunk"


@pytest.mark.parametrize("body", ["", "null", "[]", "{}", "\ufeff"])
def test_an_empty_body_subscribes(body: str, tenant: Tenant) -> None:
    answer = tenant.call("POST", _ANN + "/subscription/Newsletter", content=body)
    assert answer.status_code == 200
    assert answer.json()["subscribe"] is True


def test_content_type_on_a_get_is_ignored(tenant: Tenant) -> None:
    assert tenant.call("GET", _ANN, headers={"Content-Type": "application/json"}).status_code == 200
    assert tenant.call("GET", _ANN, headers={"Content-Type": "nonsense"}).status_code == 200


@pytest.mark.parametrize(
    "accept", [None, "*/*", "application/json, text/plain, */*", "application/*", "text/html, */*;q=0.1"]
)
def test_lenient_accepts_get_json(accept: str | None, tenant: Tenant) -> None:
    answer = tenant.call("GET", _ANN, headers={} if accept is None else {"Accept": accept})
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"


def test_flags_are_read_as_integrations_write_them(tenant: Tenant) -> None:
    for value in (True, 1, "1", "true", "TRUE"):
        body = {
            "attributes": [{"name": "emailAddress", "value": "ann@example.com"}],
            "subscriptions": [{"name": "Newsletter", "subscription": value}],
        }
        assert _post(tenant, body).status_code == 200
    assert tenant.json("GET", _ANN + "/subscription").json()["subscriptions"][0]["subscribe"] is True


def test_an_empty_flag_is_no_choice(tenant: Tenant) -> None:
    tenant.json("POST", _ANN + "/subscription/Newsletter")
    empty = (
        "<profile><subscriptions><subscription><name>Newsletter</name><subscribe/></subscription></subscriptions></profile>"
    )
    answers = [
        tenant.json("PUT", _ANN, {"subscriptions": [{"name": "Newsletter", "subscribe": ""}]}),
        tenant.call("PUT", _ANN, content=empty, headers={"Content-Type": "application/xml"}),
        tenant.json("PATCH", _ANN5, {"subscriptions": {"Newsletter": ""}}),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200], [answer.text for answer in answers]
    assert tenant.json("GET", _ANN + "/subscription").json()["subscriptions"][0]["subscribe"] is True


def test_null_for_a_list_is_no_list(tenant: Tenant) -> None:
    tenant.json("POST", _ANN + "/subscription/Newsletter")
    body = {"attributes": [{"name": "lastName", "value": "Null"}], "subscriptions": None, "segmentations": None}
    assert tenant.json("PUT", _ANN, body).status_code == 200
    assert tenant.json("GET", _ANN + "/subscription").json()["subscriptions"][0]["subscribe"] is True
    # In a merge patch null takes away, which cannot be done with all of them at once.
    assert tenant.json("PATCH", _ANN5, {"subscriptions": None}).status_code == 400


def test_null_for_an_object_or_a_flag_is_nothing(tenant: Tenant) -> None:
    # What mappers of Java, .NET and Go make of a class whose fields are not set.
    nulls = {"attributes": [{"name": "lastName", "value": "Nil"}], "segmentations": None, "dataCollectionInformation": None}
    nil = f'xmlns:xsi="{_XSI}" xsi:nil="true"'
    xml = f"<profile><attributes><attribute><name>lastName</name><value>Nihil</value></attribute></attributes><dataCollectionInformation {nil}/></profile>"
    assert tenant.json("PUT", _ANN, nulls).status_code == 200
    assert _attributes(tenant)["lastName"] == "Nil"
    assert tenant.call("PUT", _ANN, content=xml, headers={"Content-Type": "application/xml"}).status_code == 200
    assert _attributes(tenant)["lastName"] == "Nihil"


def test_a_wrong_category_is_told_with_some_of_the_right_ones(tenant: Tenant) -> None:
    cities = {"name": "City", "type": "EXCLUSIVE", "categories": [f"City {number}" for number in range(30)]}
    change = {"operations": [{"operation": "addSegmentation", "segmentation": cities}]}
    assert tenant.json("POST", "/v5/entities/hotels/profile-tables/Guests/change-requests", change).status_code == 200
    refused = tenant.json("PATCH", _ANN5, {"segmentations": {"City": "Brussels"}}).text
    assert "'City 9' and 20 more" in refused
    assert "City 10" not in refused


def test_a_category_may_be_sent_as_a_number(tenant: Tenant) -> None:
    floors = {"name": "Floor", "type": "EXCLUSIVE", "categories": ["1", "2"]}
    change = {"operations": [{"operation": "addSegmentation", "segmentation": floors}]}
    assert tenant.json("POST", "/v5/entities/hotels/profile-tables/Guests/change-requests", change).status_code == 200

    assert tenant.json("PATCH", _ANN5, {"segmentations": {"Floor": 2}}).status_code == 200
    assert tenant.json("GET", _ANN5).json()["segmentations"]["Floor"] == "2"
    refused = tenant.json("PATCH", _ANN5, {"segmentations": {"Floor": True}})
    assert (refused.status_code, refused.json()["code"]) == (400, "segmentation.category")


def test_what_was_read_can_be_written_back(tenant: Tenant) -> None:
    read = tenant.json("GET", _ANN).json()
    tag = tenant.json("GET", _ANN).headers["ETag"]
    assert _post(tenant, read).status_code == 200
    assert tenant.json("GET", _ANN).headers["ETag"] == tag, "unchanged data must change nothing"

    read5 = tenant.json("GET", "/v5/entities/hotels/profile-tables/Guests/profiles/emailAddress=ann@example.com").json()
    body = {
        "key": {"emailAddress": "ann@example.com"},
        **{k: read5[k] for k in ("attributes", "subscriptions", "segmentations")},
    }
    assert tenant.json("PUT", "/v5/entities/hotels/profile-tables/Guests/profiles", body).status_code == 200
    assert tenant.json("GET", _ANN).headers["ETag"] == tag


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
    assert tenant.json("PUT", _ANN, body).status_code == 200
    read = _attributes(tenant)
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
    answer = _post(tenant, body)
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
        return tenant.json("PUT", _ANN, {"subscriptions": choices, "segmentations": loyalty})

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
        _post(
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
    assert _post(tenant, both).json()["code"] == "attribute.ambiguous"
    by_id = {"attributes": [{"name": "profileId", "value": 1}, {"name": "cardNumber", "value": "C-1"}]}
    assert _post(tenant, by_id).json()["code"] == "attribute.ambiguous"
    put = tenant.json("PUT", _ANN, {"attributes": [{"name": "cardNumber", "value": "C-1"}]})
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
    assert tenant.json("GET", _ANN).status_code == 404


def test_a_key_of_the_address_keeps_the_rules_of_its_attribute(tenant: Tenant) -> None:
    before = tenant.state()
    for reference in (f"cardNumber={'x' * 21}", "emailAddress=nobody", "gsmNumber=+32470123456"):
        answer = tenant.json("PUT", f"{_TABLE}/profile/{reference}", {"attributes": [{"name": "lastName", "value": "Vos"}]})
        assert answer.status_code == 400, answer.text
    assert tenant.state() == before


def test_etags_guard_changes(tenant: Tenant) -> None:
    tag = tenant.json("GET", _ANN).headers["ETag"]
    assert tenant.call("GET", _ANN, headers={"If-None-Match": tag}).status_code == 304
    assert tenant.json("PUT", _ANN, {"attributes": [{"name": "points", "value": 1}]}, If_Match=tag).status_code == 200
    before = tenant.state()
    for method, body in (("PUT", {"attributes": [{"name": "points", "value": 2}]}), ("DELETE", None)):
        answer = tenant.json(method, _ANN, body, If_Match=tag)
        assert (answer.status_code, answer.json()["code"]) == (412, "etag.mismatch")
    assert (
        tenant.json("PUT", _TABLE + "/profile/emailAddress=none@example.com", {"attributes": []}, If_Match="*").status_code
        == 412
    )
    assert tenant.state() == before


def test_the_tag_of_another_profile_of_the_same_moment_is_none_of_this_one(
    tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    new = [{"name": "emailAddress", "value": "twin@example.com"}, {"name": "lastName", "value": "Twin"}]
    assert _post(tenant, {"attributes": new}).status_code == 201
    query = (
        "SELECT l.id, t.id FROM tabellion.licence l JOIN tabellion.profile_table t ON t.licence_id = l.id WHERE l.name = %s"
    )
    found = database.execute(query, (tenant.licence,)).fetchone()
    assert found is not None
    # As an import leaves them.
    database.execute(f"UPDATE l{found[0]}.p{found[1]} SET updated_at = '2027-03-01 09:00Z'")
    own = tenant.json("GET", _ANN).headers["ETag"]
    twin = tenant.json("GET", _TABLE + "/profile/emailAddress=twin@example.com").headers["ETag"]
    before = tenant.state()
    changed = {"attributes": [{"name": "points", "value": 2}]}
    for method, body in (("PUT", changed), ("DELETE", None)):
        answer = tenant.json(method, _ANN, body, If_Match=twin)
        assert (answer.status_code, answer.json()["code"]) == (412, "etag.mismatch")
    huge = f'"{"f" * 20}-{own.split("-", 1)[1]}'
    assert tenant.json("PUT", _ANN, changed, If_Match=huge).status_code == 412
    assert tenant.state() == before
    assert tenant.json("PUT", _ANN, changed, If_Match=f"{twin}, {own}").status_code == 200


def test_a_tag_that_was_made_weak_on_its_way_is_known(tenant: Tenant) -> None:
    tag = tenant.json("GET", _ANN).headers["ETag"]
    for header in (f"W/{tag}", f'"x", W/{tag}'):
        assert tenant.call("GET", _ANN, headers={"If-None-Match": header}).status_code == 304
    weak = tenant.json("PUT", _ANN, {"attributes": [{"name": "points", "value": 3}]}, If_Match=f"W/{tag}")
    assert (weak.status_code, weak.json()["code"]) == (412, "etag.mismatch")
    assert "compresses answers on their way" in weak.json()["message"]


@pytest.mark.usefixtures("stays")
def test_if_none_match_makes_a_call_that_only_creates(tenant: Tenant) -> None:
    new = [{"name": "emailAddress", "value": "new@example.com"}, {"name": "lastName", "value": "New"}]
    made = _post(tenant, {"attributes": new}, If_None_Match="*")
    assert made.status_code == 201
    before = tenant.state()
    key = {"key": {"emailAddress": "new@example.com"}, "attributes": {"lastName": "Other"}}
    last = {"attributes": [{"name": "lastName", "value": "Other"}]}
    for method, path, body in (
        ("POST", _TABLE + "/profile", {"attributes": [new[0], *last["attributes"]]}),
        ("PUT", _TABLE + "/profile/emailAddress=new@example.com", last),
        ("PUT", "/v5/entities/hotels/profile-tables/Guests/profiles", key),
        ("PUT", "/v4/entity/hotels/customTable/Stays/record/ST-00001", {"properties": [{"name": "state", "value": "PAID"}]}),
    ):
        again = tenant.json(method, path, body, If_None_Match="*")
        assert (again.status_code, again.json()["code"]) == (412, "etag.mismatch"), again.text
        assert "exists already" in again.json()["message"]
    assert tenant.state() == before


@pytest.mark.parametrize(("coding", "packed"), [("gzip", True), ("x-gzip", True), ("identity, br", True), ("UTF-8", False)])
def test_a_compressed_body_hears_that_it_should_not_be(coding: str, packed: bool, tenant: Tenant) -> None:
    new = [{"name": "emailAddress", "value": "zip@example.com"}, {"name": "lastName", "value": "Zip"}]
    body = json.dumps({"attributes": new}).encode()
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    answer = tenant.call("POST", _TABLE + "/profile", content=gzip.compress(body) if packed else body, headers=headers)
    if not packed:
        assert answer.status_code == 201, "a charset in the wrong header does no harm"
        return
    assert (answer.status_code, answer.json()["code"]) == (415, "contentType.unsupported")
    assert answer.headers["Accept-Encoding"] == "identity"
    form = {"Content-Type": "multipart/form-data; boundary=b", "Content-Encoding": coding}
    upload = tenant.call("POST", _TABLE + "/import", content=gzip.compress(b"--b--"), headers=form)
    assert (upload.status_code, upload.json()["code"]) == (415, "contentType.unsupported")


def test_an_idempotency_key_makes_a_call_happen_once(tenant: Tenant) -> None:
    body = {"attributes": [{"name": "emailAddress", "value": "once@example.com"}, {"name": "lastName", "value": "Once"}]}
    first = _post(tenant, body, Idempotency_Key='"abc"')
    again = _post(tenant, body, Idempotency_Key="abc")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    other = _post(tenant, {"attributes": []}, Idempotency_Key="abc")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency.mismatch")
    refused = [_post(tenant, {"attributes": [{"name": "nothing", "value": 1}]}, Idempotency_Key="bad") for _ in range(2)]
    assert [r.status_code for r in refused] == [400, 400]
    assert refused[1].headers["Idempotency-Replayed"] == "true"


def test_a_key_is_of_one_user_one_method_one_address_and_one_day(
    tenants: Tenants, tenant: Tenant, other_tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    body = {"attributes": [{"name": "emailAddress", "value": "one@example.com"}, {"name": "lastName", "value": "One"}]}
    clerk = f"Bearer {tenants.user(tenant.licence, 'clerk').api_key}"

    def done(answer: httpx.Response) -> tuple[int, bool]:
        return answer.status_code, "Idempotency-Replayed" in answer.headers

    assert done(_post(tenant, body, Idempotency_Key="k")) == (201, False)
    assert done(_post(other_tenant, body, Idempotency_Key="k")) == (201, False)
    assert done(_post(tenant, body, Idempotency_Key="k", Authorization=clerk)) == (200, False)
    one = f"{_TABLE}/profile/emailAddress=one@example.com"
    assert done(tenant.json("PUT", one, body, Idempotency_Key="k")) == (200, False)
    assert done(tenant.json("DELETE", one, Idempotency_Key="k")) == (204, False)
    assert done(tenant.json("DELETE", one, Idempotency_Key="k")) == (204, True)
    # The profile is gone, and so a call that is done anew makes one.
    for hours, expected in ((23.99, (201, True)), (0.02, (201, False)), (0, (201, True))):
        database.execute(
            "UPDATE tabellion.idempotency SET created_at = created_at - %s WHERE route LIKE 'POST %%'",
            (timedelta(hours=hours),),
        )
        assert done(_post(tenant, body, Idempotency_Key="k")) == expected, hours
    assert tenant.json("POST", f"{_TABLE}/profile?x=1", body, Idempotency_Key="k").json()["code"] == "idempotency.mismatch"


def test_an_effect_whose_answer_cannot_be_kept_has_not_happened(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    body = {"attributes": [{"name": "emailAddress", "value": "full@example.com"}, {"name": "lastName", "value": "Full"}]}
    database.execute(
        "CREATE FUNCTION tabellion.no_room() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE 'no room' USING ERRCODE = 'disk_full'; END $$; "
        "CREATE TRIGGER no_room BEFORE INSERT ON tabellion.idempotency FOR EACH ROW EXECUTE FUNCTION tabellion.no_room()"
    )
    try:
        assert _post(tenant, body, Idempotency_Key="full").status_code in {503, 507}
    finally:
        database.execute("DROP FUNCTION tabellion.no_room() CASCADE")
    again = _post(tenant, body, Idempotency_Key="full")
    # It makes the profile, and so nothing was there.
    assert (again.status_code, "Idempotency-Replayed" in again.headers) == (201, False)


def test_a_refusal_that_says_nothing_of_the_call_is_not_kept(tenants: Tenants, tenant: Tenant) -> None:
    clerk = tenants.user(tenant.licence, "clerk", entities=["spas"])
    headers = {"Authorization": f"Bearer {clerk.api_key}", "Idempotency_Key": "k"}
    body = {"attributes": [{"name": "emailAddress", "value": "no@example.com"}, {"name": "lastName", "value": "No"}]}
    assert _post(tenant, body, **headers).status_code == 403
    tenants.run(lambda db: use.change_access(db, tenant.licence, "clerk", utc_now(), every_entity=True))
    assert _post(tenant, body, **headers).status_code == 201


def test_a_kept_answer_is_not_for_a_user_who_has_lost_an_entity(tenants: Tenants, tenant: Tenant) -> None:
    clerk = tenants.user(tenant.licence, "clerk")
    body = {"attributes": [{"name": "emailAddress", "value": "kept@example.com"}, {"name": "lastName", "value": "Kept"}]}
    headers = {"Authorization": f"Bearer {clerk.api_key}", "Idempotency-Key": "kept"}

    def send() -> httpx.Response:
        return plain.post(f"{tenant.client.base_url}{_TABLE}/profile", json=body, headers=headers)

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
            statuses.append(client.post(_TABLE + "/profile", json=body, headers=headers).status_code)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {201, 409}
    assert 201 in statuses


def test_many_clients_creating_one_profile_make_one(tenant: Tenant) -> None:
    body = {"attributes": [{"name": "emailAddress", "value": "crowd@example.com"}, {"name": "lastName", "value": "Crowd"}]}
    statuses: list[int] = []

    def send() -> None:
        with plain.Client(base_url=tenant.client.base_url, timeout=30) as client:
            for _ in range(5):
                statuses.append(
                    client.post(
                        _TABLE + "/profile", json=body, headers={"Authorization": f"Bearer {tenant.api_key}"}
                    ).status_code
                )

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(statuses)) == [200, 201]
    assert statuses.count(201) == 1
    assert tenant.json("GET", _TABLE + "/profile/count?search=emailAddress=crowd@example.com").json() == {"count": 1}


def test_head_and_options(tenant: Tenant) -> None:
    head = tenant.call("HEAD", _ANN)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["ETag"]
    options = tenant.call("OPTIONS", _ANN)
    assert options.status_code == 204
    assert "GET" in options.headers["Allow"]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/t/u/token", "GET, HEAD, OPTIONS, POST"),
        ("/outbox", "GET, HEAD, OPTIONS"),
        ("/docs", "GET, HEAD, OPTIONS"),
    ],
)
def test_pages_name_all_their_methods(tenant: Tenant, path: str, allowed: str) -> None:
    answer = tenant.call("OPTIONS", path)
    assert (answer.status_code, answer.headers["Allow"], answer.content) == (204, allowed, b"")
    refused = tenant.call("PUT", path)
    assert (refused.status_code, refused.headers["Allow"]) == (405, allowed)
    assert tenant.call("OPTIONS", "/nowhere/at/all").status_code == 404


def test_wrong_methods_and_paths(tenant: Tenant) -> None:
    wrong = tenant.json("PATCH", _ANN, {})
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method.notAllowed")
    assert "PUT" in wrong.headers["Allow"]
    for path in ("/nothing", "/nonsense/v4/entity", "/v4", "/v6/entities"):
        answer = tenant.json("GET", path)
        assert (answer.status_code, answer.json()["code"]) == (404, "route.unknown")


def test_large_answers_are_compressed_when_asked(tenant: Tenant) -> None:
    answer = tenant.call("GET", "/openapi.json", headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200
    listed = tenant.call("GET", _ANN, headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in listed.headers


def test_of_all_that_is_wrong_with_a_call_the_first_is_told(tenant: Tenant, tenants: Tenants) -> None:
    path = "/v5/entities/hotels/profile-tables/Guests/profiles"
    clerk, guest = (
        f"Bearer {tenants.user(tenant.licence, login, **options).api_key}"
        for login, options in (
            ("clerk", {"rights": {"structure": "rw", "profiles": "r"}}),
            ("guest", {"entities": ["spas"]}),
        )
    )
    good = json.dumps({"key": {"emailAddress": "first@example.com"}, "attributes": {"lastName": "First"}})
    before = tenant.state()
    sent = {
        "Authorization": "Bearer tbl_nobody",
        "Accept": "application/xml",
        "Content-Encoding": "gzip",
        "Content-Type": "text/csv",
        "If-Match": "yesterday",
        "query": "?colour=red",
        "body": "{" + " " * 2_200_000,
        "Idempotency-Key": "k" * 256,
    }

    def send() -> httpx.Response:
        headers = {name: value for name, value in sent.items() if value and name not in {"query", "body"}}
        return tenant.call("PUT", path + sent["query"], content=sent["body"], headers=headers)

    # Each is mended in turn, and the next one comes to light.
    for status, code, words, mended in (
        (401, "auth.invalid", "", {"Authorization": clerk}),
        (406, "accept.unsupported", "", {"Accept": "application/json"}),
        (415, "contentType.unsupported", "Content-Encoding 'gzip'", {"Content-Encoding": "identity"}),
        (415, "contentType.unsupported", "'text/csv'", {"Content-Type": "application/json"}),
        (403, "right.missing", "the read-write right of the module 'profiles'", {"Authorization": guest}),
        (400, "parameter.invalid", "'If-Match'", {"If-Match": ""}),
        (400, "parameter.unknown", "'colour'", {"query": ""}),
        (413, "body.tooLarge", "2,097,152 bytes", {"body": "{"}),
        (400, "request.malformed", "line 1", {"body": '{"key": 5}'}),
        (400, "member.type", "'key' expects an object", {"body": good}),
        (400, "parameter.invalid", "Idempotency-Key", {"Idempotency-Key": "k"}),
        (403, "entity.forbidden", "'hotels'", {"Authorization": f"Bearer {tenant.api_key}"}),
    ):
        answer = send()
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert words in answer.json()["message"]
        sent |= mended
    assert tenant.state() == before
    assert send().status_code == 201


def test_a_body_over_the_cap_is_refused(tenant: Tenant) -> None:
    answer = tenant.json("POST", _TABLE + "/profile", {"attributes": [{"name": "lastName", "value": "x" * 2_200_000}]})
    assert (answer.status_code, answer.json()["code"]) == (413, "body.tooLarge")


def test_unknown_members_are_named_in_a_header(tenant: Tenant) -> None:
    answer = tenant.json("PUT", _ANN, {"attributes": [{"name": "points", "value": 3, "extra": 1}], "more": {}})
    assert answer.status_code == 200
    assert answer.headers["X-Ignored-Members"] == "attributes[0].extra, more"


@pytest.mark.parametrize(
    ("path", "body", "code", "hint"),
    [
        (_TABLE + "/profile", {"atributes": [], "segmentations": []}, "attribute.mandatory", "atributes"),
        ("/v5/entities/hotels/profile-tables", {"nam": "Stays", "attributes": []}, "member.mandatory", "nam"),
        (
            "/v5/entities/hotels/custom-tables",
            {"name": "Orders", "attributes": [{"nam": "ref", "valueType": "STRING"}]},
            "member.mandatory",
            "attributes[0].nam",
        ),
        (_TABLE + "/profile", [], "attribute.mandatory", "empty list"),
        ("/v5/entities/hotels/profile-tables", [], "member.mandatory", "empty list"),
    ],
)
def test_a_refusal_tells_what_was_misspelt_or_of_the_wrong_form(
    tenant: Tenant, path: str, body: Any, code: str, hint: str
) -> None:
    answer = tenant.json("POST", path, body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert hint in answer.json()["message"].rpartition(" (")[2]
    headers = {"Accept": "application/problem+json", "Idempotency-Key": "a-key-of-this-test"}
    assert tenant.json("POST", path, body, **headers).json()["detail"] == answer.json()["message"]
    # A list with something in it is no object.
    assert tenant.json("POST", path, [body]).json()["errors"][0]["message"] == "the document expects an object"


def test_the_reason_phrase_is_the_standard_one(tenant: Tenant) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", tenant.client.base_url.port, timeout=10)
    connection.request("GET", "/v4/entity")
    assert connection.getresponse().reason == "Unauthorized"


def test_the_consent_history_keeps_source_way_and_date(tenant: Tenant) -> None:
    collection = {"source": "webshop", "way": "form", "date": "01/03/2027 09:15:00"}
    tenant.json("POST", _ANN + "/subscription/Newsletter", {"dataCollection": collection})
    chosen = tenant.json("GET", _ANN + "/subscription").json()
    tenant.json("POST", _ANN + "/subscription/Newsletter", {"dataCollection": {"source": "later"}})
    again = {
        "subscriptions": {"Newsletter": True},
        "dataCollection": {"source": "later"},
        "attributes": {"lastName": "Maes"},
    }
    assert tenant.json("PATCH", _ANN5, again).status_code == 200
    assert tenant.json("GET", _ANN + "/subscription").json() == chosen
    tenant.json("DELETE", _ANN + "/subscription/Newsletter")
    tenant.json("POST", _ANN + "/subscription/Newsletter", {"dataCollection": {"way": "phone"}})

    path = "/v5/entities/hotels/profile-tables/Guests/profiles/emailAddress=ann@example.com/consents"
    history = tenant.json("GET", path).json()["consents"]
    assert [(c["subscribe"], c["source"], c["way"], c["date"]) for c in history] == [
        (True, "api", "phone", None),
        (False, "api", None, None),
        (True, "webshop", "form", "2027-03-01T09:15:00.000Z"),
    ]


def test_v1_works_with_credentials_in_the_query(tenant: Tenant) -> None:
    credentials = f"licence={tenant.licence}&login={tenant.login}&pwd={tenant.password}&table=Guests"
    base = "/ActitoWebServices/ws/profile/v1"
    body = {
        "profileInformation": {
            "attribute": [{"@name": "lastName", "value": "Vos"}, {"@name": "emailAddress", "value": "v1@example.com"}]
        }
    }
    made = tenant.client.post(f"{base}/updateOrCreateProfile?{credentials}", json=body)
    assert made.status_code == 200, made.text
    xml = (
        '<profileInformation><attribute name="lastName"><value>Bos</value></attribute>'
        '<attribute name="emailAddress"><value>v1@example.com</value></attribute></profileInformation>'
    )
    again = tenant.client.post(
        f"{base}/updateOrCreateProfile?{credentials}",
        content=xml,
        headers={"Content-Type": "application/xml", "Accept": "application/xml"},
    )
    assert again.text.endswith(f"<value>{made.json()['value']}</value>")
    read = tenant.client.get(f"{base}/profileInformationByKey?{credentials}&key=emailAddress&value=v1@example.com").json()
    attributes = {a["@name"]: a.get("value") for a in read["profileInformation"]["attribute"]}
    assert attributes["lastName"] == "Bos"
    assert tenant.client.get(f"{base}/profileInformationById?{credentials}&id={made.json()['value']}").status_code == 200
    wrong = tenant.client.post(
        f"{base}/updateOrCreateProfile?{credentials}",
        json={"profileInformation": {"attribute": [{"@name": "emailAddress", "value": "n@example.com"}]}},
    )
    assert wrong.status_code == 400
    assert "<errors><error>attribute 'lastName' is mandatory</error></errors>" in wrong.text


@pytest.mark.parametrize(
    ("attribute", "kept"),
    [
        ("<attribute name='lastName'>Vos</attribute>", "Vos"),
        (
            "<attribute name='lastName'><value><![CDATA[V & s]]></value><other>x</other></attribute><other name='x'/>",
            "V & s",
        ),
        (f"<attribute name='cardNumber'><value xmlns:xsi='{_XSI}' xsi:nil='true'/></attribute>", None),
    ],
)
@pytest.mark.parametrize("namespace", ["", " xmlns='http://example.com/profile'"])
def test_v1_xml_is_read_as_v4_xml_is(attribute: str, kept: str | None, namespace: str, tenant: Tenant) -> None:
    name = attribute.partition("name='")[2].partition("'")[0]
    key = '<attribute name="emailAddress"><value>ann@example.com</value></attribute>'
    address = f"/ActitoWebServices/ws/profile/v1/updateOrCreateProfile?licence={tenant.licence}&login={tenant.login}"
    saved = tenant.client.post(
        f"{address}&pwd={tenant.password}&table=Guests",
        content=f"<profileInformation{namespace}>{key}{attribute}</profileInformation>",
        headers={"Content-Type": "text/xml"},
    )
    assert saved.status_code == 200, saved.text
    assert _attributes(tenant)[name] == kept


def test_v1_takes_an_attribute_alone_for_the_list_of_it(tenant: Tenant) -> None:
    # What makes JSON of XML writes a list of one so.
    address = f"/ActitoWebServices/ws/profile/v1/updateOrCreateProfile?licence={tenant.licence}&login={tenant.login}"
    body = {"profileInformation": {"attribute": {"@name": "emailAddress", "value": "ANN@example.com"}}}
    assert tenant.client.post(f"{address}&pwd={tenant.password}&table=Guests", json=body).status_code == 200


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


@pytest.mark.parametrize(
    ("authorized", "size", "status", "closes"),
    [(False, 1_000_000, 401, False), (True, 3_000_000, 413, False), (True, 40_000_000, 413, True)],
)
def test_a_refused_body_is_read_so_that_its_refusal_arrives(
    tenant: Tenant, authorized: bool, size: int, status: int, closes: bool
) -> None:
    # Closed with bytes unread, the connection would be reset and the answer lost (RFC 9112, section 9.6).
    connection = http.client.HTTPConnection(tenant.client.base_url.host, tenant.client.base_url.port, timeout=30)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {tenant.api_key if authorized else 'wrong'}"}

    def pieces():
        for _ in range(size // 100_000):
            yield b" " * 100_000

    try:
        connection.request("POST", _TABLE + "/profile", pieces(), headers, encode_chunked=True)
    except (BrokenPipeError, ConnectionResetError):
        # Only what is far too large is cut off.
        assert closes
        return
    answer = connection.getresponse()
    answer.read()

    assert answer.status == status
    assert (answer.headers.get("Connection") == "close") == closes
    if not closes:
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200


def test_a_body_that_was_read_is_not_waited_for_again(tenant: Tenant) -> None:
    # Else the answer would come seconds later, and close the connection.
    for path, status in (("/docs/check", 200), ("/nothing/here", 404)):
        answer = tenant.client.post(path, content=b"{}")
        assert (answer.status_code, answer.headers.get("connection")) == (status, None)
