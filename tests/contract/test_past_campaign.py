"""The demo's campaign of last week, where the demo was killed while it was made."""

import http.client

import httpx
import psycopg
import pytest

from tabellion.cli import past_campaign
from tabellion.cli.walk import Client
from tests.support.tenant import Tenant
from tests.support.tenants import Tenants

pytestmark = pytest.mark.usefixtures("worker")
MAIL = "/v4/entity/hotels/mail"
TABLE = {
    "name": "Contacts",
    "attributes": [{"type": "EMAIL_ADDRESS", "name": "emailAddress"}, {"type": "FIRSTNAME", "name": "firstName"}],
    "subscriptions": [{"name": "Newsletter"}],
}


class Died(Exception):
    """The demo is no more."""


class Mortal(Client):
    """Dies when a call has been answered."""

    def __init__(self, base: str, key: str, last: tuple[str, str]) -> None:
        super().__init__(base, key)
        self._last = last

    def _answer(self, method: str, path: str, content: str | None, headers: dict[str, str]) -> http.client.HTTPResponse:
        answer = super()._answer(method, path, content, headers)
        if method == self._last[0] and path.endswith(self._last[1]):
            answer.read()
            raise Died
        return answer


@pytest.fixture
def shop(tenants: Tenants, client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> Tenant:
    """A licence as the demo fills it, with fewer people."""
    tenant = tenants.create(client, table=False)
    assert tenant.json("POST", "/v5/entities/hotels/profile-tables", TABLE).status_code == 201
    for i in range(60):
        person = {"key": {"emailAddress": f"p{i}@example.com"}, "subscriptions": {"Newsletter": True}}
        assert tenant.json("PUT", "/v5/entities/hotels/profile-tables/Contacts/profiles", person).status_code == 201
    monkeypatch.setattr(past_campaign, "LICENCE", tenant.licence)
    monkeypatch.setattr(past_campaign, "MAIL", MAIL)
    return tenant


@pytest.mark.parametrize("last", [("POST", "/mail"), ("PUT", "/content/body"), ("POST", "/launch"), ("POST", "/bounces")])
def test_what_a_killed_demo_has_begun_the_next_one_finishes(
    last: tuple[str, str], shop: Tenant, worker_database_url: str
) -> None:
    base = str(shop.client.base_url)
    with pytest.raises(Died):
        past_campaign.past_campaign(Mortal(base, shop.api_key, last), worker_database_url)

    for _ in range(2):
        past_campaign.past_campaign(Client(base, shop.api_key), worker_database_url)

    (campaign,) = shop.json("GET", MAIL).json()["mailDocuments"]
    assert (campaign["name"], campaign["state"]) == (past_campaign.NAME, "FINISHED")
    report = shop.json("GET", f"{MAIL}/{campaign['campaignId']}/report").json()
    assert (report["sent"], report["hardBounces"], report["softBounces"], report["complaints"]) == (60, 6, 5, 1)
    assert report["uniqueOpens"] > 10
    with psycopg.connect(worker_database_url) as db:
        query = "SELECT now() - started_at > interval '3 days' FROM tabellion.campaign WHERE id = %s"
        assert db.execute(query, (campaign["campaignId"],)).fetchone() == (True,)
