"""What the trail tells of a call: who, with what, which request."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from tabellion.cli.root import app
from tests.support.tenant import Tenant

PROFILES = "/v5/entities/hotels/profile-tables/Guests/profiles"


@pytest.fixture
def trail(worker_database_url: str, tenant: Tenant) -> Any:
    """What `tabellion audit` tells of a request."""

    def told(request_id: str) -> list[dict[str, Any]]:
        command = ["audit", tenant.licence, "--request", request_id, "--json", "--database-url", worker_database_url]
        shown = CliRunner().invoke(app(["audit"]), command)
        assert shown.exit_code == 0, shown.stderr
        return json.loads(shown.stdout)

    return told


def test_the_trail_tells_what_a_caller_authenticated_with(tenant: Tenant, trail: Any) -> None:
    token = tenant.call("GET", "/auth/token", headers={"Authorization": tenant.api_key}).json()["accessToken"]
    body = {"key": {"emailAddress": "ann@example.com"}, "attributes": {"lastName": "Vos"}}
    ways = {"key": {"auth": None}, "token": {"auth": None}, "password": {"auth": tenant.basic}}
    bearers = {"key": tenant.api_key, "token": token}
    for number, (credential, options) in enumerate(ways.items()):
        headers = {"Authorization": f"Bearer {bearers[credential]}"} if credential in bearers else {}
        body["attributes"]["lastName"] = f"Vos {number}"
        answer = tenant.client.put(PROFILES, json=body, headers=headers, **options)
        assert answer.status_code == 200, answer.text
        (entry,) = trail(answer.headers["X-Request-Id"])
        assert (entry["actor"], entry["credential"], entry["route"]) == (tenant.login, credential, "profiles.v5.put")
        assert entry["object"].startswith("profile/")
        # A statement of its own, and not the one of the write of rows.
        made = tenant.client.post(
            "/v5/entities/hotels/custom-actions", json={"name": f"Call {number}"}, headers=headers, **options
        )
        assert made.status_code == 201, made.text
        (entry,) = trail(made.headers["X-Request-Id"])
        assert (entry["credential"], entry["userId"] is not None) == (credential, True)


def test_a_request_that_changes_nothing_leaves_no_entry(tenant: Tenant, trail: Any) -> None:
    answer = tenant.json("PUT", PROFILES, {"key": {"emailAddress": "ann@example.com"}, "attributes": {"lastNaam": "x"}})
    assert answer.status_code == 400
    assert trail(answer.headers["X-Request-Id"]) == []
