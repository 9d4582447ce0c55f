"""A newsletter as an agency hands it over, through all of it: upload, checklist, preview, mail; and what readers see of it."""

import re
from email.message import EmailMessage
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Page

from tests.contract.test_campaign_html import GIF, upload
from tests.contract.test_sending import outbox
from tests.support import plain
from tests.support.tenant import Tenant
from tests.support.waiting import until
from tests.support.zips import packed

pytestmark = pytest.mark.usefixtures("worker")

MAIL = "/v4/entity/hotels/mail"
MAILS = "/v5/entities/hotels/mails"
SHEET = """body,td{margin:0;font-family:Arial,sans-serif} img{border:0} .hero{background:#ddd url('../images/bg.gif');padding:30px}
.outer{width:600px!important;background:#fff;color:#222} .btn{background:#c00;color:#fff;padding:10px 20px;display:inline-block}
.btn:hover{background:#000!important} p{margin:0 0 10px} .legal{font-size:11px;padding-top:3px}
@media only screen and (max-width:480px){.outer{width:100%!important} .hero{padding:5px} .desktop{display:none}}
@media (prefers-color-scheme:dark){.outer{background:#111;color:#eee}}
[data-ogsc] .outer{background:#111!important}"""
PAGE = """<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<HTML xmlns="http://www.w3.org/1999/xhtml" xmlns:v="urn:schemas-microsoft-com:vml"><HEAD>
<META http-equiv="Content-Type" content="text/html; charset=windows-1252"><TITLE>Fr\xfchling</TITLE>
<!--[if mso]><style>td{font-family:Arial!important}</style><![endif]--><link rel="stylesheet" href="css\\mail.css"></HEAD>
<BODY bgcolor="#f4f4f4"><div style="display:none;max-height:0;overflow:hidden;mso-hide:all">Nur bis Sonntag&#847;&zwnj;&nbsp;</div>
<!--[if (gte mso 9)|(IE)]><table width="600" align="center"><tr><td><![endif]-->
<TABLE class="outer" align="center" cellpadding="0" cellspacing="0"><TR><TD class="hero" background="images/bg.gif">
<!--[if gte mso 9]><v:rect style="width:600px"><v:fill type="tile" src="images/bg.gif" /></v:rect><![endif]-->
<h1>Liebe/r {{ lastName }} \u2013 5 \u20ac gespart</h1><p class="desktop">F\xfcr gro\xdfe Bildschirme</p>
{% if lastName == "Vos" %}<p>Nur f\xfcr Sie.</p>{% endif %}</TD></TR>
<TR><TD><!--[if mso]><v:roundrect href="https://www.example.com/?a=1&amp;currency=EUR" style="height:40px;width:200px">
<center>Jetzt buchen</center></v:roundrect><![endif]--><!--[if !mso]><!--><a class="btn" href="https://www.example.com/?a=1&currency=EUR">Jetzt
buchen</a><!--<![endif]--> <img src="images/logo gr\xfcn.gif" srcset="images/logo%20gr%FCn.gif 2x" width="40" height="10" alt="Hafen">
<a href="HTTPS://www.example.com/{{ lastName | url_encode }}#Anker">Ihr Angebot</a> <a href="mailto:info@example.com?subject=Hallo%20Welt">Mail</a>
<a href="tel:+491234">Anruf</a> <a href="#oben">nach oben</a> <map name="m"><area href="https://www.example.com/karte" alt="Karte"></map></TD></TR>
<TR><TD class="legal"><a href="{{ onlineUrl }}">Im Browser</a> <a href="{{ unsubscribeUrl }}">Abmelden</a></TD></TR></TABLE>
<!--[if (gte mso 9)|(IE)]></td></tr></table><![endif]--></BODY></HTML>"""


@pytest.fixture
def number(tenant: Tenant) -> int:
    """A campaign with the newsletter, as Windows packs it."""
    body = {
        "name": "Spring", "targetTable": "Guests", "supportedLanguages": ["DE"], "sendingMode": "CONTINUOUS",
        "goalTracking": "spring", "from": 'Hafen "Nord", M\xfcller & S\xf6hne <news@example.com>',
    }  # fmt: skip
    made: int = tenant.json("POST", MAIL, body).json()["campaignId"]
    logo = "mail\\images\\logo gr\xfcn.gif".encode("cp437")
    files = {
        "mail/index.htm": PAGE.encode("cp1252"), "mail/css/mail.css": SHEET, "mail/images/bg.gif": GIF, "i" * len(logo): GIF,
        "__MACOSX/mail/._index.htm": b"x", "mail/Thumbs.db": b"x",
    }  # fmt: skip
    zipped = packed(files).replace(b"i" * len(logo), logo)
    for folder in (b"mail/", b"css/mail", b"images/bg"):
        zipped = zipped.replace(folder, folder.replace(b"/", b"\\"))
    answer = upload(tenant, f"{MAIL}/{made}", zipped)
    assert answer.status_code == 200, answer.text
    subject = "{{ lastName }}, \U0001f337 \u6625 \u0645\u0631\u062d\u0628\u0627 \u2013 " + "sehr lang " * 8
    put = tenant.call(
        "PUT", f"{MAIL}/{made}/content/subject", content=subject.encode(), headers={"Content-Type": "text/plain"}
    )
    assert put.status_code == 200, put.text
    return made


@pytest.fixture
def sent(tenant: Tenant, number: int, database: psycopg.Connection[Any]) -> EmailMessage:
    launched = tenant.json("POST", f"{MAIL}/{number}/launch")
    assert launched.status_code == 200, launched.text
    assert tenant.json("POST", f"{MAIL}/{number}/profile/emailAddress=ann@example.com").status_code == 200
    ((_, mail),) = until(lambda: outbox(tenant, database))
    return mail


