"""Contents as JSON, and how a mail looks for somebody: what is stored, what is refused, what is sent in the end."""

import re
from typing import Any

import httpx
import psycopg
import pytest

from tests.contract.test_campaign_html import GIF, upload
from tests.contract.test_sending import outbox
from tests.support.tenant import Tenant
from tests.support.waiting import until
from tests.support.zips import packed

pytestmark = pytest.mark.usefixtures("worker")

MAIL = "/v4/entity/hotels/mail"
MAILS = "/v5/entities/hotels/mails"
META = '<meta charset="utf-8"><meta http-equiv="Content-Type" content="text/html; charset=UTF-8">'
MJML = (
    "<mjml><mj-head><mj-style inline='inline'>.big { color: red }</mj-style></mj-head><mj-body><mj-section><mj-column>"
    "<mj-text css-class='big'>Dag {{ profile.lastName }}</mj-text>"
    "<mj-button href='https://www.example.com/{{ stayRef }}'>Look</mj-button></mj-column></mj-section></mj-body></mjml>"
)


@pytest.fixture
def number(tenant: Tenant) -> int:
    """A campaign in two languages with one parameter and no content."""
    body = {"name": "Spring", "targetTable": "Guests", "supportedLanguages": ["NL", "fr"], "sendingMode": "TRANSACTIONAL"}
    made: int = tenant.json("POST", MAIL, body).json()["campaignId"]
    keys = {"personalisations": [{"key": "stayRef"}]}
    assert tenant.json("PUT", f"{MAIL}/{made}/content/personalisation", keys).status_code == 200
    return made


def put(tenant: Tenant, number: int, language: str, body: Any, method: str = "PUT") -> httpx.Response:
    return tenant.json(method, f"{MAILS}/{number}/contents/{language}", body)


def test_a_mail_is_made_of_mjml_text_and_preheader(tenant: Tenant, number: int, database: psycopg.Connection[Any]) -> None:
    content = {
        "subject": "Dag",
        "preheader": "Kom, {{ profile.lastName }} & co",
        "mjml": MJML,
        "text": "Dag {{ stayRef }}\n",
    }
    assert put(tenant, number, "nl", content).json() == {"language": "NL", "html": None, **content}
    html = "<html><head><style>p { color: blue }</style></head><body><p>Salut {{ stayRef }}</p></body></html>"
    assert put(tenant, number, "FR", {"subject": "Salut", "html": html}).status_code == 200
    listed = tenant.json("GET", f"{MAILS}/{number}/contents").json()["contents"]
    assert [(c["language"], c["body"], c["hasText"], c["complete"]) for c in listed] == [
        ("default", None, False, False), ("NL", "MJML", True, True), ("fr", "HTML", False, True),
    ]  # fmt: skip
    # What reads HTML gets HTML.
    assert "<!doctype html>" in tenant.json("GET", f"{MAIL}/{number}/content/body?language=NL").text.lower()

    assert tenant.json("POST", f"{MAIL}/{number}/launch").json()["state"] == "ACTIVE"
    one = f"{MAIL}/{number}/profile/emailAddress=ann@example.com"
    assert tenant.json("POST", one, [{"key": "stayRef", "values": ["ST-1"]}]).status_code == 200
    ((_, mail),) = until(lambda: outbox(tenant, database))
    sent = mail.get_body(("html",)).get_content()
    assert "Dag Vos" in sent
    assert re.search(r'style="[^"]*color: ?red', sent)
    assert sent.index("Kom, Vos &amp; co") < sent.index("Dag Vos")
    assert "<mj-" not in sent
    # Readers of screens go by it.
    assert '<html lang="nl"' in sent
    shown = tenant.json("POST", f"{MAILS}/{number}/preview", {"language": "NL"}).json()["html"]
    assert '<html lang="nl"' in shown
    assert mail.get_body(("plain",)).get_content().strip() == "Dag ST-1"


