"""Hostile requests: none is answered 5xx, every refusal says what is wrong in the asked format, and none changes anything.

The suite sends some two thousand; `make hostile` sends TABELLION_HOSTILE of them, from another seed.
"""

import json
import os
import socket
from collections import Counter
from itertools import islice

import httpx
import pytest
from lxml import etree

from tabellion.server.calls import CALLS
from tests.support import plain
from tests.support.api import Api
from tests.support.hostile import Attack, attacks
from tests.support.tenants import Tenants

REQUESTS = int(os.environ.get("TABELLION_HOSTILE", "2000"))
SEED = int(os.environ.get("TABELLION_HOSTILE_SEED", "1"))
# Requests between two looks at the licence's state.
BATCH = 10
SHARES = 4
KEPT = {"idempotency"}


@pytest.mark.parametrize("share", range(SHARES))
def test_no_hostile_request_is_answered_5xx_and_no_refused_one_changes_anything(
    share: int, tenants: Tenants, client: httpx.Client
) -> None:
    tenant, seen, checked = tenants.create(client), Counter[int](), 0
    tenant.campaign()
    calls = tuple(call for call in CALLS if call.version != "v1")
    # The answer to a call with Idempotency-Key is kept, also a refusal.
    before, refused = tenant.state(but=KEPT), list[Attack]()

    for attack in islice(attacks(calls, SEED * SHARES + share), REQUESTS // SHARES):
        try:
            answer = tenant.call(attack.call.method, attack.path, content=attack.content, headers=attack.headers)
        except httpx.HTTPError as error:
            raise AssertionError(
                f"{attack.call.method} {attack.path} {attack.headers} {attack.content!r}: {error}"
            ) from error
        seen[answer.status_code // 100] += 1
        assert answer.status_code < 500, f"{attack}: {answer.text}"
        if answer.status_code >= 400:
            check_refusal(answer, attack)
            refused.append(attack)
        elif attack.call.writes:
            # It was not hostile enough, and may have taken the table along.
            tables = ("table/Guests", "customTable/Stays")
            if any(tenant.json("GET", f"/v4/entity/hotels/{table}").status_code != 200 for table in tables):
                tenant = tenants.create(client)
                tenant.campaign()
            before, refused = tenant.state(but=KEPT), []
        if len(refused) == BATCH:
            assert tenant.state(but=KEPT) == before, f"one of these changed something though it was refused: {refused}"
            refused, checked = [], checked + BATCH

    print(f"{seen.total()} hostile requests: {dict(seen)}, {checked} of them seen to change nothing")
    assert seen[4] > seen.total() / 2
    assert checked > seen.total() / 4


def check_refusal(answer: httpx.Response, attack: Attack) -> None:
    """The error model, in a format that the caller can read."""
    kind = answer.headers.get("content-type", "")
    if answer.request.method == "HEAD":
        return
    if "xml" in kind:
        root = etree.fromstring(answer.content)
        assert root.tag == "error", attack
        found = {child.tag for child in root}
    else:
        assert "json" in kind, f"{attack}: {kind}"
        found = set(json.loads(answer.content))
    assert {"status", "code", "requestId"} <= found, f"{attack}: {answer.text}"


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic " + "A" * 9000,
        "Basic Og==",
        "Basic L2E6Yg==",
        "Basic AAAA",
        "Basic /////w==",
        "Bearer",
        "Bearer tbl_",
        "Bearer tbl_" + "A" * 49,
        "Bearer tat_' OR 1=1",
        "Bearer " + "x" * 9000,
        "Digest username=x",
        "Negotiate abc",
        "tbl_x",
        "\xff\xfe",
        "null",
    ],
)
def test_hostile_credentials_are_refused(authorization: str, api: Api) -> None:
    answer = plain.get(f"{api.url}/v4/entity", headers={"Authorization": authorization.encode("latin-1")}, timeout=30)

    assert answer.status_code in {400, 401, 429}, answer.text
    assert {"status", "code", "requestId"} <= set(answer.json())


@pytest.mark.parametrize(
    "query", ["", "licence=", "licence=%00&login=a&pwd=b", "licence='&login='&pwd='", "pwd=" + "x" * 5000]
)
@pytest.mark.parametrize("call", [call for call in CALLS if call.version == "v1"], ids=lambda call: call.id)
def test_hostile_v1_requests_are_refused(call, query: str, api: Api) -> None:
    answer = plain.request(call.method, f"{api.url}{call.path}?{query}", content=b"<x>", timeout=30)

    assert 400 <= answer.status_code < 500, answer.text
    assert etree.fromstring(answer.content).tag == "errors"


RAW = (
    b"\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /v4/entity\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v4/%zz%00%ff HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v4/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://other.example/v4/entity HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v4/entity HTTP/1.1\r\n\r\n",
    b"GET /v4/entity HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /v4/entity HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
    b"GET /v4/entity HTTP/1.1\r\nHost: x\r\nBad Header: a\r\n\r\n",
    b"GET /v4/entity HTTP/1.1\r\nHost: x\r\nX-Y: \x00\x01\xff\r\n\r\n",
    b"GET /v4/entity HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(300)) + b"\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /v4/entity HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /v4/entity HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /v4/entity HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /v4/entity HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /v4/entity HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT other.example:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"FOO /v4/entity HTTP/1.1\r\nHost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)


@pytest.mark.parametrize("sent", RAW, ids=lambda sent: repr(sent[:40]))
def test_hostile_bytes_on_the_wire_get_a_refusal_or_the_door(sent: bytes, api: Api) -> None:
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk

    statuses = [line.split()[1] for line in received.split(b"\r\n") if line.startswith(b"HTTP/1.")]
    assert all(status[:1] != b"5" for status in statuses), received[:300]
    assert plain.get(f"{api.url}/health", timeout=10).status_code == 200
