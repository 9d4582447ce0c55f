"""The manners of the protocol, and what integrations do with it that the server must survive."""

import base64
import gzip
import http.client
import json
import socket
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.support.guests import GUEST, TABLE, add, attributes
from tests.support.tenant import Tenant
from tests.support.tenants import Tenants


def test_unencoded_and_encoded_references_are_the_same(tenant: Tenant) -> None:
    for reference in ("emailAddress=ann@example.com", "emailAddress%3Dann%40example.com", "EMAILADDRESS=ANN@EXAMPLE.COM"):
        assert tenant.json("GET", f"{TABLE}/profile/{reference}").status_code == 200


def test_a_plus_in_a_path_is_a_plus_and_in_a_query_too_for_addresses(tenant: Tenant) -> None:
    assert (
        add(
            tenant,
            {"attributes": [{"name": "emailAddress", "value": "a+b@example.com"}, {"name": "lastName", "value": "Plus"}]},
        ).status_code
        == 201
    )

    assert attributes(tenant, "emailAddress=a+b@example.com")["lastName"] == "Plus"
    for query in ("search=emailAddress=a+b@example.com", "search=emailAddress~a+b"):
        assert len(tenant.json("GET", f"{TABLE}/profile?{query}").json()["profiles"]) == 1, query
    for test in ('="a+b@example.com"', '+in+("A+B@example.com")', '+contains+"a+b"', '+startsWith+"a+"'):
        found = tenant.json("GET", f"/v5/entities/hotels/profile-tables/Guests/profiles?filter=emailAddress{test}").json()
        assert len(found["profiles"]) == 1, test


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
    head = f"GET {TABLE}/profile?%s HTTP/1.1\r\nAuthorization: Bearer {tenant.api_key}"
    for query in ("search=emailAddress=ann@example.com&dateFilter=updateMoment>=2024-03-01", 'search=lastName="é<>`'):
        for charset in ("utf-8", "latin-1"):
            status, body = _raw(tenant, (head % query).encode(charset))
            encoded = tenant.call("GET", f"{TABLE}/profile?{quote(query.encode(charset), safe='=&@')}")
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


@pytest.mark.parametrize("more", ["", "Connection: keep-alive\r\n"])
def test_http_1_0_is_answered_with_length_and_close(more: str, tenant: Tenant) -> None:
    with socket.create_connection(("127.0.0.1", tenant.client.base_url.port), timeout=10) as raw:
        raw.sendall(f"GET /v4/entity HTTP/1.0\r\n{more}Authorization: Bearer {tenant.api_key}\r\n\r\n".encode())
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
    answer = tenant.client.put(GUEST, content=iter([body[:10], body[10:]]), headers=headers)
    assert answer.status_code == 200
    assert attributes(tenant)["lastName"] == "Chunk"


def test_a_category_stands_behind_a_segmentation_alone(tenant: Tenant) -> None:
    assert tenant.call("PUT", GUEST + "/segmentation/Vip;category=Gold").status_code == 200
    answer = tenant.call("POST", GUEST + "/subscription/Newsletter;category=Gold")
    assert (answer.status_code, answer.json()["code"]) == (404, "subscription.unknown")


@pytest.mark.parametrize("body", ["", "null", "[]", "{}", "\ufeff"])
def test_an_empty_body_subscribes(body: str, tenant: Tenant) -> None:
    answer = tenant.call("POST", GUEST + "/subscription/Newsletter", content=body)
    assert answer.status_code == 200
    assert answer.json()["subscribe"] is True


def test_content_type_on_a_get_is_ignored(tenant: Tenant) -> None:
    assert tenant.call("GET", GUEST, headers={"Content-Type": "application/json"}).status_code == 200
    assert tenant.call("GET", GUEST, headers={"Content-Type": "nonsense"}).status_code == 200


@pytest.mark.parametrize(
    "accept", [None, "*/*", "application/json, text/plain, */*", "application/*", "text/html, */*;q=0.1"]
)
def test_lenient_accepts_get_json(accept: str | None, tenant: Tenant) -> None:
    answer = tenant.call("GET", GUEST, headers={} if accept is None else {"Accept": accept})
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"