def test_a_mail_is_written_in_the_campaigns_encoding(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    number = tenant.campaign("Latin", "TRANSACTIONAL", encoding="iso-8859-1")
    content = {"subject": "Un café à 5 €", "html": f"{META}<p>Un café à 5 €, 你好</p>", "text": "Un café"}
    assert put(tenant, number, "default", content).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/profile/emailAddress=ann@example.com").status_code == 200
    ((_, mail),) = until(lambda: outbox(tenant, database))
    parts = {part.get_content_type(): part for part in mail.iter_parts()}
    assert {name: part.get_content_charset() for name, part in parts.items()} == {
        "text/plain": "iso-8859-1", "text/html": "iso-8859-1",
    }  # fmt: skip
    assert parts["text/plain"].get_payload(decode=True).strip() == b"Un caf\xe9"
    # What the encoding lacks, HTML has names for, and headers have encodings of their own.
    assert b"Un caf\xe9 \xe0 5 &#8364;, &#20320;&#22909;" in parts["text/html"].get_payload(decode=True)
    assert mail["Subject"] == "Un café à 5 €"
    # What the HTML says of itself is what it is in.
    said = re.findall(rb"charset=\"?([\w-]+)", parts["text/html"].get_payload(decode=True))
    assert said == [b"iso-8859-1", b"iso-8859-1"]


def test_text_and_preheader_belong_to_the_body_that_they_were_written_for(tenant: Tenant, number: int) -> None:
    default = {"subject": "Hello", "preheader": "Come", "html": "<p>Hello</p>", "text": "Hello there"}
    assert put(tenant, number, "default", default).status_code == 200
    assert put(tenant, number, "NL", {"html": "<p>Dag</p>"}).status_code == 200

    def seen(language: str) -> tuple[str, str | None, str, str, bool]:
        made = tenant.json("POST", f"{MAILS}/{number}/preview", {"language": language}).json()
        return made["subject"], made["preheader"], made["html"][-12:], made["text"].strip(), made["textIsOwn"]

    assert seen("FR") == ("Hello", "Come", "<p>Hello</p>", "Hello there", True)
    assert seen("NL") == ("Hello", None, "<p>Dag</p>", "Dag", False)
    assert put(tenant, number, "NL", {"text": "Dag!", "html": None}, "PATCH").json()["html"] is None
    assert seen("NL") == ("Hello", "Come", "<p>Hello</p>", "Dag!", True)
    assert tenant.json("DELETE", f"{MAILS}/{number}/contents/NL").status_code == 204
    assert seen("NL") == seen("FR")
    assert tenant.json("DELETE", f"{MAILS}/{number}/contents/NL").json()["code"] == "content.unknown"


def test_what_says_nothing_but_with_misspelt_members_is_no_success(tenant: Tenant, number: int) -> None:
    before = tenant.state()
    for method, body in (("PUT", {"Subject": "x"}), ("PATCH", {"preheadr": None})):
        refused = put(tenant, number, "default", body, method)
        assert (refused.status_code, refused.json()["code"]) == (400, "member.unknown")
    preview = tenant.json("POST", f"/v5/entities/hotels/mails/{number}/preview", {"profil": "1"})
    assert (preview.status_code, preview.json()["errors"][0]["field"]) == (400, "profil")
    assert tenant.state() == before
    assert put(tenant, number, "default", {"language": "default"}, "PATCH").status_code == 200


def test_a_language_is_answered_as_the_campaign_spells_it(tenant: Tenant) -> None:
    one = f"/v5/entities/hotels/mails/{tenant.campaign('Lente', supportedLanguages=['nl', 'FR'])}"
    assert tenant.json("PUT", f"{one}/contents/NL", {"subject": "a", "html": "<p>a</p>"}).json()["language"] == "nl"
    assert tenant.json("GET", f"{one}/contents/NL").json()["language"] == "nl"
    assert tenant.json("POST", f"{one}/preview", {"language": "Nl"}).json()["language"] == "nl"
    assert [each["language"] for each in tenant.json("GET", f"{one}/contents").json()["contents"]] == ["default", "nl", "FR"]


def test_put_sets_all_and_patch_what_is_sent(tenant: Tenant, number: int) -> None:
    assert put(tenant, number, "default", {"subject": "a", "preheader": "b", "html": "<p>x</p>"}).status_code == 200
    patched = put(tenant, number, "default", {"mjml": MJML}, "PATCH").json()
    assert (patched["subject"], patched["preheader"], patched["html"], patched["mjml"]) == ("a", "b", None, MJML)
    bare = put(tenant, number, "default", {"subject": "c"}).json()
    assert bare == {"language": "default", "subject": "c", "preheader": None, "html": None, "mjml": None, "text": None}


def test_a_zip_takes_the_place_of_mjml_and_leaves_text_and_images_are_kept_by_json(tenant: Tenant, number: int) -> None:
    assert put(tenant, number, "default", {"subject": "a", "mjml": MJML, "text": "Own"}).status_code == 200
    zipped = packed({"a.html": '<p>x</p><img src="a.gif">', "a.gif": GIF})
    assert upload(tenant, f"{MAIL}/{number}", zipped).status_code == 200
    content = tenant.json("GET", f"{MAILS}/{number}/contents/default").json()
    assert (content["mjml"], content["text"]) == (None, "Own")
    image = re.search(r"/i/[^\"]+", content["html"])
    assert image is not None
    assert put(tenant, number, "default", {"html": content["html"] + "<p>y</p>"}, "PATCH").status_code == 200
    assert tenant.client.get(image[0]).content == GIF
    assert tenant.json("DELETE", f"{MAILS}/{number}/contents/default").status_code == 204
    assert tenant.client.get(image[0]).status_code == 404


def test_images_stay_in_html_that_was_read_and_is_written_back(tenant: Tenant, number: int) -> None:
    zipped = packed({"a.html": '<img src="a.gif"><img src="b.gif">', "a.gif": GIF, "b.gif": GIF})
    assert upload(tenant, f"{MAIL}/{number}", zipped).status_code == 200
    read = tenant.call("GET", f"{MAIL}/{number}/content/body").text
    kept, left_out = re.findall(r"/i/[^\"]+", read)
    written = re.sub(r'<img src="[^"]+/b.gif">', "<p>Hello</p>", read)
    answer = tenant.call(
        "PUT", f"{MAIL}/{number}/content/body", content=written.encode(), headers={"Content-Type": "text/html"}
    )
    assert answer.status_code == 200, answer.text
    assert [tenant.client.get(image).status_code for image in (kept, left_out)] == [200, 404]


def test_images_stay_that_other_contents_name_or_mails_have_left_with(
    tenant: Tenant, number: int, database: psycopg.Connection[Any]
) -> None:
    def uploaded() -> str:
        assert upload(tenant, f"{MAIL}/{number}", packed({"a.html": '<img src="a.gif">', "a.gif": GIF})).status_code == 200
        html = tenant.json("GET", f"{MAILS}/{number}/contents/default").json()["html"]
        return re.findall(r"/i/[^\"]+", html)[0]

    def is_there(image: str) -> bool:
        return tenant.client.get(image).status_code == 200

    first = uploaded()
    assert put(tenant, number, "NL", {"subject": "a", "html": f'<img src="http://x.example{first}">'}).status_code == 200
    second = uploaded()
    third = uploaded()
    assert [is_there(image) for image in (first, second, third)] == [True, False, True]
    assert put(tenant, number, "default", {"subject": "a"}, "PATCH").status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    refused = put(tenant, number, "NL", {"subject": "b"}).json()
    assert (refused["code"], "is ACTIVE and cannot be changed: pause it" in refused["message"]) == ("campaign.state", True)
    database.execute("UPDATE tabellion.campaign SET kind = 'MASS' WHERE id = %s", (number,))
    refused = put(tenant, number, "NL", {"subject": "b"}).json()
    assert "is ACTIVE and cannot be changed: what was launched stays" in refused["message"], (
        "of a mass campaign no pause helps"
    )
    database.execute("UPDATE tabellion.campaign SET kind = 'TRANSACTIONAL' WHERE id = %s", (number,))
    assert tenant.json("POST", f"{MAIL}/{number}/pause").status_code == 200
    uploaded()
    assert is_there(third)
    assert tenant.json("DELETE", f"{MAILS}/{number}/contents/NL").status_code == 204
    assert is_there(first)


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({"html": "<p>{{ profile.lastNme }}</p>", "text": "{{ nothing }}"}, ["html", "text"]),
        ({"preheader": "{{ ghost }}"}, ["preheader"]),
        ({"preheader": "a\r\nBcc: x@example.com"}, ["preheader"]),
        ({"subject": "", "html": " "}, ["subject", "html"]),
        ({"html": "<p>x</p>", "mjml": MJML}, ["mjml"]),
        ({"mjml": "<mjml><mj-body><mj-txt>x</mj-txt></mj-body></mjml>"}, ["mjml"]),
        ({"mjml": "<mjml><mj-body>"}, ["mjml"]),
        ({"mjml": "{{ ghost }}"}, ["mjml"]),
        ({"text": "{% for x in profile %}"}, ["text"]),
    ],
)
def test_what_cannot_be_sent_is_refused_with_its_place(tenant: Tenant, number: int, body: Any, places: list[str]) -> None:
    before = tenant.state()
    refused = put(tenant, number, "default", body)
    assert refused.status_code == 400, refused.text
    assert list(dict.fromkeys(error["field"] for error in refused.json()["errors"])) == places
    assert tenant.state() == before


