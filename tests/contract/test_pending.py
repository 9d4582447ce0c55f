"""Reports of campaigns that are on their way: why mails are pending, as documents, table and page."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from lxml import etree
from playwright.sync_api import Browser

from tabellion.platform import secrets
from tests.contract.conftest import TRANSFERS
from tests.contract.test_pacing import closed_now
from tests.contract.test_sending import MAIL, PROFILES, guests
from tests.support.api import free_port
from tests.support.browser import shoot
from tests.support.mailing import Sink, sending
from tests.support.tenant import Tenant
from tests.support.waiting import until

V5 = "/v5/entities/hotels/mails"


def launched(tenant: Tenant, **settings: Any) -> int:
    """A campaign that has begun; `settings` say when and how fast its mails leave."""
    number = tenant.campaign(displayName="Spring <offer> & more")
    if settings:
        assert tenant.json("PUT", f"{V5}/{number}/delivery-settings", settings).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    return number


def both(tenant: Tenant, number: int) -> tuple[Any, Any]:
    """The reports of both versions."""
    return tenant.json("GET", f"{MAIL}/{number}/report").json(), tenant.json("GET", f"{V5}/{number}/report").json()


def causes(found: Any) -> list[str]:
    return [each["cause"] for each in found["delays"]]


def test_without_a_worker_the_report_says_so(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    # Tests that failed, or whose sender could not take its leave, have left theirs.
    database.execute("DELETE FROM tabellion.mail_worker")
    number = launched(tenant)
    for found in both(tenant, number):
        # Nobody has looked up the audience.
        assert (found["targeted"], found["pending"], found["waits"], causes(found)) == (0, 0, [], ["noWorker"])
        assert "tabellion worker" in found["delays"][0]["message"]


def held_by(tenant: Tenant, number: int) -> list[Any]:
    """What a test of a campaign is told to wait for."""
    answer = tenant.json("POST", f"{MAIL}/{number}/test", {"recipients": ["me@example.com"]})
    assert (answer.status_code, answer.json()["sent"]) == (200, 1)
    return [(each["cause"], each["message"]) for each in answer.json().get("delays", [])]


def test_a_test_that_no_worker_sends_says_so(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    database.execute("DELETE FROM tabellion.mail_worker")
    number = tenant.campaign()
    ((cause, _),) = held_by(tenant, number)
    assert cause == "noWorker"
    body = "<mailTest><recipients><recipient>me@example.com</recipient></recipients></mailTest>"
    headers = {"Content-Type": "application/xml", "Accept": "application/xml"}
    xml = etree.fromstring(tenant.call("POST", f"{MAIL}/{number}/test", content=body, headers=headers).content)
    assert (xml.tag, xml.findtext("sent"), xml.findtext("delays/delay/cause")) == ("mail", "1", "noWorker")


@pytest.fixture
def working(worker_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A sender, for tests beside those without one."""
    secrets.use_key(TRANSFERS["TABELLION_SECRET_KEY"], tmp_path_factory.mktemp("key"))
    with sending(worker_database_url):
        yield


@pytest.fixture
def held(tenant: Tenant, sink: Sink, working: None) -> tuple[Tenant, int]:
    """Three guests whose domain says "later", and two others."""
    guests(tenant, 1)
    for i in range(3):
        address = f"g{i}@busy.example"
        sink.refuse[address] = f"450 4.2.1 <{address}>: mailbox busy"
        body = {"key": {"emailAddress": address}, "attributes": {"lastName": "G"}}
        assert tenant.json("PUT", PROFILES, body).status_code == 201
    number = launched(tenant)
    until(lambda: both(tenant, number)[0]["sent"] == 2)
    return tenant, number


def test_reports_tell_why_mails_are_pending_in_all_forms(held: tuple[Tenant, int]) -> None:
    tenant, number = held
    until(lambda: [each["reason"] for each in both(tenant, number)[1]["waits"]] == ["retry"])
    old, new = both(tenant, number)
    (wait,) = old["waits"]
    assert new["waits"] == old["waits"]
    assert (wait["mails"], old["pending"], wait["details"]) == (3, 3, ["450 4.2.1 <…>: mailbox busy"])
    assert wait["until"] > new["madeAt"]
    assert old["delays"] == new["delays"] == []
    assert tenant.json("POST", f"{MAIL}/{number}/pause").status_code == 200
    old, new = both(tenant, number)
    assert causes(old) == causes(new) == ["paused"]
    xml = etree.fromstring(tenant.call("GET", f"{MAIL}/{number}/report", headers={"Accept": "application/xml"}).content)
    assert [each.text for each in xml.iterfind("waits/wait/reason")] == ["retry"]
    assert [each.text for each in xml.iterfind("waits/wait/details/detail")] == wait["details"]
    assert [each.text for each in xml.iterfind("delays/delay/cause")] == ["paused"]
    table = tenant.call("GET", f"{V5}/{number}/report/csv").content.decode("utf-8-sig")
    rows = {(row["part"], row["name"]): row for row in csv.DictReader(io.StringIO(table))}
    assert (rows["wait", "retry"]["count"], rows["wait", "retry"]["detail"]) == ("3", wait["until"])
    assert rows["delay", "paused"]["detail"] == new["delays"][0]["message"]


@pytest.mark.usefixtures("working")
def test_a_test_that_no_relay_takes_says_so_once_that_is_known(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    number, port = tenant.campaign(), free_port()
    # The sender has to be entered first.
    until(lambda: held_by(tenant, number) == [])
    database.execute(
        "INSERT INTO tabellion.relay (licence_id, host, port, security, connections) "
        "SELECT id, '127.0.0.1', %s, 'NONE', 1 FROM tabellion.licence WHERE name = %s",
        (port, tenant.licence),
    )
    until(lambda: held_by(tenant, number))
    ((cause, message),) = held_by(tenant, number)
    assert (cause, f"127.0.0.1:{port}" in message) == ("relay", True)


@pytest.mark.usefixtures("working")
def test_hours_of_recipients_are_told_with_the_moment(tenant: Tenant) -> None:
    guests(tenant, 4)
    number = launched(tenant, sendingHours=closed_now())
    # Where nobody knows the recipient's clock, the licence's counts: all of them are looked at, and put off.
    until(lambda: [each["reason"] for each in both(tenant, number)[1]["waits"]] == ["hours"])
    found = both(tenant, number)[1]
    (wait,) = found["waits"]
    assert (wait["mails"], found["pending"]) == (5, 5)
    assert wait["until"] > found["madeAt"]


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_shows_why_mails_are_pending(
    held: tuple[Tenant, int], browser: Browser, tmp_path: Any, width: int, scheme: Any
) -> None:
    tenant, number = held
    until(lambda: both(tenant, number)[1]["waits"][0]["reason"] == "retry")
    assert tenant.json("POST", f"{MAIL}/{number}/pause").status_code == 200
    credentials: Any = {"username": f"{tenant.licence}/{tenant.login}", "password": tenant.password}
    page = browser.new_page(viewport={"width": width, "height": 900}, http_credentials=credentials, color_scheme=scheme)
    page.goto(str(tenant.client.base_url).rstrip("/") + f"/email-campaigns{V5}/{number}/report/page")
    section = page.locator("section", has_text="Still to send")
    assert "The campaign is paused. Resume or cancel it." in section.inner_text()
    assert "450 4.2.1 <…>: mailbox busy" in section.inner_text()
    assert section.locator("td").first.inner_text() == "3"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("table").evaluate_all("all => all.every(t => t.offsetWidth < t.closest('section').clientWidth)")
    shoot(page, f"report-pending-{scheme}", tmp_path)
    page.close()