def test_what_was_handed_over_arrives(tenant: Tenant, sent: EmailMessage) -> None:
    assert sent["From"].addresses[0].display_name == 'Hafen "Nord", M\xfcller & S\xf6hne'
    assert sent["Subject"].startswith("Vos, \U0001f337 \u6625 \u0645\u0631\u062d\u0628\u0627 \u2013 sehr lang sehr lang")
    assert max(map(len, bytes(sent).splitlines())) <= 998
    html = sent.get_body(("html",)).get_content()  # pyright: ignore[reportOptionalMemberAccess]
    assert html.startswith('<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"')
    assert "Liebe/r Vos \u2013 5 \u20ac gespart" in html
    assert 'charset=utf-8"' in html
    assert "images/" not in html
    pictures = re.findall(r"http[^\s\"'<>()]*/i/[^\s\"'<>()]+", html)
    assert len(pictures) == 5
    for picture in set(pictures):
        answer = tenant.client.get(picture)
        assert (answer.content, "immutable" in answer.headers["cache-control"]) == (GIF, True)
    # Of a link in an address of its own: where it leads.
    tracked = [href for href in re.findall(r'href="([^"]*)"', html) if "/t/c/" in href]
    assert [plain.get(href, follow_redirects=False).headers["location"] for href in tracked] == [
        "https://www.example.com/?a=1&currency=EUR&utm_source=example.com&utm_medium=email&utm_campaign=spring",
        "https://www.example.com/?a=1&currency=EUR&utm_source=example.com&utm_medium=email&utm_campaign=spring",
        "HTTPS://www.example.com/Vos?utm_source=example.com&utm_medium=email&utm_campaign=spring#Anker",
        "https://www.example.com/karte?utm_source=example.com&utm_medium=email&utm_campaign=spring",
    ]
    for kept in ("mailto:info@example.com?subject=Hallo%20Welt", "tel:+491234", "#oben"):
        assert f'href="{kept}"' in html
    text = sent.get_body(("plain",)).get_content()  # pyright: ignore[reportOptionalMemberAccess]
    assert "Nur bis Sonntag" not in text
    assert "Jetzt buchen (https://www.example.com/?a=1&currency=EUR&utm_source=" in text
    assert "Hafen" in text


def test_it_is_checked_and_shown_before(tenant: Tenant, number: int) -> None:
    items = tenant.json("GET", f"{MAILS}/{number}/checklist").json()["items"]
    found = {item["code"] for item in items if item["severity"] != "WARNING"}
    assert found <= {"link.unreachable", "link.private", "sender.domain"}
    preview = tenant.json("POST", f"{MAILS}/{number}/preview", {"profile": "emailAddress=ann@example.com"}).json()
    assert [link["tracked"] for link in preview["links"]] == [True] * 3 + [False] * 3 + [True] + [False] * 2
    assert preview["links"][0] == {
        "url": "https://www.example.com/?a=1&currency=EUR",
        "text": "Jetzt buchen",
        "tracked": True,
    }


def test_a_mail_that_is_too_long_with_its_links_is_told(tenant: Tenant) -> None:
    number = tenant.campaign()
    links = '<p><a href="https://www.example.com/a">Good words</a></p>' * 700
    html = f'<p>Dear {{{{ lastName }}}}</p>{links}<a href="{{{{ unsubscribeUrl }}}}">stop</a>'
    assert tenant.json("PUT", f"{MAILS}/{number}/contents/default", {"subject": "Hi", "html": html}).status_code == 200
    items = tenant.json("GET", f"{MAILS}/{number}/checklist").json()["items"]
    (told,) = [item["message"] for item in items if item["code"] == "html.large"]
    assert re.fullmatch(r"with the addresses of its links the HTML of the mail of the profile \d+ has 1\d\d kB", told)


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ('"M\xfcller, S\xf6hne" <news@example.com>', "M\xfcller, S\xf6hne"),
        (r'"Hafen \"Nord\"" <news@example.com>', 'Hafen "Nord"'),
        ('Hafen "Nord" <news@example.com>', 'Hafen "Nord"'),
    ],
)
def test_senders_are_named_as_headers_name_them(
    tenant: Tenant, database: psycopg.Connection[Any], said: str, name: str
) -> None:
    number = tenant.campaign(**{"from": said})
    assert tenant.json("POST", f"{MAIL}/{number}/test", {"recipients": ["me@example.com"]}).status_code == 200
    ((_, mail),) = until(lambda: outbox(tenant, database))
    assert mail["From"].addresses[0].display_name == name


@pytest.mark.browser
def test_it_looks_as_it_was_made(sent: EmailMessage, browser: Browser) -> None:
    source = PAGE.replace("{{ lastName }}", "Vos").replace('{% if lastName == "Vos" %}', "").replace("{% endif %}", "")
    source = re.sub(r"<link[^>]*>", lambda _: f"<style>{SHEET}</style>", source)
    html = sent.get_body(("html",)).get_content()  # pyright: ignore[reportOptionalMemberAccess]
    page = browser.new_page()
    page.route("**/*", lambda route: route.abort())
    for width, scheme in ((700, "light"), (400, "light"), (700, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        assert _looks(page, html) == _looks(page, source)
    page.close()


def _looks(page: Page, html: str) -> list[str]:
    """Where each element with words stands, and its colours."""
    page.set_content(html)
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll('td, h1, p, a.btn')].map(e => {
            const s = getComputedStyle(e), r = e.getBoundingClientRect();
            return [e.tagName, r.x, r.y, r.width, s.color, s.backgroundColor, s.fontSize, s.display].join(' ');
        })"""
    )
    return found
