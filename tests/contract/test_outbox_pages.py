"""The outbox in a real browser: the list, a mail's headers, and the mail as its reader sees it."""

import json
import re
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.contract.test_readers import sent
from tests.support.browser import behind_a_path, shoot
from tests.support.tenant import Tenant
from tests.support.waiting import until

__all__ = ["sent"]
pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("worker")]


def test_a_mail_is_found_and_seen_as_its_reader_sees_it(
    tenant: Tenant, sent: EmailMessage, browser: Browser, tmp_path: Path
) -> None:
    credentials: Any = {"username": f"{tenant.licence}/{tenant.login}", "password": tenant.password}
    page = browser.new_page(viewport={"width": 1000, "height": 900}, http_credentials=credentials)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    base = str(tenant.client.base_url).rstrip("/")
    behind_a_path(page, base, "/tabellion")
    page.goto(f"{base}/tabellion/outbox")
    shown = sent["Subject"]
    page.get_by_role("link", name=shown).click()
    expect(page.get_by_role("row", name="Subject")).to_contain_text(shown)
    expect(page.get_by_role("row", name="List-Unsubscribe-Post")).to_contain_text("One-Click")
    mail = page.frame_locator("iframe")
    expect(mail.locator("body")).to_contain_text("Vos")
    # What is not to be seen is not: the link for machines, the picture that counts openings.
    expect(mail.get_by_role("link").first).to_be_visible()
    page.locator("iframe").scroll_into_view_if_needed()
    shoot(page, "mail", tmp_path)
    page.get_by_role("link", name="source").click()
    expect(page.locator("body")).to_contain_text("DKIM-Signature" if "DKIM-Signature" in sent else "Message-ID")
    assert faults == []
    page.close()


def test_an_address_that_looks_like_an_encoded_word_is_seen_as_it_is(tenant: Tenant) -> None:
    """Addresses have none (RFC 2047, section 5), and this one is in no encoding."""
    address = "=?none?q?bob?=@example.com"
    number = tenant.campaign("Invoice", "TRANSACTIONAL")
    assert tenant.json("POST", f"/v4/entity/hotels/mail/{number}/launch").status_code == 200
    attributes = [{"name": "emailAddress", "value": address}, {"name": "lastName", "value": "Bos"}]
    path = f"/v4/entity/hotels/transactionalmail/{number}/contact"
    assert tenant.json("POST", path, {"profile": {"attributes": attributes}}).status_code == 200
    credentials = (f"{tenant.licence}/{tenant.login}", tenant.password)

    def seen() -> str:
        shown = tenant.client.get("/outbox", auth=credentials)
        found = re.search(r'href="([^"]+)">[^<]*Bos', shown.text)
        return found[1] if found else ""

    place = until(seen)
    page = tenant.client.get(place, auth=credentials)
    assert (page.status_code, f"<td>{address}" in page.text) == (200, True)


def test_files_are_listed_and_nothing_is_wider_than_a_phone(tenant: Tenant, browser: Browser, tmp_path: Path) -> None:
    # So long that its header has it in two encoded words.
    sender = "Harbour Hotels & Söhne GmbH & Co. KG, Häuser an Nord- und Ostsee"
    address = f"{'long' * 12}@example.com"
    number = tenant.campaign("Invoice", "TRANSACTIONAL", replyTo=address, **{"from": f"{sender} <news@example.com>"})
    assert tenant.json("POST", f"/v4/entity/hotels/mail/{number}/launch").status_code == 200
    bob = [{"name": "emailAddress", "value": f"{'bob' * 20}@example.com"}, {"name": "lastName", "value": "Bos"}]
    path = f"/v4/entity/hotels/transactionalmail/{number}/contactWithAttachment"
    parts: list[Any] = [
        ("contact", (None, json.dumps({"profile": {"attributes": bob}}))),
        ("attachment", ("<b>.txt", b"hello", "text/plain")),
    ]
    sent = tenant.client.post(path, files=parts, headers={"Authorization": f"Bearer {tenant.api_key}"})
    assert sent.status_code == 200, sent.text
    credentials: Any = {"username": f"{tenant.licence}/{tenant.login}", "password": tenant.password}
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, is_mobile=True, color_scheme="dark", http_credentials=credentials
    )
    page = context.new_page()
    until(lambda: page.goto(f"{tenant.client.base_url}/outbox") and page.get_by_role("link", name="Bos").count())
    wide = "document.documentElement.scrollWidth - window.innerWidth"
    assert page.evaluate(wide) <= 0
    shoot(page, "outbox-phone", tmp_path)
    page.get_by_role("link", name="Bos").click()
    expect(page.get_by_role("heading", name="Bos")).to_be_visible()
    expect(page.get_by_role("row", name="From")).to_contain_text(sender)
    expect(page.get_by_role("listitem")).to_have_text("<b>.txt (text/plain, 5 bytes)")
    expect(page.get_by_title("The mail as readers see it")).to_be_visible()
    assert page.evaluate(wide) <= 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 19, 22)"
    page.goto(f"{tenant.client.base_url}/t/u/nobody")
    expect(page.get_by_role("heading", name="This link leads nowhere")).to_be_visible()
    assert page.evaluate(wide) <= 0
    assert page.evaluate("getComputedStyle(document.querySelector('main')).backgroundColor") == "rgb(23, 28, 33)"
    context.close()
