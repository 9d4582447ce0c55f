"""Reports as documents, tables, pages and drawings (v5), of a campaign whose mails were really opened; in a real browser."""

import csv
import io
import re
import struct
from typing import Any

import psycopg
import pytest
from lxml import etree
from playwright.sync_api import Browser

from tests.contract.test_sending import MAIL, guests, hrefs, local, outbox, state
from tests.support import plain
from tests.support.browser import shoot
from tests.support.tenant import Tenant
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("worker")

REPORT = "/v5/entities/hotels/mails/SpringOffer/report"
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0"}
PHONE = {"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"}
GMAIL = {"User-Agent": "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"}
ROBOT = {"User-Agent": "Barracuda Link Scanner"}


@pytest.fixture
def reported(tenant: Tenant, database: psycopg.Connection[Any]) -> Tenant:
    """Five mails; people, a proxy and a scanner were at three of them, one reader has unsubscribed."""
    guests(tenant, 4)
    number = tenant.campaign(displayName="Spring <offer> & more")
    html = '<p><a href="https://a.example/{{ profile.lastName }}?x=1">A</a> <a href="{{ unsubscribeUrl }}">x</a></p>'
    put = tenant.call("PUT", f"{MAIL}/{number}/content/body", content=html, headers={"Content-Type": "text/html"})
    assert put.status_code == 200, put.text
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    until(lambda: state(tenant, number) == "FINISHED")
    mails = dict(outbox(tenant, database))
    for address, programs, clicks in (
        ("ann@example.com", [BROWSER, PHONE, GMAIL], [BROWSER, BROWSER]),
        ("g0@example.com", [GMAIL], [ROBOT]),
        ("g1@example.com", [PHONE, ROBOT], [PHONE]),
    ):
        click, page, _, picture = (local(tenant, href) for href in hrefs(mails[address]))
        for program in programs:
            plain.get(picture, headers=program)
        for program in clicks:
            plain.get(click, headers=program)
        if address.startswith("g1"):
            plain.post(page)
    return tenant


def test_a_report_tells_people_proxies_and_scanners_apart(reported: Tenant) -> None:
    found = reported.json("GET", REPORT).json()
    totals = {
        "sent": 5, "delivered": 5, "softBounces": 0, "hardBounces": 0, "opens": 5, "uniqueOpens": 3, "clicks": 3,
        "uniqueClicks": 2, "unsubscribes": 1, "complaints": 0,
    }  # fmt: skip
    assert found["totals"] == totals
    assert (found["targeted"], found["excluded"], found["pending"], found["uncertain"]) == (5, {}, 0, 0)
    assert found["rates"]["openRate"] == 0.6
    assert {each["actor"]: (each["opens"], each["clicks"]) for each in found["actors"]} == {
        "human": (3, 3), "proxy": (2, 0), "scanner": (1, 1),
    }  # fmt: skip
    assert {each["device"]: (each["opens"], each["uniqueClicks"]) for each in found["devices"]} == {
        "desktop": (1, 1), "mobile": (2, 1),
    }  # fmt: skip
    assert found["links"] == [
        {
            "language": "EN",
            "variant": None,
            "link": 0,
            "address": "https://a.example/{{ profile.lastName }}?x=1",
            "clicks": 3,
            "uniqueClicks": 2,
        }
    ]
    assert found["languages"] == [totals | {"language": "EN"}]
    assert found["domains"] == [totals | {"domain": "example.com"}]
    assert found["timeline"]["bucket"] == "hour"
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:00:00\.000Z", point["start"]) for point in found["timeline"]["points"])
    assert sum(point["opens"] for point in found["timeline"]["points"]) == 5
    # The same as the report of v4.
    old = reported.json("GET", f"{MAIL}/SpringOffer/report").json()
    assert {name: old[name] for name in totals} == totals
    later = reported.json("GET", f"{REPORT}?from=2090-01-01").json()
    assert (later["targeted"], later["totals"]["opens"], later["timeline"]["points"]) == (0, 0, [])


