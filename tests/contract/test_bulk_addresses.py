"""Every call of bulk imports on every alias: v4 in both formats, v5 in JSON only."""

import json
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from tests.contract.test_addresses import JSON, V4_FAMILIES, V5_FAMILIES, XML
from tests.support.etls import Etls, one_file
from tests.support.imports import Imports, unzipped, zipped
from tests.support.tenant import Tenant

pytestmark = pytest.mark.usefixtures("stays")

FILE = "emailAddress,lastName\nbob@example.com,Bob\nnobody,Cat\n"
ORDER = {"generateResultFile": True}


def _family(pattern: str) -> str:
    return pattern.replace("{category}", "mass-imports")


@pytest.mark.parametrize("family", V4_FAMILIES)
@pytest.mark.parametrize("accept", [JSON, XML])
@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("target", ["table/Guests", "customTable/Stays"])
def test_imports_of_v4(
    method: str, accept: str, family: str, target: str, tenant: Tenant, worker_database_url: str, spool: Path
) -> None:
    # Whole, since what begins with two slashes would name another host.
    base = f"{str(tenant.client.base_url).rstrip('/')}{_family(family)}/v4/entity/hotels"
    imports = Imports(tenant, worker_database_url, spool)
    content = FILE if target.endswith("Guests") else "stayRef,price\nST-1,5\nST-2,x\n"
    parts: Any = {"inputFile": ("x.zip", zipped(content)), "parameters": ("p.json", json.dumps(ORDER))}
    sent = tenant.client.request(method, f"{base}/{target}/import", files=parts, headers=_headers(tenant, accept))
    assert sent.status_code == 201, sent.text
    job_id = int(_member(sent, accept, "/import/id"))
    assert sent.headers["location"].lstrip("/").endswith(f"v4/entity/hotels/import/{job_id}/status")
    one = f"{base}/import/{job_id}"

    def get(path: str) -> Any:
        return tenant.client.get(one + path, headers=_headers(tenant, accept))

    assert get("/errors").status_code == 409
    imports.run(job_id)
    assert _member(get("/status"), accept, "/importStatus/percent") == "100"
    assert _member(get("/result"), accept, "/importResult/rowsInError") == "1"
    assert len(unzipped(get("/errors").content)) == 1
    assert len(unzipped(get("/result-file").content)) == 2
    ended = tenant.client.delete(one, headers=_headers(tenant, accept))
    assert (ended.status_code, _member(ended, accept, "/error/code")) == (409, "job.state")


@pytest.mark.parametrize("family", V5_FAMILIES)
def test_etls_of_v5(family: str, tenant: Tenant, worker_database_url: str, spool: Path) -> None:
    base = f"{_family(family)}/v5/entities/hotels"
    etls = Etls(tenant, worker_database_url, spool)
    made = tenant.json("POST", f"{base}/etls", {"name": "daily", **one_file()})
    assert made.status_code == 201, made.text
    one = f"{base}/etls/{made.json()['id']}"
    assert tenant.json("GET", f"{base}/etls").json()["etls"][0]["name"] == "daily"
    assert tenant.json("PUT", one, {"name": "weekly", **one_file()}).json()["name"] == "weekly"
    assert tenant.json("PATCH", one, {"generateResultFile": True}).json()["generateResultFile"] is True
    assert tenant.json("GET", one).json()["name"] == "weekly"
    assert etls.send(f"{base}/etl-executions", {"a.csv": FILE}, one_file()).status_code == 201
    number = etls.send(f"{one}/trigger-execution", {"a.csv": FILE}).json()["id"]
    execution = f"{base}/etl-executions/{number}"
    assert tenant.json("GET", f"{execution}/errors").status_code == 409
    etls.run(number)
    assert tenant.json("GET", execution).json()["rowsInError"] == 1
    assert len(tenant.json("GET", f"{base}/etl-executions").json()["executions"]) == 2
    for path in ("errors", "result-file"):
        assert tenant.json("GET", f"{execution}/{path}").headers["content-type"] == "application/zip"
    assert tenant.json("DELETE", execution).json()["code"] == "job.state"
    assert tenant.json("DELETE", one).status_code == 204
    for path in (execution, f"{base}/etls", f"{base}/etl-executions"):
        assert tenant.client.get(path, headers=_headers(tenant, XML)).status_code == 406


def _headers(tenant: Tenant, accept: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {tenant.api_key}", "Accept": accept}


def _member(answer: Any, accept: str, path: str) -> str:
    """A member of an answer, named by its place in the XML one."""
    if accept == JSON:
        return str(answer.json()[path.rsplit("/", 1)[1]])
    assert answer.headers["content-type"] == "application/xml;charset=UTF-8"
    return etree.fromstring(answer.content).xpath(path)[0].text
