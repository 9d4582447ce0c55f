"""Custom tables whose records contents print: what launched campaigns name of them stays, and nothing is sent without it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from tests.contract.test_fitting import LATER, forget
from tests.contract.test_sending import MAIL, outbox, state
from tests.support.mailing import begin_now
from tests.support.tenant import Tenant
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("worker", "stays")

STAYS = "/v5/entities/hotels/custom-tables/Stays"
KEY = {
    "name": "to-guest", "attribute": "cardNumber", "onDelete": "CASCADE",
    "reference": {"tableType": "PROFILE_TABLE", "tableId": "Guests", "attribute": "cardNumber"},
}  # fmt: skip
SUBJECT = (
    "{% for stay in Stays %}{{ stay.price }} {% endfor %}{{ Stays | where: 'state', 'OPEN' | size }} of {{ Stays.size }}"
)
NEEDED: list[dict[str, Any]] = [
    {"operation": "removeAttribute", "name": "price"},
    {"operation": "removeAttribute", "name": "state"},
    {"operation": "rename", "name": "Nights"},
    {"operation": "removeForeignKey", "name": "to-guest"},
]


def change(tenant: Tenant, operation: dict[str, Any]) -> httpx.Response:
    return tenant.json("POST", f"{STAYS}/change-requests", {"operations": [operation]})


@pytest.fixture
def linked(tenant: Tenant) -> Tenant:
    """A licence whose stays belong to guests; Ann has one."""
    assert tenant.json("DELETE", f"{STAYS}/records/ST-00001").status_code == 204
    assert change(tenant, {"operation": "addForeignKey", "foreignKey": KEY}).status_code == 200
    ann = "/v5/entities/hotels/profile-tables/Guests/profiles/emailAddress=ann@example.com"
    assert tenant.json("PATCH", ann, {"attributes": {"cardNumber": "C1"}}).status_code == 200
    stay = {"key": {"stayRef": "ST-2"}, "attributes": {"cardNumber": "C1", "price": 80, "state": "OPEN"}}
    assert tenant.json("PUT", f"{STAYS}/records", stay).status_code == 201
    return tenant


def campaign(tenant: Tenant, mode: str = "MASS") -> int:
    number = tenant.campaign(mode=mode)
    assert tenant.json("PUT", f"{MAIL}/{number}/content/subject", {"subject": SUBJECT}).status_code == 200
    return number


def test_what_a_launched_campaign_prints_of_records_is_not_taken_away(linked: Tenant) -> None:
    number = campaign(linked)
    # In definition it keeps nobody from anything.
    assert change(linked, {"operation": "rename", "name": "Nights"}).status_code == 200
    nights = STAYS.replace("Stays", "Nights")
    back = {"operations": [{"operation": "rename", "name": "Stays"}]}
    assert linked.json("POST", f"{nights}/change-requests", back).status_code == 200
    assert linked.json("POST", f"{MAIL}/{number}/launch", LATER).status_code == 200
    for operation in NEEDED:
        before = linked.state()
        refused = change(linked, operation)
        assert (refused.status_code, refused.json()["code"]) == (409, "table.inUse"), operation
        assert "the campaign 'SpringOffer' is SCHEDULED" in refused.json()["message"]
        assert "'Stays" in refused.json()["message"]
        assert linked.state() == before
    deleted = linked.json("DELETE", STAYS)
    assert (deleted.status_code, deleted.json()["code"]) == (409, "table.inUse")
    assert "'Stays'" in deleted.json()["message"]
    # What it does not name may go.
    assert change(linked, {"operation": "removeAttribute", "name": "breakfast"}).status_code == 200
    assert linked.json("POST", f"{MAIL}/{number}/cancel").status_code == 200
    for operation in NEEDED[:2]:
        assert change(linked, operation).status_code == 200
    assert linked.json("DELETE", STAYS).status_code == 204


def test_contents_of_an_active_campaign_let_go_of_a_table(linked: Tenant) -> None:
    number = campaign(linked, "TRANSACTIONAL")
    assert linked.json("POST", f"{MAIL}/{number}/launch").json()["state"] == "ACTIVE"
    assert linked.json("DELETE", STAYS).json()["code"] == "table.inUse"
    assert linked.json("POST", f"{MAIL}/{number}/pause").status_code == 200
    assert linked.json("PUT", f"{MAIL}/{number}/content/subject", {"subject": "Hello"}).status_code == 200
    assert linked.json("POST", f"{MAIL}/{number}/resume").status_code == 200
    assert linked.json("DELETE", STAYS).status_code == 204


def test_campaigns_that_do_not_print_records_keep_nobody_from_deleting_them(linked: Tenant, other_tenant: Tenant) -> None:
    assert linked.json("POST", f"{MAIL}/{linked.campaign()}/launch", LATER).status_code == 200
    assert other_tenant.json("DELETE", STAYS).status_code == 204
    assert linked.json("DELETE", STAYS).status_code == 204


def test_a_campaign_whose_records_have_lost_what_it_prints_is_held_until_it_is_back(
    linked: Tenant, database: psycopg.Connection[Any]
) -> None:
    number = campaign(linked)
    assert linked.json("POST", f"{MAIL}/{number}/launch", LATER).status_code == 200
    forget(linked, database, "price", "custom_table")
    begin_now(database, number)
    until(lambda: state(linked, number) == "PAUSED")
    refused = linked.json("POST", f"{MAIL}/{number}/resume")
    assert (refused.status_code, refused.json()["code"]) == (409, "campaign.incomplete")
    assert "Stays.price" in refused.json()["message"]
    assert outbox(linked, database) == []
    # It has lost something already, and keeps nobody from what it does not need besides.
    assert change(linked, {"operation": "removeAttribute", "name": "breakfast"}).status_code == 200
    assert change(linked, NEEDED[1]).json()["code"] == "table.inUse"
    again = {"operation": "addAttribute", "attribute": {"name": "price", "valueType": "NUMBER"}}
    assert change(linked, again).status_code == 200
    assert linked.json("POST", f"{MAIL}/{number}/resume").json()["state"] == "IN_PROGRESS"
    until(lambda: state(linked, number) == "FINISHED")
    ((address, mail),) = outbox(linked, database)
    assert (address, mail["Subject"].split()) == ("ann@example.com", ["1", "of", "1"])


def test_a_launch_waits_for_a_change_and_sees_it(linked: Tenant, database: psycopg.Connection[Any]) -> None:
    number = campaign(linked)
    with ThreadPoolExecutor(1) as other:
        with database.transaction():
            forget(linked, database, "price", "custom_table")
            launched = other.submit(linked.json, "POST", f"{MAIL}/{number}/launch", LATER)
            waits = (
                "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
            )
            until(lambda: database.execute(waits).fetchone() == (True,))
        refused = launched.result()
    assert (refused.status_code, refused.json()["code"]) == (409, "campaign.incomplete")
    assert "Stays.price" in refused.json()["message"]
    assert state(linked, number) == "IN_DEFINITION"


def test_a_table_made_later_takes_no_name_from_a_campaign_that_runs(
    linked: Tenant, database: psycopg.Connection[Any]
) -> None:
    number = linked.campaign(mode="TRANSACTIONAL")
    one = f"{MAIL}/{number}"
    assert linked.json("PUT", f"{one}/content/subject", {"subject": "{{ lastName }}: {{ Stays.size }}"}).status_code == 200
    assert linked.json("POST", f"{one}/launch").status_code == 200
    taking = {
        "name": "lastName", "primaryKeyAttribute": "ref", "foreignKeys": [KEY],
        "attributes": [{"name": "ref", "valueType": "STRING"}, {"name": "cardNumber", "valueType": "STRING"}],
    }  # fmt: skip
    assert linked.json("POST", "/v5/entities/hotels/custom-tables", taking).status_code == 201
    preview = f"/v5/entities/hotels/mails/{number}/preview"
    shown = linked.json("POST", preview, {"profile": "emailAddress=ann@example.com"})
    assert (shown.status_code, shown.json().get("subject")) == (200, "Vos: 1"), shown.text
    for action in ("pause", "resume"):
        assert linked.json("POST", f"{one}/{action}").status_code == 200
    assert linked.json("POST", f"{one}/profile/emailAddress=ann@example.com").status_code == 200
    ((_, mail),) = until(lambda: outbox(linked, database))
    assert mail["Subject"] == "Vos: 1"
    # Who writes a new campaign has the table.
    again = linked.campaign("Another")
    refused = linked.json("PUT", f"{MAIL}/{again}/content/subject", {"subject": "{{ lastName }}"})
    assert (refused.status_code, refused.json()["code"]) == (400, "template.type"), refused.text