def test_contents_change_only_where_the_campaign_may(tenant: Tenant, number: int) -> None:
    assert put(tenant, number, "DE", {"subject": "a"}).json()["errors"][0]["field"] == "language"
    assert put(tenant, number, "default", {"subject": "a", "html": "<p>x</p>"}).status_code == 200
    stale = tenant.json("GET", f"{MAILS}/{number}/contents").headers["ETag"]
    assert put(tenant, number, "default", {"subject": "b"}, "PATCH").status_code == 200
    late = tenant.json("PATCH", f"{MAILS}/{number}/contents/default", {"subject": "c"}, If_Match=stale)
    assert late.status_code == 412
    assert tenant.json("POST", f"{MAIL}/{number}/launch").json()["state"] == "ACTIVE"
    for method in ("PUT", "PATCH"):
        assert put(tenant, number, "default", {"subject": "d"}, method).json()["code"] == "campaign.state"
    assert tenant.json("DELETE", f"{MAILS}/{number}/contents/default").json()["code"] == "campaign.state"


def test_a_preview_shows_the_mail_and_leaves_no_trace(tenant: Tenant, number: int) -> None:
    html = (
        '<body><p>Dear {{ profile.lastName | default: "guest" }} {{ stayRef }}</p>'
        '<a href="https://www.example.com/{{ stayRef }}?a=1&amp;b=2">Look</a> <a href="{{ unsubscribeUrl }}">Stop</a>'
        '<a href="mailto:x@example.com">Write</a></body>'
    )
    assert put(tenant, number, "default", {"subject": "{{ profile.lastName }}!", "html": html}).status_code == 200
    before = tenant.state()
    body = {"profile": "emailAddress=ann@example.com", "parameters": [{"key": "stayRef", "values": ["ST-1"]}]}
    made = tenant.json("POST", f"{MAILS}/{number}/preview", body)
    assert made.status_code == 200, made.text
    mail = made.json()
    assert (mail["subject"], mail["language"], mail["textIsOwn"]) == ("Vos!", "NL", False)
    assert "Dear Vos ST-1" in mail["html"]
    assert "Dear Vos ST-1" in mail["text"]
    assert mail["bytes"] == len(mail["html"].encode())
    assert [(link["url"], link["text"], link["tracked"]) for link in mail["links"]][::2] == [
        ("https://www.example.com/ST-1?a=1&b=2", "Look", True), ("mailto:x@example.com", "Write", False),
    ]  # fmt: skip
    assert mail["links"][1]["url"].endswith("/t/u/preview")
    assert not re.search("lk[0-9a-f]{24}", mail["html"] + mail["text"])
    nobody = tenant.json("POST", f"{MAILS}/{number}/preview").json()
    assert (nobody["subject"], "Dear guest" in nobody["html"]) == ("!", True)
    assert tenant.state() == before