@pytest.mark.parametrize(("coding", "packed"), [("gzip", True), ("x-gzip", True), ("identity, br", True), ("UTF-8", False)])
def test_a_compressed_body_hears_that_it_should_not_be(coding: str, packed: bool, tenant: Tenant) -> None:
    new = [{"name": "emailAddress", "value": "zip@example.com"}, {"name": "lastName", "value": "Zip"}]
    body = json.dumps({"attributes": new}).encode()
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    answer = tenant.call("POST", TABLE + "/profile", content=gzip.compress(body) if packed else body, headers=headers)
    if not packed:
        assert answer.status_code == 201, "a charset in the wrong header does no harm"
        return
    assert (answer.status_code, answer.json()["code"]) == (415, "contentType.unsupported")
    assert answer.headers["Accept-Encoding"] == "identity"
    form = {"Content-Type": "multipart/form-data; boundary=b", "Content-Encoding": coding}
    upload = tenant.call("POST", TABLE + "/import", content=gzip.compress(b"--b--"), headers=form)
    assert (upload.status_code, upload.json()["code"]) == (415, "contentType.unsupported")


def test_head_and_options(tenant: Tenant) -> None:
    head = tenant.call("HEAD", GUEST)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["ETag"]
    options = tenant.call("OPTIONS", GUEST)
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
    wrong = tenant.json("PATCH", GUEST, {})
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method.notAllowed")
    assert "PUT" in wrong.headers["Allow"]
    for path in ("/nothing", "/nonsense/v4/entity", "/v4", "/v6/entities"):
        answer = tenant.json("GET", path)
        assert (answer.status_code, answer.json()["code"]) == (404, "route.unknown")


def test_large_answers_are_compressed_when_asked(tenant: Tenant) -> None:
    answer = tenant.call("GET", "/openapi.json", headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200
    listed = tenant.call("GET", GUEST, headers={"Accept-Encoding": "identity"})
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
    answer = tenant.json("POST", TABLE + "/profile", {"attributes": [{"name": "lastName", "value": "x" * 2_200_000}]})
    assert (answer.status_code, answer.json()["code"]) == (413, "body.tooLarge")


def test_headers_that_name_what_was_ignored_stay_short(tenant: Tenant) -> None:
    # Proxies answer 502 for a head of more than 4 kB, and clients give up at 64.
    body = {"attributes": []} | {f"{number}\x01é{'x' * 60_000}": 1 for number in range(30)}
    answer = tenant.json("PUT", GUEST, body)
    assert answer.status_code == 200, answer.text
    members = answer.headers["X-Ignored-Members"]
    assert members.startswith("0\\u0001?xxx")
    assert members.endswith(", ... (30)")
    read = tenant.call("GET", f"{TABLE}/profile?{'y' * 60_000}=1")
    assert read.status_code == 200
    assert max(len(members), len(read.headers["X-Ignored-Parameters"])) < 3_000


def test_unknown_members_are_named_in_a_header(tenant: Tenant) -> None:
    answer = tenant.json("PUT", GUEST, {"attributes": [{"name": "points", "value": 3, "extra": 1}], "more": {}})
    assert answer.status_code == 200
    assert answer.headers["X-Ignored-Members"] == "attributes[0].extra, more"


@pytest.mark.parametrize(
    ("path", "body", "code", "hint"),
    [
        (TABLE + "/profile", {"atributes": [], "segmentations": []}, "attribute.mandatory", "atributes"),
        ("/v5/entities/hotels/profile-tables", {"nam": "Stays", "attributes": []}, "member.mandatory", "nam"),
        (
            "/v5/entities/hotels/custom-tables",
            {"name": "Orders", "attributes": [{"nam": "ref", "valueType": "STRING"}]},
            "member.mandatory",
            "attributes[0].nam",
        ),
        (TABLE + "/profile", [], "attribute.mandatory", "empty list"),
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
    assert tenant.json("POST", path, [body]).json()["errors"][0]["message"].startswith("the document expects an object")


def test_the_reason_phrase_is_the_standard_one(tenant: Tenant) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", tenant.client.base_url.port, timeout=10)
    connection.request("GET", "/v4/entity")
    assert connection.getresponse().reason == "Unauthorized"


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
        connection.request("POST", TABLE + "/profile", pieces(), headers, encode_chunked=True)
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
