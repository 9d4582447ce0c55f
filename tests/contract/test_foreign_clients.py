"""What clients of other languages send, byte by byte as they were seen to, and what their programs can make of the answers."""

import base64
import json
import socket
from typing import Any

import httpx
import pytest

from tests.support.tenant import Tenant
from tests.support.tenants import Tenants

pytestmark = pytest.mark.usefixtures("stays")

_PROFILE = "/v4/entity/hotels/table/Guests/profile"
_ANN = _PROFILE + "/emailAddress=ann@example.com"
_BODY = {"attributes": [{"name": "emailAddress", "value": "ann@example.com"}, {"name": "lastName", "value": "Vos"}]}


def _answer(tenant: Tenant, request: str) -> str:
    """The answer to a request as it stands, up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", tenant.client.base_url.port), timeout=10) as raw:
        raw.sendall(request.encode())
        answer = b""
        while piece := raw.recv(65536):
            answer += piece
    return answer.decode()


def test_each_challenge_has_a_line_of_its_own(tenant: Tenant) -> None:
    # Perl's LWP takes a line for one challenge, and gives up on Bearer without having seen Basic.
    request = "GET /v4/entity HTTP/1.1\r\nTE: deflate,gzip;q=0.3\r\nConnection: TE, close\r\nHost: x\r\nUser-Agent: libwww-perl/6.68\r\n\r\n"
    found = [line for line in _answer(tenant, request).split("\r\n") if line.lower().startswith("www-authenticate:")]
    assert found == ['www-authenticate: Bearer realm="actito"', 'www-authenticate: Basic realm="actito"']
    # One for people has a parameter more, and stays whole.
    page = tenant.client.get("/email-campaigns/v5/entities/hotels/mails/1/report/page")
    assert page.headers.get_list("www-authenticate") == ['Basic realm="tabellion", charset="UTF-8"']


def test_basic_credentials_come_in_lines_or_unpadded(tenants: Tenants, tenant: Tenant) -> None:
    password = "a password of some length, as password managers make them"
    login = next(each for each in ("shop", "shops") if len(f"{tenant.licence}/{each}:{password}") % 3)
    tenants.user(tenant.licence, login, password=password)
    # encode_base64 of Perl: a line break each 76 characters, which LWP sends as a blank.
    encoded = base64.encodebytes(f"{tenant.licence}/{login}:{password}".encode()).decode()
    whole = encoded.replace("\n", "")
    for form in (whole, whole.rstrip("="), encoded.rstrip().replace("\n", " ")):
        answer = tenant.call("GET", "/v4/entity", headers={"Authorization": f"Basic {form}"})
        assert answer.status_code == 200, answer.text
    assert len({whole, whole.rstrip("="), encoded.rstrip().replace("\n", " ")}) == 3


@pytest.mark.parametrize("accept", ["*", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "image/png, *;q=0.1"])
def test_a_lone_star_accepts_anything(accept: str, tenant: Tenant) -> None:
    answer = tenant.call("GET", _ANN, headers={"Accept": accept})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json;charset=UTF-8")


def test_an_empty_text_is_no_body(tenant: Tenant) -> None:
    # json_encode('') of PHP.
    assert tenant.call("POST", _ANN + "/subscription/Newsletter", content='""').status_code == 200


def _told(answer: httpx.Response, status: int, words: str) -> None:
    assert answer.status_code == status
    assert words in answer.json()["message"]


@pytest.mark.parametrize(
    ("body", "content_type", "status", "words"),
    [
        (json.dumps(_BODY), "application/x-www-form-urlencoded", 415, "sent by curl -d, PHP, Java and Ruby"),
        (json.dumps(_BODY), "text/plain;charset=UTF-8", 415, "say in the header Content-Type what the body is"),
        (json.dumps(_BODY), "application/xml", 400, "this looks like JSON"),
        ("<profile/>", "application/json", 400, "this looks like XML"),
        ('<?xml version="1.0"?><profile/>', "application/json", 400, "this looks like XML"),
        (json.dumps(_BODY).replace("Vos", "Hél").encode("latin-1"), "application/json;charset=ISO-8859-1", 400, "whatever charset"),
        ('{"attributes": {"1": {"name": "lastName", "value": "Vos"}, "3": {}}}', "application/json", 400, "array_values()"),
        ("<?xml version='1.0' encoding='utf-16'?><profile/>".encode("utf-16"), "text/xml", 400, "send UTF-8 or ISO-8859-1"),
        ("<?xml version='1.0' encoding='utf-16'?><profile/>", "text/xml", 400, "and declare it so"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_the_client_did_by_itself(
    body: Any, content_type: str, status: int, words: str, tenant: Tenant
) -> None:
    before = tenant.state()
    _told(tenant.call("PUT", _ANN, content=body, headers={"Content-Type": content_type}), status, words)
    assert tenant.state() == before


@pytest.mark.parametrize(
    ("method", "path"),
    [("get", _ANN), ("post", _PROFILE), ("patch", "/v5/entities/hotels/profile-tables/Guests/profiles/1"), ("put", "/docs")],
)
def test_a_method_in_small_letters_is_told_of(method: str, path: str, tenant: Tenant) -> None:
    # As CURLOPT_CUSTOMREQUEST, send_request of Ruby and fetch (of patch alone) pass it on.
    answer = _answer(tenant, f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith("HTTP/1.1 405 Method Not Allowed")
    assert ("methods are written in capitals" in answer) == (method != "put")


@pytest.mark.parametrize(
    ("members", "kept"),
    [
        ({"value": "Vos", "values": None}, "Vos"),
        ({"value": "Vos", "values": []}, "Vos"),
        ({"value": "Vos", "values": ["Vos"]}, "Vos"),
        ({"value": None, "values": ["SPA"]}, ["SPA"]),
        ({"value": "", "values": ["SPA", "GOLF"]}, ["SPA", "GOLF"]),
        ({"value": "SPA", "values": None}, ["SPA"]),
        ({"value": None, "values": []}, []),
    ],
)
def test_the_empty_one_of_value_and_values_yields(members: dict[str, Any], kept: Any, tenant: Tenant) -> None:
    # Classes of Java and C# have both, and their serialisers write both.
    name = "interests" if isinstance(kept, list) else "lastName"
    assert tenant.json("PUT", _ANN, {"attributes": [{"name": name} | members]}).status_code == 200
    found = {a["name"]: a.get("value", a.get("values")) for a in tenant.call("GET", _ANN).json()["attributes"]}
    assert found[name] == kept


def test_value_and_values_empty_alike_clear(tenant: Tenant) -> None:
    item = {"name": "birthDate", "value": None, "values": []}
    assert tenant.json("PUT", _ANN, {"attributes": [item]}).status_code == 200


@pytest.mark.parametrize(
    ("members", "status", "kept"),
    [
        ({"values": "3.5"}, 200, 3.5),
        ({"value": None, "values": 3.5}, 200, 3.5),
        ({"value": 3.5, "values": []}, 200, 3.5),
        ({"values": [3.5]}, 400, 249.5),
        ({"value": None}, 200, None),
    ],
)
def test_values_of_a_record_is_value(members: dict[str, Any], status: int, kept: float | None, tenant: Tenant) -> None:
    # One class for the attributes of profiles and records: `values` was ignored, and what stood there was cleared.
    record = "/v4/entity/hotels/customTable/Stays/record/ST-00001"
    assert tenant.json("PUT", record, {"properties": [{"name": "price"} | members]}).status_code == status
    found = {p["name"]: p["value"] for p in tenant.call("GET", record).json()["properties"]}
    assert found["price"] == kept


@pytest.mark.parametrize("subscribe", [True, False])
def test_a_null_under_the_other_name_takes_no_choice_away(subscribe: bool, tenant: Tenant) -> None:
    path = _ANN + "/subscription/Newsletter"
    assert tenant.call("POST" if not subscribe else "DELETE", path).status_code < 300
    for item in ({"subscribe": subscribe, "subscription": None}, {"subscription": None, "subscribe": subscribe}):
        body = {"subscriptions": [{"name": "Newsletter"} | item]}
        assert tenant.json("PUT", _ANN, body).status_code == 200
        assert tenant.call("GET", _ANN).json()["subscriptions"][0]["subscribe"] is subscribe


@pytest.mark.parametrize(("flag", "status"), [("0", 409), ("False", 409), ("1", 200), ("TRUE", 200), ("", 200), ("no", 400)])
def test_a_flag_of_the_query_may_be_a_digit(flag: str, status: int, tenant: Tenant) -> None:
    # http_build_query of PHP writes true and false as 1 and 0.
    assert tenant.json("POST", f"{_PROFILE}?allowUpdate={flag}", _BODY).status_code == status
    records = tenant.call("GET", f"/v4/entity/hotels/customTable/Stays/record?ascending={flag}")
    assert records.status_code == (400 if status == 400 else 200)