def test_a_preview_has_every_address_that_mails_have(tenant: Tenant, number: int) -> None:
    names = ("unsubscribeUrl", "onlineUrl", "preferencesUrl")
    html = "".join(f'<a href="{{{{ {name} }}}}">{name}</a>' for name in names)
    assert put(tenant, number, "default", {"subject": "a", "html": f"<body>{html}</body>"}).status_code == 200
    made = tenant.json("POST", f"{MAILS}/{number}/preview", {"profile": "emailAddress=ann@example.com"})
    assert made.status_code == 200, made.text
    pages = [link["url"].rpartition("/t/")[2] for link in made.json()["links"]]
    assert pages == ["u/preview", "v/preview", "p/preview"]


def test_what_cannot_be_compared_is_told_in_words_and_with_its_place(tenant: Tenant, number: int) -> None:
    html = "<style>p { color: red }</style>\n<p>a</p>\n<p>{% if stayRef > 5 %}x{% endif %}</p>"
    assert put(tenant, number, "default", {"subject": "a", "preheader": "b", "html": html}).status_code == 200
    body = {"parameters": [{"key": "stayRef", "values": ["ST-1"]}]}
    failed = tenant.json("POST", f"{MAILS}/{number}/preview", body)
    assert failed.status_code == 400
    (error,) = failed.json()["errors"]
    assert (error["field"], error["code"]) == ("body", "template.failed")
    assert error["message"] == (
        "line 3, column 18: the mail cannot be written for this profile: a number and a text cannot be compared by size: "
        "write numbers without quotes"
    )


