"""The outbox in a real browser: the list, a mail's headers, and the mail as its reader sees it."""

from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.contract.test_sending import sent
from tests.support.browser import shoot
from tests.support.tenant import Tenant

__all__ = ["sent"]
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.usefixtures("worker")]


def test_a_mail_is_found_and_seen_as_its_reader_sees_it(
    tenant: Tenant, sent: EmailMessage, browser: Browser, tmp_path: Path
) -> None:
    credentials: Any = {"username": f"{tenant.licence}/{tenant.login}", "password": tenant.password}
    page = browser.new_page(viewport={"width": 1000, "height": 900}, http_credentials=credentials)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{tenant.client.base_url}/outbox")
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
