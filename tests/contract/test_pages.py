"""The documentation site in a real browser: the formats of a v4 call, a call made from the page, the checker's marks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import behind_a_path, shoot
from tests.support.tenant import Tenant

pytestmark = [pytest.mark.browser]


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    yield page
    page.close()


# Also with a path that a proxy takes off, and a slash at the end that nobody needs.
@pytest.mark.parametrize("address", ["docs", "tabellion/docs/"])
def test_a_v4_call_shows_both_formats_and_is_executed(page: Page, tenant: Tenant, tmp_path: Path, address: str) -> None:
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    base = str(tenant.client.base_url).rstrip("/")
    if address.startswith("tabellion"):
        behind_a_path(page, base, "/tabellion")
    page.goto(f"{base}/{address}")
    page.get_by_role("button", name="Authorize").first.click()
    form = page.locator(".auth-container", has_text="accessToken")
    form.locator("input").fill(tenant.api_key)
    form.get_by_role("button", name="Apply credentials").click()
    page.get_by_role("button", name="Close").first.click()

    path = "/profiles/v4/entity/{e}/table/{t}/profile/{p}"
    # Of so many calls the page holds those in view only: look for this one, as a reader would.
    page.get_by_placeholder("Filter by tag or path").fill(path)
    operation = page.locator(".opblock-get", has=page.locator(f"[data-path='{path}']"))
    operation.locator(".opblock-summary-control").click()
    formats = operation.locator(".response", has_text="200").get_by_label("Response content type")
    expect(formats.locator("option")).to_have_text(["application/json", "application/xml"])
    title = formats.evaluate(
        "it => getComputedStyle(it.closest('.response-control-media-type').firstChild, '::after').content"
    )
    assert title == '"Response content type"'
    formats.scroll_into_view_if_needed()
    shoot(page, "v4-call", tmp_path)

    operation.locator("tr[data-param-name='e'] input").fill("hotels")
    operation.locator("tr[data-param-name='t'] input").fill("Guests")
    operation.locator("tr[data-param-name='p'] input").fill("emailAddress=ann@example.com")
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table .response").first
    expect(answer).to_contain_text('"profileId"', timeout=15_000)
    expect(answer).to_contain_text("Vos")
    shoot(page, "v4-answer", tmp_path)
    if address == "docs":
        # The browser has kept the answer, and asks whether it is still good.
        formats.select_option("application/xml")
        operation.get_by_role("button", name="Execute").click()
        expect(answer).to_contain_text("<profileId>", timeout=15_000)
    assert faults == []


@pytest.mark.parametrize(
    ("address", "link", "heading"),
    [
        ("/tabellion/docs/guide/profiles", "Errors", "Errors"),
        ("/tabellion/problems/key.notUnique", "Quick start", "From zero to the first profile"),
        ("/tabellion/docs/guide/nowhere/", "JSON checker", "JSON checker"),
    ],
)
def test_pages_lead_to_each_other_behind_a_path(page: Page, tenant: Tenant, address: str, link: str, heading: str) -> None:
    base = str(tenant.client.base_url).rstrip("/")
    behind_a_path(page, base, "/tabellion")
    page.goto(f"{base}{address}")
    page.get_by_role("link", name=link).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    expect(page.locator("header")).to_have_css("display", "flex")
    if link == "JSON checker":
        page.get_by_label("Body").fill("{}")
        page.get_by_role("button", name="Check").click()
        expect(page.locator("#verdict h2")).to_have_text("Right: this is JSON")


def test_the_checker_marks_a_missing_comma_at_its_line(page: Page, tenant: Tenant, tmp_path: Path) -> None:
    page.goto(f"{tenant.client.base_url}/docs/checker")
    page.get_by_label("Body").fill('{\n  "attributes": [\n    { "name": "lastName"\n      "value": "Vos" }\n  ]\n}')
    page.get_by_role("button", name="Check").click()

    expect(page.locator("#verdict h2")).to_have_text("The syntax is wrong in line 3, column 25")
    expect(page.locator("#verdict")).to_contain_text("a comma")
    expect(page.locator("#lines li.wrong")).to_have_text("3")
    shoot(page, "checker", tmp_path)


def test_the_checker_names_missing_unknown_and_ill_typed_members(page: Page, tenant: Tenant) -> None:
    page.goto(f"{tenant.client.base_url}/docs/checker")
    page.get_by_label("Call").select_option("profiles.v4.save")
    page.get_by_label("Body").fill('{ "attributes": [ { "value": 1 } ], "subscriptions": 5, "wrong": true }')
    page.get_by_role("button", name="Check").click()

    verdict = page.locator("#verdict")
    expect(verdict).to_contain_text("attributes[0].name: 'attributes[0].name' is missing")
    expect(verdict).to_contain_text("subscriptions: 'subscriptions' expects a list")
    expect(verdict).to_contain_text("wrong: this call does not know the member")