def test_links_that_nobody_followed_are_in_the_report(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    number = tenant.campaign(supportedLanguages=["EN", "NL"])
    html = (
        '<p><a href="https://a.example/?x=1&amp;y=2">A</a> <a href="{{ profile.lastName }}">B</a> <a href="mailto:a@b.example">'
        'C</a> <a href="{{unsubscribeUrl}}">x</a> <a href="{{ onlineUrl }}">o</a> <a href="http://d.example/">D</a></p>'
    )
    put = tenant.call("PUT", f"{MAIL}/{number}/content/body", content=html, headers={"Content-Type": "text/html"})
    assert put.status_code == 200, put.text
    assert tenant.json("GET", REPORT).json()["links"] == []
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    until(lambda: state(tenant, number) == "FINISHED")
    ((_, mail),) = outbox(tenant, database)
    plain.get(local(tenant, next(href for href in hrefs(mail)[::-1] if "/t/c/" in href)), headers=BROWSER)
    found = [(each["language"], each["address"], each["clicks"]) for each in tenant.json("GET", REPORT).json()["links"]]
    # Of a language in which nothing was sent there are none.
    assert found == [
        ("EN", "http://d.example/", 1), ("EN", "https://a.example/?x=1&y=2", 0), ("EN", "{{ profile.lastName }}", 0),
    ]  # fmt: skip
    # All of it was in one hour, and is drawn.
    assert "nothing to draw" not in tenant.call("GET", f"{REPORT}/chart").text


def test_a_report_is_a_table_for_spreadsheets(reported: Tenant) -> None:
    answer = reported.call("GET", f"{REPORT}/csv")
    assert answer.headers["content-type"] == "text/csv;charset=UTF-8"
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert {row["part"] for row in rows} == {
        "total", "targeted", "pending", "uncertain", "link", "language", "domain", "device", "actor", "hour",
    }  # fmt: skip
    (link,) = [row for row in rows if row["part"] == "link"]
    assert (link["name"], link["clicks"], link["sent"]) == ("https://a.example/{{ profile.lastName }}?x=1", "3", "")
    (total,) = [row for row in rows if row["part"] == "total"]
    assert (total["sent"], total["uniqueOpens"], total["complaints"]) == ("5", "3", "0")


def test_what_a_report_cannot_be_asked_for_is_refused(tenant: Tenant) -> None:
    tenant.campaign()
    for query, field in (("bucket=week", "bucket"), ("from=soon", "from"), ("to=1", "to")):
        refused = tenant.json("GET", f"{REPORT}?{query}")
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, field)
    for end in ("", "/csv", "/page", "/chart", "/png"):
        assert tenant.json("GET", f"{REPORT.replace('SpringOffer', 'Nothing')}{end}").json()["code"] == "campaign.unknown"
        # One that was never launched has a report, too.
        assert tenant.call("GET", f"{REPORT}{end}").status_code == 200


def test_no_cell_of_a_report_is_a_formula(tenant: Tenant) -> None:
    number = tenant.campaign("=1+1")
    assert "\ntotal,'=1+1," in tenant.call("GET", f"/v5/entities/hotels/mails/{number}/report/csv").text.replace("\r", "")


def test_the_drawing_is_a_file_in_itself(reported: Tenant) -> None:
    answer = reported.call("GET", f"{REPORT}/chart")
    assert answer.headers["content-type"] == "image/svg+xml"
    root = etree.fromstring(answer.content)
    assert root.get("aria-label") == "Spring <offer> & more"
    assert b"http" not in answer.content.replace(b"http://www.w3.org/2000/svg", b"")


def test_the_picture_is_the_drawing(reported: Tenant) -> None:
    answer = reported.call("GET", f"{REPORT}/png")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    root = etree.fromstring(reported.call("GET", f"{REPORT}/chart").content)
    assert answer.content.startswith(b"\x89PNG\r\n")
    width, height = struct.unpack(">II", answer.content[16:24])
    assert (width, height) == (2 * int(root.get("width") or 0), 2 * int(root.get("height") or 0))


@pytest.mark.browser
def test_long_names_make_the_page_no_wider_than_a_phone(tenant: Tenant, browser: Browser) -> None:
    for name, shown in (("Spring", "Donaudampfschifffahrtsgesellschaft" * 2), ("S" * 100, "Spring")):
        number = tenant.campaign(name, displayName=shown)
        credentials: Any = {"username": f"{tenant.licence}/{tenant.login}", "password": tenant.password}
        page = browser.new_page(viewport={"width": 360, "height": 740}, http_credentials=credentials)
        page.goto(f"{tenant.client.base_url}/v5/entities/hotels/mails/{number}/report/page")
        assert page.get_by_role("heading", name=shown).is_visible()
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, (name, shown)
        page.close()


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_opens_in_a_browser_without_a_fault(
    reported: Tenant, database: psycopg.Connection[Any], browser: Browser, tmp_path: Any, width: int, scheme: Any
) -> None:
    (licence,) = database.execute("SELECT id FROM tabellion.licence WHERE name = %s", (reported.licence,)).fetchone() or (0,)
    # As over two days.
    database.execute(f"UPDATE l{licence}.mail_event SET moment = moment + (id * 7 % 41) * interval '1 hour'")
    credentials: Any = {"username": f"{reported.licence}/{reported.login}", "password": reported.password}
    page = browser.new_page(viewport={"width": width, "height": 900}, http_credentials=credentials, color_scheme=scheme)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type in {"error", "warning"} else None)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    answer = page.goto(str(reported.client.base_url).rstrip("/") + f"/email-campaigns{REPORT}/page")
    assert answer is not None
    assert answer.status == 200
    assert "'sha256-" in answer.headers["content-security-policy"]
    assert page.title() == "Spring <offer> & more · report"
    assert page.get_by_role("img", name="Way of the mails").is_visible()
    # The style is taken: the figures stand in boxes beside each other, and nothing is wider than the window.
    assert page.locator("dl").evaluate("e => getComputedStyle(e).display") == "grid"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # No table either, not even on a telephone: nobody looks for figures that are out of sight.
    page.locator("summary").click()
    assert page.locator("table").evaluate_all("all => all.every(t => t.offsetWidth < t.closest('section').clientWidth)")
    named = (
        page.locator("section", has_text="Domains")
        .locator("td")
        .first.evaluate("e => getComputedStyle(e, '::before').content")
    )
    assert named == ('"Sent"' if width < 400 else "none")
    assert page.locator("svg polyline").count() == 2
    assert page.locator("dl div", has_text="Opened").locator("dd").inner_text().startswith("3")
    assert [each for each in asked if "/report/page" not in each and "favicon" not in each] == []
    assert [fault for fault in faults if "favicon" not in fault] == []
    shoot(page, f"report-{scheme}", tmp_path)
    page.close()