def test_a_preview_says_what_is_wrong(tenant: Tenant, number: int) -> None:
    path = f"{MAILS}/{number}/preview"
    missing = tenant.json("POST", path)
    assert (missing.status_code, missing.json()["code"]) == (409, "campaign.incomplete")
    assert [error["field"] for error in missing.json()["errors"]] == ["content.subject", "content.body"]
    endless = "{% for a in (1..100000) %}{% for b in (1..100000) %}x{% endfor %}{% endfor %}"
    assert put(tenant, number, "default", {"subject": "a", "html": endless}).status_code == 200
    failed = tenant.json("POST", path)
    assert (failed.status_code, failed.json()["code"]) == (400, "template.failed")
    assert tenant.json("POST", path, {"profile": "emailAddress=nobody@example.com"}).status_code == 404
    assert tenant.json("POST", path, {"language": "DE"}).status_code == 400


def test_a_report_says_why_mails_could_not_be_written(tenant: Tenant) -> None:
    number = tenant.campaign()
    body = {"html": "<p>{{ lastName | times: 2 }}</p>"}
    assert put(tenant, number, "default", body, "PATCH").status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    report = until(lambda: (r := tenant.json("GET", f"{MAIL}/{number}/report").json())["state"] == "FINISHED" and r)
    assert (report["sent"], report["excluded"]["failed"]) == (0, 1)
    assert report["failures"] == [{"reason": "html: this is not a number", "count": 1}]
    xml = tenant.call("GET", f"{MAIL}/{number}/report", headers={"Accept": "application/xml"}).text
    assert "<failures><failure><reason>html: this is not a number</reason>" in xml
