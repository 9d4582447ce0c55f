"""Mails that are plain text and nothing else, and what links in texts become."""

import re
from typing import Any

import psycopg
import pytest

from tests.contract.test_sending import outbox
from tests.support import plain
from tests.support.tenant import Tenant
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("worker")

MAIL = "/v4/entity/hotels/mail"
MAILS = "/v5/entities/hotels/mails"
TEXT = """Dear {{ lastName }},

see https://www.example.com/spring?a=1&b={{ lastName | url_encode }}, or (HTTP://www.example.com/a_(b)).
{% if points > 3 %}https://www.example.com/never{% endif %}https://www.example.com/{% if points %}x{% endif %}
Stop: {{ unsubscribeUrl }}
Online: {{ onlineUrl }}
"""


@pytest.fixture
def number(tenant: Tenant) -> int:
    body = {
        "name": "Plain", "targetTable": "Guests", "supportedLanguages": ["EN"], "sendingMode": "CONTINUOUS",
        "goalTracking": "utm_campaign=spring", "from": "Harbour <news@example.com>",
    }  # fmt: skip
    made: int = tenant.json("POST", MAIL, body).json()["campaignId"]
    return made


def put(tenant: Tenant, number: int, body: Any) -> None:
    answer = tenant.json("PUT", f"{MAILS}/{number}/contents/default", body)
    assert answer.status_code == 200, answer.text


def sent(tenant: Tenant, number: int, database: psycopg.Connection[Any]) -> Any:
    launched = tenant.json("POST", f"{MAIL}/{number}/launch")
    assert launched.status_code == 200, launched.text
    assert tenant.json("POST", f"{MAIL}/{number}/profile/emailAddress=ann@example.com").status_code == 200
    ((_, mail),) = until(lambda: outbox(tenant, database))
    return mail


def test_a_text_is_a_mail_by_itself(tenant: Tenant, number: int, database: psycopg.Connection[Any]) -> None:
    put(tenant, number, {"subject": "Spring", "text": TEXT})
    assert tenant.json("GET", f"{MAILS}/{number}/contents").json()["contents"][0]["complete"] is True
    preview = tenant.json("POST", f"{MAILS}/{number}/preview", {"profile": "emailAddress=ann@example.com"}).json()
    assert (preview["html"], preview["textIsOwn"], preview["text"].splitlines()[0]) == ("", True, "Dear Vos,")
    assert [(link["url"], link["tracked"]) for link in preview["links"]] == [
        ("https://www.example.com/spring?a=1&b=Vos", True), ("HTTP://www.example.com/a_(b)", True),
    ]  # fmt: skip
    items = tenant.json("GET", f"{MAILS}/{number}/checklist").json()["items"]
    assert {"text.only"} == {item["code"] for item in items if item["code"].startswith(("text.", "html."))}

    mail = sent(tenant, number, database)
    assert mail.get_content_type() == "text/plain"
    assert mail["List-Unsubscribe"]
    said = mail.get_content().replace("\r\n", "\n")
    first, second, stop, online = re.findall(r"http://[^\s()]*/t/[^\s(),]*", said)
    assert said.startswith("Dear Vos,\n\nsee http://")
    assert f", or ({second}).\nhttps://www.example.com/\nStop: " in said
    where = {"follow_redirects": False}
    assert plain.get(first, **where).headers["location"] == (
        "https://www.example.com/spring?a=1&b=Vos&utm_source=example.com&utm_medium=email&utm_campaign=spring"
    )
    assert plain.get(second, **where).headers["location"].startswith("HTTP://www.example.com/a_(b)?utm_source=")
    assert "/t/u/" in stop
    shown = plain.get(online)
    assert shown.headers["content-type"].startswith("text/html")
    assert "Dear Vos," in shown.text
    assert re.search(r'<a href="http://[^"]*/t/c/[^"]*">http://', shown.text)
    pages = tenant.client.get("/outbox", auth=tenant.basic).text
    one = tenant.client.get(re.search(r"outbox/[0-9]+", pages)[0], auth=tenant.basic).text  # pyright: ignore[reportOptionalSubscript]
    assert "Dear Vos," in one
    assert "<iframe" not in one
    report = tenant.json("GET", f"{MAILS}/{number}/report").json()
    assert [link["address"] for link in report["links"]] == [
        "https://www.example.com/spring?a=1&b={{ lastName | url_encode }}", "HTTP://www.example.com/a_(b)",
    ]  # fmt: skip


def test_a_text_that_nobody_can_leave_is_told(tenant: Tenant, number: int) -> None:
    put(tenant, number, {"subject": "Spring", "text": "Dear {{ lastName }}"})
    items = tenant.json("GET", f"{MAILS}/{number}/checklist").json()["items"]
    assert [item["severity"] for item in items if item["code"] == "text.unsubscribe"] == ["ERROR"]
    put(tenant, number, {"subject": "Spring", "text": "{% if points > 3 %}{{ unsubscribeUrl }}{% endif %}"})
    items = tenant.json("GET", f"{MAILS}/{number}/checklist").json()["items"]
    assert ["the mail of" in item["message"] for item in items if item["code"] == "text.unsubscribe"] == [True]


def test_links_of_a_text_beside_html_stay_readable(tenant: Tenant, number: int, database: psycopg.Connection[Any]) -> None:
    html = '<p>Dear {{ lastName }} <a href="https://www.example.com/spring">look</a> <a href="{{ unsubscribeUrl }}">stop</a></p>'
    put(tenant, number, {"subject": "Spring", "html": html})
    said = sent(tenant, number, database).get_body(("plain",)).get_content()
    assert "look (https://www.example.com/spring?utm_source=example.com&utm_medium=email&utm_campaign=spring) stop" in said


def test_a_text_mail_takes_files_and_other_encodings(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    body = {
        "name": "Invoice", "targetTable": "Guests", "supportedLanguages": ["EN"], "sendingMode": "TRANSACTIONAL",
        "encoding": "ISO-8859-1",
    }  # fmt: skip
    number = tenant.json("POST", MAIL, body).json()["campaignId"]
    put(tenant, number, {"subject": "Rechnung", "text": "F\xfcr {{ lastName }}\nFrom here\n.\n" + "x" * 1200})
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    contact = '{"profile": {"attributes": [{"name": "emailAddress", "value": "ann@example.com"}]}}'
    answer = tenant.client.post(
        f"/v4/entity/hotels/transactionalmail/{number}/contactWithAttachment",
        data={"contact": contact}, files={"attachment": ("a.pdf", b"%PDF", "application/pdf")},
        headers={"Authorization": f"Bearer {tenant.api_key}"},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    ((_, mail),) = until(lambda: outbox(tenant, database))
    assert mail.get_content_type() == "multipart/mixed"
    text, file = mail.iter_parts()
    assert (text.get_content_type(), text.get_content_charset()) == ("text/plain", "iso-8859-1")
    assert text.get_content().splitlines() == ["F\xfcr Vos", "From here", ".", "x" * 1200]
    assert file.get_filename() == "a.pdf"
