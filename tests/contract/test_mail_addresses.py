"""The calls of e-mail campaigns that carry files, on every alias: v4 in both formats, v5 in JSON only.

Those that carry documents are in the table of `test_addresses.py`.
"""

import json
from typing import Any

import httpx
import pytest
from lxml import etree

from tests.contract.test_addresses import JSON, V4_FAMILIES, V5_FAMILIES, XML
from tests.support.tenant import Tenant
from tests.support.zips import packed

_BOB = {"attributes": [{"name": "emailAddress", "value": "bob@example.com"}, {"name": "lastName", "value": "Bos"}]}
_PAGE = b"<html><body><p>Packed</p></body></html>"


def _send(tenant: Tenant, method: str, address: str, accept: str = JSON, **body: Any) -> httpx.Response:
    # Whole, since what begins with two slashes would name another host.
    url = f"{str(tenant.client.base_url).rstrip('/')}{address}"
    headers = {"Authorization": f"Bearer {tenant.api_key}", "Accept": accept} | body.pop("headers", {})
    return tenant.client.request(method, url, headers=headers, **body)


def _member(answer: httpx.Response, accept: str, name: str) -> str:
    assert answer.status_code == 200, answer.text
    if accept == JSON:
        return str(answer.json()[name])
    assert answer.headers["content-type"] == "application/xml;charset=UTF-8"
    return etree.fromstring(answer.content).xpath(f"//{name}")[0].text


@pytest.mark.parametrize("family", V4_FAMILIES)
@pytest.mark.parametrize("accept", [JSON, XML])
def test_the_body_of_a_mail(tenant: Tenant, family: str, accept: str) -> None:
    number = tenant.campaign()
    body = f"{family.replace('{category}', 'email-campaigns')}/v4/entity/hotels/mail/{number}/content/body"
    for method in ("POST", "PUT"):
        sent = _send(
            tenant, method, body, accept, files={"inputFile": ("mail.zip", packed({"index.html": _PAGE}), "application/zip")}
        )
        assert _member(sent, accept, "campaignId") == str(number)
        assert b"Packed" in _send(tenant, "GET", body, accept).content
        written = _send(tenant, method, body, accept, content=b"<p>Written</p>", headers={"Content-Type": "text/html"})
        assert _member(written, accept, "campaignId") == str(number)
        read = _send(tenant, "GET", body, accept)
        assert (read.status_code, read.headers["content-type"].partition(";")[0]) == (200, "text/html")
        assert b"Written" in read.content


@pytest.mark.parametrize("family", V4_FAMILIES)
@pytest.mark.parametrize("accept", [JSON, XML])
def test_a_trigger_with_files(tenant: Tenant, family: str, accept: str) -> None:
    number = tenant.campaign("Invoice", "TRANSACTIONAL")
    assert tenant.json("POST", f"/v4/entity/hotels/mail/{number}/launch").status_code == 200
    one = f"{family.replace('{category}', 'email-campaigns')}/v4/entity/hotels/transactionalmail/{number}/contactWithAttachment"
    parts = [("contact", (None, json.dumps({"profile": _BOB}))), ("attachment", ("a.txt", b"a", "text/plain"))]
    assert int(_member(_send(tenant, "POST", one, accept, files=parts), accept, "interactionId")) > 0


@pytest.mark.parametrize("family", V5_FAMILIES)
def test_reports_lists_and_keys_of_v5(tenant: Tenant, family: str) -> None:
    tenant.campaign()
    base = f"{family.replace('{category}', 'email-campaigns')}/v5"
    report = f"{base}/entities/hotels/mails/SpringOffer/report"
    kinds = {"": JSON, "/csv": "text/csv", "/page": "text/html", "/chart": "image/svg+xml", "/png": "image/png"}
    for end, kind in kinds.items():
        answer = _send(tenant, "GET", report + end, "*/*")
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, kind)
    exported = _send(tenant, "GET", f"{base}/suppression-export", "*/*")
    assert (exported.status_code, exported.headers["content-type"].partition(";")[0]) == (200, "text/csv")
    audience = {"name": "Members", "targetTable": "Guests"}
    made = _send(tenant, "POST", f"{base}/entities/hotels/audiences", json=audience)
    assert made.status_code == 201, made.text
    keys = {"inputFile": ("keys.csv", b"emailAddress\nann@example.com\n", "text/csv")}
    put = _send(tenant, "PUT", f"{base}/entities/hotels/audiences/Members/keys?attribute=emailAddress", files=keys)
    assert put.json()["keys"]["count"] == 1
